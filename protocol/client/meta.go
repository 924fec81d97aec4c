package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hearthcache/hearth/protocol"
)

// MetaItem is what a MetaGet tells of an item.
type MetaItem struct {
	Item                    // its TTL is what is left, 0 if it does not end
	Size      int           // of the value in bytes
	Age       time.Duration // since it was last accessed
	Fetched   bool          // it was accessed before
	Stale     bool          // its value is out of date
	Won       bool          // this caller is to bring a new one
	TokenSent bool          // another caller is
}

// GetOptions are what a MetaGet does beside a Get. The methods whose names begin
// with Meta need the meta protocol, and fail with errors.ErrUnsupported elsewhere.
type GetOptions struct {
	// Touch gives the item the TTL; TTL is 0 for ever.
	Touch bool
	TTL   time.Duration
	// Vivify, if not 0, has an empty item made that lives as long, if there
	// is none. Who made it has won.
	Vivify time.Duration
	// Recache, if not 0, has one caller win if less is left of the TTL.
	Recache time.Duration
	NoBump  bool // do not count as an access
	NoValue bool // of the value tell only the size
}

// MetaGet returns the item with the key, and all that is known of it, or ErrMiss.
// Where other callers must not all compute the same new value, one of them wins.
func (c *Client) MetaGet(ctx context.Context, key string, opts GetOptions) (MetaItem, error) {
	if err := c.checkMeta(key); err != nil {
		return MetaItem{}, err
	}
	k := newCall(protocol.OpGets, key)
	if k.asks = "s t l h f c v"; opts.NoValue {
		k.asks = "s t l h f c"
	}
	if opts.Touch {
		k.req.Op, k.req.Exptime = protocol.OpGats, exptime(opts.TTL)
	}
	k.req.Vivify, k.req.VivifyExptime = opts.Vivify != 0, exptime(opts.Vivify)
	k.req.Recache, k.req.RecacheTTL = opts.Recache != 0, exptime(opts.Recache)
	k.req.NoBump = opts.NoBump
	a, err := c.do(ctx, k)
	if err != nil {
		return MetaItem{}, err
	}
	m := MetaItem{
		Item: a.item, Size: a.meta.Size, Age: time.Duration(a.meta.Age) * time.Second,
		Fetched: a.meta.Fetched, Stale: a.meta.Stale, Won: a.meta.Won, TokenSent: a.meta.TokenSent,
	}
	m.Key, m.TTL = key, timeLeft(a.meta.TTL)
	return m, nil
}

// timeLeft is the TTL that a reply tells. An item of whose last second nothing is
// left must not seem to live for ever.
func timeLeft(seconds int64) time.Duration {
	switch {
	case seconds < 0:
		return 0
	case seconds == 0:
		return 1
	}
	return time.Duration(seconds) * time.Second
}

// SetMode is the condition of a MetaSet.
type SetMode uint8

// The modes.
const (
	ModeSet     SetMode = iota
	ModeAdd             // only if the key is absent
	ModeReplace         // only if it is there
	ModeAppend          // behind the value that is there
	ModePrepend         // before it
)

// SetOptions are what a MetaSet does beside a Set.
type SetOptions struct {
	Mode SetMode
	// Compare refuses with ErrExists unless the item's CAS is the given one's.
	Compare bool
	// Invalidate, with Compare, has an item with a CAS lower than that of the
	// key's item stored as a stale one.
	Invalidate bool
	// NewCAS is the CAS that the item gets; 0 leaves it to the server.
	NewCAS uint64
	// Vivify, if not 0, has ModeAppend and ModePrepend store an item that is
	// absent, to live as long.
	Vivify time.Duration
}

