package trace

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"time"

	"github.com/hearthcache/hearth"
)

// Library is a cache in this process as a target. Its clock is the trace's.
type Library struct {
	cache *hearth.Cache
	epoch int64        // Unix seconds at the trace's time 0
	now   atomic.Int64 // seconds since
	dir   string       // to be removed; empty: none
}

// LibraryOptions are those of a Library. The cache's Clock is not looked at.
type LibraryOptions struct {
	hearth.Options
	// Dir is the directory of the flash tier; empty means a new one that Close
	// removes.
	Dir string
}

// OpenLibrary opens a cache.
func OpenLibrary(o LibraryOptions) (l *Library, err error) {
	l = &Library{epoch: time.Now().Unix()}
	o.Clock = func() time.Time { return time.Unix(l.epoch+l.now.Load(), 0) }
	if o.FlashSize > 0 && o.Dir == "" {
		if l.dir, err = os.MkdirTemp("", "hearth-bench-"); err != nil {
			return nil, err
		}
		o.Dir = l.dir
	}
	if l.cache, err = hearth.Open(o.Dir, o.Options); err != nil {
		return nil, errors.Join(err, l.remove())
	}
	return l, nil
}

func (l *Library) remove() error {
	if l.dir == "" {
		return nil
	}
	return os.RemoveAll(l.dir)
}

// Close closes the cache.
func (l *Library) Close() error { return errors.Join(l.cache.Close(), l.remove()) }

// At sets the clock.
func (l *Library) At(t time.Duration) { l.now.Store(int64(t / time.Second)) }

// TTL is the trace's.
func (l *Library) TTL(seconds uint32) uint32 { return seconds }

// Do executes one call after the other.
func (l *Library) Do(calls []Call) error {
	for i := range calls {
		if err := l.do(&calls[i]); err != nil {
			return err
		}
	}
	return nil
}

func (l *Library) do(c *Call) error {
	ctx, key := context.Background(), string(c.Key)
	it := hearth.Item{Key: key, Value: c.Value, CAS: c.CAS, Expires: l.expires(c.TTL)}
	var err error
	switch c.Op {
	case Set:
		err = l.cache.Set(ctx, it)
	case Add:
		err = l.cache.Add(ctx, it)
	case Replace:
		err = l.cache.Replace(ctx, it)
	case CAS:
		err = l.cache.CompareAndSwap(ctx, it)
	case Prepend:
		err = l.cache.Prepend(ctx, key, c.Value)
	case Incr:
		_, err = l.cache.Incr(ctx, key, 1)
	case Delete:
		err = l.cache.Delete(ctx, key)
	default:
		it, err = l.cache.Get(ctx, key)
		c.Found, c.CAS = it.Value, it.CAS
	}
	return c.answer(err)
}

func (l *Library) expires(ttl uint32) time.Time {
	if ttl == 0 {
		return time.Time{}
	}
	return time.Unix(l.epoch+l.now.Load()+int64(ttl), 0)
}

// answer fills in the status by what the library returned.
func (c *Call) answer(err error) error {
	switch {
	case err == nil && c.Op.reads():
		c.Status = Hit
	case err == nil:
		c.Status = Done
	case errors.Is(err, hearth.ErrNotFound), errors.Is(err, hearth.ErrNotStored), errors.Is(err, hearth.ErrCASConflict):
		c.Status = Missed
	case errors.Is(err, hearth.ErrTooLarge), errors.Is(err, hearth.ErrNoRoom), errors.Is(err, hearth.ErrNotNumeric):
		c.Status, c.Error = Refused, err.Error()
	default:
		return err
	}
	return nil
}

// Usage is by the cache's statistics.
func (l *Library) Usage() (Usage, error) {
	s := l.cache.Stats()
	return Usage{
		Items: s.Mem.IndexItems, Memory: s.Memory - s.Mem.Limit + s.Mem.Used,
		FlashWritten: s.Flash.BytesWritten, Evictions: s.Mem.Evictions + s.FlashEvicted,
	}, nil
}
