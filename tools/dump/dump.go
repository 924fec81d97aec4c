package dump

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/hearthcache/hearth/protocol/client"
)

// Progress is told how far work has come, in keys or in bytes of the file; total is
// 0 if that is not known.
type Progress func(done, total int64)

// Options say how to copy. The zero value is as fast as it goes.
type Options struct {
	BytesPerSecond float64 // of keys and values; 0: no bound
	ItemsPerSecond float64 // 0: no bound
	InFlight       int     // requests under way; 0: 128
	Overwrite      bool    // load: also what the target has
	Progress       Progress
}

// listPatience is how long a server may be busy with another list.
const listPatience = time.Minute

func (o *Options) inFlight() int { return cmp.Or(o.InFlight, 128) }

func (o *Options) tell(done, total int64) {
	if o.Progress != nil {
		o.Progress(done, total)
	}
}

// rates paces by items and by bytes.
type rates struct{ items, bytes pacer }

func (o *Options) rates() *rates {
	return &rates{pacer{perSecond: o.ItemsPerSecond}, pacer{perSecond: o.BytesPerSecond}}
}

func (r *rates) wait(ctx context.Context, bytes int) {
	r.items.wait(ctx, 1)
	r.bytes.wait(ctx, float64(bytes))
}

// Dumped is what came of a dump, or of the part of it that was still to do.
type Dumped struct {
	Keys     uint64 // of the list, whole
	From     uint64 // of those, done before
	Items    uint64
	Bytes    uint64 // of keys and values
	Gone     uint64 // keys whose items went after they were listed
	Stale    uint64 // items left out, because they are stale or wait for their value
	NoWay    uint64 // keys that the meta protocol cannot say
	position uint64
}

// WriteTo writes what source has to out; the list of its keys is a temporary file
// meanwhile.
func WriteTo(ctx context.Context, source *client.Client, out io.Writer, o Options) (*Dumped, error) {
	h := newHeader()
	list, err := os.CreateTemp("", "hearth-keys-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(list.Name())
	if err := list.Close(); err != nil {
		return nil, err
	}
	if err := makeKeyList(ctx, source, list.Name(), h.id, listPatience); err != nil {
		return nil, fmt.Errorf("list the keys: %w", err)
	}
	if _, err := out.Write(h.append(nil)); err != nil {
		return nil, err
	}
	return writeItems(ctx, source, out, list.Name(), 0, o)
}

// WriteFile writes what source has to a new file, or goes on with one that was cut
// short. Beside it is the list of keys, path.keys, until it is whole.
func WriteFile(ctx context.Context, source *client.Client, path string, o Options) (*Dumped, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list := path + ".keys"
	position, err := resume(f, list)
	if errors.Is(err, errNoList) {
		err = begin(ctx, source, f, list)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	d, err := writeItems(ctx, source, f, list, position, o)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(list))
	}
	return d, err
}

func newHeader() *header {
	h := &header{begun: time.Now()}
	rand.Read(h.id[:])
	return h
}

// begin writes the header and the list of keys of a new dump.
func begin(ctx context.Context, source *client.Client, f *os.File, list string) error {
	h := newHeader()
	if err := f.Truncate(0); err != nil {
		return err
	}
	if _, err := f.WriteAt(h.append(nil), 0); err != nil {
		return err
	}
	if _, err := f.Seek(headerSize, io.SeekStart); err != nil {
		return err
	}
	if err := makeKeyList(ctx, source, list, h.id, listPatience); err != nil {
		return fmt.Errorf("list the keys: %w", err)
	}
	return nil
}

// What a file says of how a dump may go on.
var (
	errNoList  = errors.New("nothing but a header, if that")
	errWhole   = errors.New("is a whole dump already")
	errForeign = errors.New("there, but the list of keys to go on with is not")
)

// resume finds how many keys are done by the whole blocks of f, and has it go on
// behind them.
func resume(f *os.File, list string) (position uint64, err error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return 0, errors.Join(err, errNoList)
	}
	r, err := newReader(f)
	if err != nil {
		return 0, err // no dump: not a file to write over
	}
	for err == nil {
		position = r.block.position
		err = r.nextBlock()
	}
	if err == io.EOF {
		return 0, errWhole
	}
	keys, err := openKeyList(list, 0)
	switch {
	case errors.Is(err, os.ErrNotExist) && r.at == headerSize:
		return 0, errNoList
	case err != nil:
		return 0, fmt.Errorf("%w: %w", errForeign, err)
	}
	defer keys.file.Close()
	if keys.id != r.header.id {
		return 0, errForeign
	}
	if err := f.Truncate(r.at); err != nil {
		return 0, err
	}
	_, err = f.Seek(r.at, io.SeekStart)
	return position, err
}

// writeItems writes the items of the listed keys from the position on, and the end.
func writeItems(ctx context.Context, source *client.Client, out io.Writer, list string, position uint64, o Options) (*Dumped, error) {
	keys, err := openKeyList(list, position)
	if err != nil {
		return nil, err
	}
	defer keys.file.Close()
	d := &Dumped{Keys: keys.total, From: position, position: position}
	w, pace := newWriter(out), o.rates()
	jobs := func(yield func(*fetched) bool) {
		for key := range keys.all() {
			if !yield(&fetched{key: key}) {
				return
			}
		}
	}
	fetch := func(ctx context.Context, f *fetched) { f.fetch(ctx, source) }
	err = inOrder(ctx, o.inFlight(), jobs, fetch, func(f *fetched) error {
		pace.wait(ctx, len(f.key)+len(f.item.Value))
		o.tell(int64(d.position)+1, int64(d.Keys))
		return d.take(f, w)
	})
	if err = errors.Join(err, keys.err); err != nil {
		return d, errors.Join(err, w.flush(d.position)) // to go on there
	}
	return d, w.end(d.position)
}

// take writes what was fetched, if it is to be.
func (d *Dumped) take(f *fetched, w *writer) error {
	if f.err != nil && !errors.Is(f.err, client.ErrMiss) && !errors.Is(f.err, client.ErrKey) {
		return f.err
	}
	d.position++
	switch {
	case errors.Is(f.err, client.ErrMiss):
		d.Gone++
	case f.err != nil:
		d.NoWay++
	case f.item.Stale, f.item.TokenSent && len(f.item.Value) == 0:
		d.Stale++
	default:
		d.Items++
		d.Bytes += uint64(len(f.key) + len(f.item.Value))
		it := item{key: []byte(f.key), value: f.item.Value, flags: f.item.Flags, expires: f.expires}
		return w.add(&it, d.position)
	}
	return nil
}