// MetaSet stores the item and returns its new CAS.
func (c *Client) MetaSet(ctx context.Context, it Item, opts SetOptions) (cas uint64, err error) {
	if err := c.checkMeta(it.Key); err != nil {
		return 0, err
	}
	if opts.Mode > ModePrepend {
		return 0, fmt.Errorf("%w: no mode %d", ErrOptions, opts.Mode)
	}
	k := newCall(protocol.OpSet+protocol.Op(opts.Mode), it.Key)
	k.asks = "c"
	k.req.Value, k.req.Flags, k.req.Exptime = it.Value, it.Flags, exptime(it.TTL)
	k.req.Compare, k.req.CAS, k.req.NewCAS = opts.Compare, it.CAS, opts.NewCAS
	k.req.Invalidate = opts.Invalidate
	k.req.Vivify, k.req.VivifyExptime = opts.Vivify != 0, exptime(opts.Vivify)
	a, err := c.do(ctx, k)
	return a.meta.CAS, err
}

// DeleteOptions are what a MetaDelete does beside a Delete, or instead of it.
type DeleteOptions struct {
	// Compare refuses with ErrExists unless the item's CAS is CAS.
	Compare bool
	CAS     uint64
	// Invalidate marks the item stale and leaves it there; the next MetaGet
	// wins. With TTL not 0 that is how long it lives then. NewCAS is the CAS
	// that it gets; 0 leaves it to the server.
	Invalidate bool
	TTL        time.Duration
	NewCAS     uint64
	// DropValue leaves the item there without value and flags.
	DropValue bool
}

// MetaDelete removes the key's item, or marks it, or returns ErrNotFound.
func (c *Client) MetaDelete(ctx context.Context, key string, opts DeleteOptions) error {
	if err := c.checkMeta(key); err != nil {
		return err
	}
	k := newCall(protocol.OpDelete, key)
	k.req.Compare, k.req.CAS, k.req.NewCAS = opts.Compare, opts.CAS, opts.NewCAS
	k.req.Invalidate, k.req.DropValue = opts.Invalidate, opts.DropValue
	k.req.Exptime = exptime(opts.TTL)
	_, err := c.do(ctx, k)
	return err
}

// CountOptions are what a MetaIncr or MetaDecr does beside an Incr or Decr.
type CountOptions struct {
	// Vivify, if not 0, has an item made with the number Initial, to live as
	// long, if there is none. Less than 0 is for ever.
	Vivify  time.Duration
	Initial uint64
	// Touch gives the item the TTL; TTL is 0 for ever.
	Touch bool
	TTL   time.Duration
	// Compare refuses with ErrExists unless the item's CAS is CAS. NewCAS is
	// the CAS that it gets; 0 leaves it to the server.
	Compare bool
	CAS     uint64
	NewCAS  uint64
}

// MetaIncr adds delta to the number that is the key's value, and returns the sum.
func (c *Client) MetaIncr(ctx context.Context, key string, delta uint64, opts CountOptions) (uint64, error) {
	return c.metaCount(ctx, protocol.OpIncr, key, delta, opts)
}

// MetaDecr subtracts delta from the number that is the key's value, but stops at
// 0, and returns the difference.
func (c *Client) MetaDecr(ctx context.Context, key string, delta uint64, opts CountOptions) (uint64, error) {
	return c.metaCount(ctx, protocol.OpDecr, key, delta, opts)
}

func (c *Client) metaCount(ctx context.Context, op protocol.Op, key string, delta uint64, opts CountOptions) (uint64, error) {
	if err := c.checkMeta(key); err != nil {
		return 0, err
	}
	k := newCall(op, key)
	k.req.Delta, k.req.Initial = delta, opts.Initial
	k.req.Vivify, k.req.VivifyExptime = opts.Vivify != 0, exptime(max(opts.Vivify, 0))
	k.req.HasExp, k.req.Exptime = opts.Touch, exptime(opts.TTL)
	k.req.Compare, k.req.CAS, k.req.NewCAS = opts.Compare, opts.CAS, opts.NewCAS
	a, err := c.do(ctx, k)
	return a.number, err
}

func (c *Client) checkMeta(key string) error {
	if c.opts.Protocol != protocol.Meta {
		return fmt.Errorf("client: not the meta protocol: %w", errors.ErrUnsupported)
	}
	return c.codec.checkKey(key)
}
