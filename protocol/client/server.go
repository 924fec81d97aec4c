package client

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hearthcache/hearth/protocol"
)

// FlushAll makes all items that are there once delay, rounded up to seconds, is
// over invisible from then on.
func (c *Client) FlushAll(ctx context.Context, delay time.Duration) error {
	k := newCall(protocol.OpFlushAll, "")
	k.req.Exptime, k.req.HasExp = exptime(max(delay, 0)), delay > 0
	_, err := c.do(ctx, k)
	return err
}

// Stats returns the server's statistics of the group, such as "settings" or
// "items"; the general ones if group is "".
func (c *Client) Stats(ctx context.Context, group string) (map[string]string, error) {
	if len(group) > protocol.MaxKey || strings.ContainsFunc(group, func(r rune) bool { return r < ' ' }) {
		return nil, fmt.Errorf("%w: %q as a group of statistics", ErrKey, group)
	}
	k := newCall(protocol.OpStats, "")
	k.req.Args = []byte(group)
	a, err := c.do(ctx, k)
	return a.stats, err
}

// Version returns the server's version.
func (c *Client) Version(ctx context.Context) (string, error) {
	a, err := c.do(ctx, newCall(protocol.OpVersion, ""))
	return a.text, err
}
