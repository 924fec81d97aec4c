package client

import (
	"context"
	"time"

	"github.com/hearthcache/hearth/protocol"
)

// Set stores the item.
func (c *Client) Set(ctx context.Context, it Item) error { return c.store(ctx, protocol.OpSet, it) }

// Add stores the item if its key is absent; otherwise ErrNotStored.
func (c *Client) Add(ctx context.Context, it Item) error { return c.store(ctx, protocol.OpAdd, it) }

// Replace stores the item if its key is there; otherwise ErrNotStored.
func (c *Client) Replace(ctx context.Context, it Item) error {
	return c.store(ctx, protocol.OpReplace, it)
}

// CompareAndSwap stores the item if its CAS is still that of the key's item;
// otherwise ErrExists, or ErrNotFound. 0 is no item's CAS.
func (c *Client) CompareAndSwap(ctx context.Context, it Item) error {
	if it.CAS == 0 { // which would mean any, in binary
		return ErrExists
	}
	return c.store(ctx, protocol.OpCAS, it)
}

// Append adds data behind the key's value; ErrNotStored if there is none.
func (c *Client) Append(ctx context.Context, key string, data []byte) error {
	return c.store(ctx, protocol.OpAppend, Item{Key: key, Value: data})
}

// Prepend adds data before the key's value; ErrNotStored if there is none.
func (c *Client) Prepend(ctx context.Context, key string, data []byte) error {
	return c.store(ctx, protocol.OpPrepend, Item{Key: key, Value: data})
}

func (c *Client) store(ctx context.Context, op protocol.Op, it Item) error {
	if err := c.codec.checkKey(it.Key); err != nil {
		return err
	}
	k := newCall(op, it.Key)
	k.req.Value, k.req.Flags = it.Value, it.Flags
	k.req.Exptime = exptime(it.TTL)
	k.req.CAS, k.req.Compare = it.CAS, op == protocol.OpCAS
	_, err := c.do(ctx, k)
	return err
}

// Delete removes the key's item, or returns ErrNotFound.
func (c *Client) Delete(ctx context.Context, key string) error {
	if err := c.codec.checkKey(key); err != nil {
		return err
	}
	_, err := c.do(ctx, newCall(protocol.OpDelete, key))
	return err
}

// Touch gives the key's item a new time to live; ErrNotFound if there is none.
func (c *Client) Touch(ctx context.Context, key string, ttl time.Duration) error {
	if err := c.codec.checkKey(key); err != nil {
		return err
	}
	k := newCall(protocol.OpTouch, key)
	k.req.Exptime, k.req.HasExp = exptime(ttl), true
	_, err := c.do(ctx, k)
	return err
}

// Incr adds delta to the decimal number that is the key's value, modulo 2^64,
// and returns the sum; ErrNotFound or ErrNotNumeric if there is none.
func (c *Client) Incr(ctx context.Context, key string, delta uint64) (uint64, error) {
	return c.arithmetic(ctx, protocol.OpIncr, key, delta)
}

// Decr subtracts delta from the decimal number that is the key's value, but
// stops at 0, and returns the difference.
func (c *Client) Decr(ctx context.Context, key string, delta uint64) (uint64, error) {
	return c.arithmetic(ctx, protocol.OpDecr, key, delta)
}

func (c *Client) arithmetic(ctx context.Context, op protocol.Op, key string, delta uint64) (uint64, error) {
	if err := c.codec.checkKey(key); err != nil {
		return 0, err
	}
	k := newCall(op, key)
	k.req.Delta = delta
	a, err := c.do(ctx, k)
	return a.number, err
}
