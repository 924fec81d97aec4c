package dump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/hearthcache/hearth/protocol/client"
)

// Loaded is what came of a load, or of the part of it that was still to do.
type Loaded struct {
	From    int64 // byte of the file at which it went on; 0: from the beginning
	Items   uint64
	Bytes   uint64 // of their keys and values
	Kept    uint64 // items that the target had
	Expired uint64
	Refused uint64 // items that the target has no room for
	Refusal error  // of the first of them

	total int64 // bytes of the file; 0: not known
}

// ReadFrom loads what in has into target. At an error what came before is loaded.
func ReadFrom(ctx context.Context, target *client.Client, in io.Reader, o Options) (*Loaded, error) {
	r, err := newReader(in)
	if err != nil {
		return &Loaded{}, err
	}
	l := &Loaded{}
	return l, l.load(ctx, target, r, o, func(int64) error { return nil })
}

// ReadFile loads the file into target, which is at addr, or goes on with a load
// that was cut short: until it is whole, there is a note of how far it has come,
// path.load-addr.
func ReadFile(ctx context.Context, target *client.Client, addr, path string, o Options) (*Loaded, error) {
	l := &Loaded{}
	f, err := os.Open(path)
	if err != nil {
		return l, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return l, err
	}
	l.total = info.Size()
	r, err := newReader(f)
	if err != nil {
		return l, fmt.Errorf("%s: %w", path, err)
	}
	n, err := openNote(path, addr, r.header.id)
	if err != nil {
		return l, err
	}
	if n.Offset > headerSize {
		l.From = n.Offset
		if err := r.skipTo(n.Offset); err != nil {
			return l, err
		}
	}
	if err := l.load(ctx, target, r, o, n.reached); err != nil {
		return l, errors.Join(fmt.Errorf("%s: %w", path, err), n.write())
	}
	return l, n.remove()
}

// loading is an item on its way to the target.
type loading struct {
	item
	end int64 // where its block ends, if it is the last one; 0 otherwise
	err error
}

var errExpired = errors.New("expired")

// load loads the blocks that r has left, and tells reached, in order, how far all
// of them are taken.
func (l *Loaded) load(ctx context.Context, target *client.Client, r *reader, o Options, reached func(int64) error) error {
	var readErr error
	pace := o.rates()
	jobs := func(yield func(*loading) bool) { readErr = r.each(yield) }
	store := func(ctx context.Context, j *loading) { j.store(ctx, target, o.Overwrite) }
	err := inOrder(ctx, o.inFlight(), jobs, store, func(j *loading) error {
		pace.wait(ctx, len(j.key)+len(j.value))
		if err := l.take(j); err != nil || j.end == 0 {
			return err
		}
		o.tell(j.end, l.total)
		return reached(j.end)
	})
	if err == nil {
		err = readErr
	}
	return err
}

// each yields all items. It returns nil at the file's end.
func (r *reader) each(yield func(*loading) bool) error {
	for {
		err := r.nextBlock()
		if err == io.EOF {
			return nil
		}
		for err == nil {
			it, ok, itemErr := r.nextItem()
			if !ok {
				err = itemErr
				break
			}
			j := &loading{item: it}
			if r.left == 0 && len(r.rest) == 0 {
				j.end = r.next
			}
			if !yield(j) {
				return nil
			}
		}
		if err != nil {
			return err
		}
	}
}

// store has target take the item for what is left of its time.
func (j *loading) store(ctx context.Context, target *client.Client, overwrite bool) {
	it := client.Item{Key: string(j.key), Value: j.value, Flags: j.flags}
	opts := client.SetOptions{Mode: client.ModeAdd}
	if overwrite {
		opts.Mode = client.ModeSet
	}
	j.err = again(ctx, func() error {
		if j.expires > 0 {
			left := j.expires - time.Now().Unix() - 1 // rounded down, or it would live longer
			if left <= 0 {
				return errExpired
			}
			it.TTL = time.Duration(left) * time.Second
		}
		_, err := target.MetaSet(ctx, it, opts)
		return err
	})
}

// take counts what came of an item.
func (l *Loaded) take(j *loading) error {
	switch {
	case j.err == nil:
		l.Items++
		l.Bytes += uint64(len(j.key) + len(j.value))
	case errors.Is(j.err, client.ErrNotStored):
		l.Kept++
	case errors.Is(j.err, errExpired):
		l.Expired++
	case errors.Is(j.err, client.ErrTooLarge), errors.Is(j.err, client.ErrNoMemory), errors.Is(j.err, client.ErrServer):
		if l.Refused++; l.Refusal == nil {
			l.Refusal = fmt.Errorf("%q: %w", j.key, j.err)
		}
	default:
		return fmt.Errorf("store %q: %w", j.key, j.err)
	}
	return nil
}
