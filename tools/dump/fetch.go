package dump

import (
	"context"
	"errors"
	"time"

	"github.com/hearthcache/hearth/protocol/client"
)

// fetched is a key, and its item once it was asked for.
type fetched struct {
	key     string
	item    client.MetaItem
	expires int64 // seconds since 1970; 0 for never
	err     error
}

func (f *fetched) fetch(ctx context.Context, source *client.Client) {
	f.err = again(ctx, func() (err error) {
		asked := time.Now().Unix() // before: it is not to live longer here than there
		f.item, err = source.MetaGet(ctx, f.key, client.GetOptions{NoBump: true})
		if f.item.TTL > 0 {
			f.expires = asked + int64(f.item.TTL.Seconds())
		}
		return err
	})
	if f.err == nil && f.item.Won {
		f.err = again(ctx, func() error { return giveBack(ctx, source, f.key, f.item.CAS) })
	}
}

// giveBack has the next client that asks for a stale item be told to renew it: that
// right was this one's by asking. An item that changed meanwhile stays as it is.
func giveBack(ctx context.Context, source *client.Client, key string, cas uint64) error {
	opts := client.DeleteOptions{Compare: true, CAS: cas, Invalidate: true, NewCAS: cas}
	err := source.MetaDelete(ctx, key, opts)
	if errors.Is(err, client.ErrRefused) { // a memcached that cannot keep the CAS
		opts.NewCAS = 0
		err = source.MetaDelete(ctx, key, opts)
	}
	if errors.Is(err, client.ErrExists) || errors.Is(err, client.ErrNotFound) {
		return nil
	}
	return err
}

// attempts is how often a request is made whose connection ends.
const attempts = 6

// again has request be made again, a little later each time, when its connection
// ends: by a value that the server refuses, or because it was restarted.
func again(ctx context.Context, request func() error) error {
	wait := 10 * time.Millisecond
	for attempt := 1; ; attempt++ {
		err := request()
		if !errors.As(err, new(*client.ConnError)) || attempt == attempts {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
			wait *= 4
		}
	}
}
