package hearth

import (
	"bytes"
	"context"
	"sync"
	"time"
	"unsafe"
)

// Item is a key with its value.
type Item struct {
	Key   string // 1 to 250 bytes
	Value []byte
	Flags uint32 // the caller's own
	// Expires is when the item goes, to the second. The zero time means never.
	Expires time.Time
	// CAS changes with every change of the item. Get sets it,
	// CompareAndSwap compares it, the other methods ignore it.
	CAS uint64
}

// MaxKey is the longest key in bytes.
const MaxKey = 250

// waiter is the Notifier of a goroutine that simply waits.
type waiter chan struct{}

// Notify wakes the goroutine.
func (w waiter) Notify(uint64) {
	select {
	case w <- struct{}{}:
	default:
	}
}

// call is what a blocking method needs while it runs.
type call struct {
	change Change
	lookup Lookup
	wake   waiter
}

var calls = sync.Pool{New: func() any { return &call{wake: make(waiter, 1)} }}

// Get returns the item with the key, or ErrNotFound. It waits for flash, until
// ctx is done.
func (c *Cache) Get(ctx context.Context, key string) (Item, error) {
	k, err := c.checkKey(key)
	if err != nil {
		return Item{}, err
	}
	value, m, st := c.Find(k, nil)
	if st == Pending {
		l := calls.Get().(*call)
		l.lookup.Start(c, k, m, l.wake, 0)
		if value, m, st, err = l.land(ctx, c); err != nil {
			return Item{}, err
		}
	}
	if st != Hit {
		return Item{}, ErrNotFound
	}
	return itemOf(key, value, m), nil
}

// GetMulti returns those of the keys that are in the cache. The reads of all
// values that are on flash are under way together. It waits until ctx is done.
func (c *Cache) GetMulti(ctx context.Context, keys ...string) (map[string]Item, error) {
	found := make(map[string]Item, len(keys))
	type started struct {
		*call
		key string
	}
	var flying []started
	for _, key := range keys {
		k, err := c.checkKey(key)
		if err != nil {
			return nil, err
		}
		value, m, st := c.Find(k, nil)
		switch st {
		case Hit:
			found[key] = itemOf(key, value, m)
		case Pending:
			l := calls.Get().(*call)
			l.lookup.Start(c, k, m, l.wake, 0)
			flying = append(flying, started{l, key})
		}
	}
	var failed error
	for _, l := range flying {
		value, m, st, err := l.land(ctx, c)
		if err != nil {
			failed = err // the others still have to land
		} else if st == Hit {
			found[l.key] = itemOf(l.key, value, m)
		}
	}
	return found, failed
}

func itemOf(key string, value []byte, m Meta) Item {
	it := Item{Key: key, Value: value, Flags: m.Flags, CAS: m.CAS}
	if m.Exptime != 0 {
		it.Expires = time.Unix(int64(m.Exptime), 0)
	}
	return it
}

// land steps the lookup to its end and frees the call.
func (l *call) land(ctx context.Context, c *Cache) ([]byte, Meta, Status, error) {
	for {
		value, m, st := l.lookup.Step(nil)
		if st != Pending {
			calls.Put(l)
			return value, m, st, nil
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
			c.loops.Add(1)
			go func() {
				defer c.loops.Done()
				_, _, _, _ = l.land(context.Background(), c)
			}()
			return nil, Meta{}, Miss, ctx.Err()
		}
	}
}

// Set stores the item.
func (c *Cache) Set(ctx context.Context, it Item) error { return c.storeItem(ctx, Set, it) }

// Add stores the item if its key is absent; otherwise ErrNotStored.
func (c *Cache) Add(ctx context.Context, it Item) error { return c.storeItem(ctx, Add, it) }

// Replace stores the item if its key is present; otherwise ErrNotStored.
func (c *Cache) Replace(ctx context.Context, it Item) error { return c.storeItem(ctx, Replace, it) }

