package client

import (
	"context"
	"time"

	"github.com/hearthcache/hearth/protocol"
)

// Get returns the item with the key, or ErrMiss.
func (c *Client) Get(ctx context.Context, key string) (Item, error) {
	return c.get(ctx, protocol.OpGets, key, 0)
}

// Gat is Get, and gives the item a new time to live.
func (c *Client) Gat(ctx context.Context, key string, ttl time.Duration) (Item, error) {
	return c.get(ctx, protocol.OpGats, key, ttl)
}

func (c *Client) get(ctx context.Context, op protocol.Op, key string, ttl time.Duration) (Item, error) {
	if err := c.codec.checkKey(key); err != nil {
		return Item{}, err
	}
	k := newCall(op, key)
	k.req.Exptime, k.req.HasExp = exptime(ttl), op == protocol.OpGats
	a, err := c.do(ctx, k)
	if err != nil {
		return Item{}, err
	}
	a.item.Key = key
	return a.item, nil
}

// GetMulti returns those of the keys that are there. All are asked for in one
// write. What came before an error is returned with it, unless that is ctx's.
func (c *Client) GetMulti(ctx context.Context, keys ...string) (map[string]Item, error) {
	for _, key := range keys {
		if err := c.codec.checkKey(key); err != nil {
			return nil, err
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	a, err := c.do(ctx, newMultiCall(protocol.OpGets, keys))
	found := make(map[string]Item, len(a.items))
	for _, it := range a.items {
		found[it.Key] = it
	}
	return found, err
}