// CompareAndSwap stores the item if its CAS is still that of the key's item;
// otherwise ErrCASConflict, or ErrNotFound.
func (c *Cache) CompareAndSwap(ctx context.Context, it Item) error {
	return c.storeItem(ctx, CompareAndSwap, it)
}

// Append adds data behind the key's value; ErrNotStored if there is none.
func (c *Cache) Append(ctx context.Context, key string, data []byte) error {
	return c.storeItem(ctx, Append, Item{Key: key, Value: data})
}

// Prepend adds data before the key's value; ErrNotStored if there is none.
func (c *Cache) Prepend(ctx context.Context, key string, data []byte) error {
	return c.storeItem(ctx, Prepend, Item{Key: key, Value: data})
}

// Incr adds delta to the decimal number that is the key's value, wrapping at
// 2^64, and returns the sum.
func (c *Cache) Incr(ctx context.Context, key string, delta uint64) (uint64, error) {
	return c.changeKey(ctx, key, Change{Verb: Incr, Delta: delta})
}

// Decr subtracts delta from the decimal number that is the key's value, but
// stops at 0, and returns the difference.
func (c *Cache) Decr(ctx context.Context, key string, delta uint64) (uint64, error) {
	return c.changeKey(ctx, key, Change{Verb: Decr, Delta: delta})
}

// Touch sets when the key's item expires; the zero time means never.
func (c *Cache) Touch(ctx context.Context, key string, expires time.Time) error {
	_, err := c.changeKey(ctx, key, Change{Verb: Touch, Exptime: exptimeOf(expires)})
	return err
}

// Delete removes the key's item, or returns ErrNotFound.
func (c *Cache) Delete(ctx context.Context, key string) error {
	_, err := c.changeKey(ctx, key, Change{Verb: Delete})
	return err
}

func (c *Cache) storeItem(ctx context.Context, v Verb, it Item) error {
	_, err := c.changeKey(ctx, it.Key, Change{
		Verb: v, Value: it.Value, Flags: it.Flags, Exptime: exptimeOf(it.Expires), Expect: it.CAS,
	})
	return err
}

// changeKey runs the change to its end. If ctx is done before that, the change
// may or may not happen.
func (c *Cache) changeKey(ctx context.Context, key string, what Change) (uint64, error) {
	k, err := c.checkKey(key)
	if err != nil {
		return 0, err
	}
	l := calls.Get().(*call)
	ch := &l.change
	what.Key = k
	*ch = what
	for st := ch.Start(c, l.wake, 0); ; st = ch.Step() {
		if st != Pending {
			n := ch.Number
			ch.Key, ch.Value = nil, nil
			calls.Put(l)
			return n, errorOf[st]
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
			ch.Value = bytes.Clone(ch.Value) // the caller's, once this returns
			c.loops.Add(1)
			go l.abandon(c)
			return 0, ctx.Err()
		}
	}
}

// abandon steps a change whose caller has gone to its end.
func (l *call) abandon(c *Cache) {
	defer c.loops.Done()
	for l.change.Step() == Pending {
		<-l.wake
	}
	calls.Put(l)
}

var errorOf = [...]error{
	NotStored: ErrNotStored, Exists: ErrCASConflict, NotFound: ErrNotFound, NotNumeric: ErrNotNumeric,
	TooLarge: ErrTooLarge, NoRoom: ErrNoRoom,
}

// exptimeOf is t in the cache's seconds; a time in the past has expired.
func exptimeOf(t time.Time) uint32 {
	if t.IsZero() {
		return 0
	}
	return uint32(min(max(t.Unix(), 1), 1<<32-1))
}

// checkKey returns the key's bytes, which must not be written to.
func (c *Cache) checkKey(key string) ([]byte, error) {
	if c.closed.Load() {
		return nil, ErrClosed
	}
	if len(key) < 1 || len(key) > MaxKey {
		return nil, ErrKey
	}
	return unsafe.Slice(unsafe.StringData(key), len(key)), nil
}
