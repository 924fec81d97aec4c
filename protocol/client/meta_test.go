package client_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/client"
)

// checkMeta is the part of the suite that only meta has.
func checkMeta(t *testing.T, c *client.Client, ctx context.Context) {
	t.Run("get", func(t *testing.T) { checkMetaGet(t, c, ctx) })
	t.Run("win", func(t *testing.T) { checkMetaWin(t, c, ctx) })
	t.Run("set", func(t *testing.T) { checkMetaSet(t, c, ctx) })
	t.Run("delete", func(t *testing.T) { checkMetaDelete(t, c, ctx) })
	t.Run("count", func(t *testing.T) { checkMetaCount(t, c, ctx) })
}

func checkMetaGet(t *testing.T, c *client.Client, ctx context.Context) {
	for _, key := range []string{unique(t, "key"), "odd \r\n" + unique(t, "key")} {
		_, err := c.MetaGet(ctx, key, client.GetOptions{})
		want(t, "get of nothing", err, client.ErrMiss)
		want(t, "set", c.Set(ctx, client.Item{Key: key, Value: []byte("value"), Flags: 7, TTL: 100 * time.Second}), nil)
		m, err := c.MetaGet(ctx, key, client.GetOptions{NoValue: true, NoBump: true})
		if err != nil || m.Key != key || m.Value != nil || m.Size != 5 || m.Flags != 7 || m.CAS == 0 || m.Fetched || m.TTL < 98*time.Second || m.TTL > 100*time.Second {
			t.Errorf("without the value: %+v, %v", m, err)
		}
		m, err = c.MetaGet(ctx, key, client.GetOptions{Touch: true})
		if err != nil || string(m.Value) != "value" || m.Size != 5 {
			t.Errorf("with a touch: %+v, %v", m, err)
		}
		m, err = c.MetaGet(ctx, key, client.GetOptions{})
		if err != nil || string(m.Value) != "value" || m.TTL != 0 || !m.Fetched || m.Age > 2*time.Second {
			t.Errorf("after it: %+v, %v", m, err)
		}
	}
}

// checkMetaWin: of all who find a value absent, stale or about to end, one wins.
func checkMetaWin(t *testing.T, c *client.Client, ctx context.Context) {
	key := unique(t, "key")
	get := func(what string, opts client.GetOptions, value string, won, sent, stale bool) client.MetaItem {
		t.Helper()
		m, err := c.MetaGet(ctx, key, opts)
		if err != nil || string(m.Value) != value || m.Won != won || m.TokenSent != sent || m.Stale != stale {
			t.Errorf("%s: %+v, %v", what, m, err)
		}
		return m
	}
	get("vivified", client.GetOptions{Vivify: time.Minute}, "", true, false, false)
	get("by another", client.GetOptions{Vivify: time.Minute}, "", false, true, false)
	want(t, "set", c.Set(ctx, client.Item{Key: key, Value: []byte("v"), TTL: 10 * time.Second}), nil)
	get("fresh", client.GetOptions{Recache: 2 * time.Second}, "v", false, false, false)
	get("to be recached", client.GetOptions{Recache: time.Minute}, "v", true, false, false)
	get("by another", client.GetOptions{Recache: time.Minute}, "v", false, true, false)
	want(t, "set", c.Set(ctx, client.Item{Key: key, Value: []byte("v")}), nil)
	want(t, "invalidate", c.MetaDelete(ctx, key, client.DeleteOptions{Invalidate: true, TTL: time.Minute}), nil)
	m := get("stale", client.GetOptions{}, "v", true, false, true)
	get("of another", client.GetOptions{}, "v", false, true, true)
	_, err := c.MetaSet(ctx, client.Item{Key: key, Value: []byte("new"), CAS: m.CAS}, client.SetOptions{Compare: true})
	want(t, "by the winner", err, nil)
	get("new", client.GetOptions{}, "new", false, false, false)
}

func checkMetaSet(t *testing.T, c *client.Client, ctx context.Context) {
	key := unique(t, "key")
	it := client.Item{Key: key, Value: []byte("v"), Flags: 9}
	_, err := c.MetaSet(ctx, it, client.SetOptions{Mode: client.ModeReplace})
	want(t, "replace of nothing", err, client.ErrNotStored)
	_, err = c.MetaSet(ctx, it, client.SetOptions{Mode: client.ModeAppend})
	want(t, "append to nothing", err, client.ErrNotStored)
	_, err = c.MetaSet(ctx, it, client.SetOptions{Mode: client.ModeAppend, Vivify: time.Minute})
	if stats, _ := c.Stats(ctx, ""); stats["hearth_hits_ram"] != "" || err == nil {
		want(t, "append with vivify", err, nil)
		wantValue(t, c, key, "v")
	} else { // an older memcached
		want(t, "set", c.Set(ctx, it), nil)
	}
	_, err = c.MetaSet(ctx, it, client.SetOptions{Mode: client.ModeAdd})
	want(t, "add", err, client.ErrNotStored)
	for _, mode := range []client.SetMode{client.ModeReplace, client.ModeAppend, client.ModePrepend} {
		_, err = c.MetaSet(ctx, it, client.SetOptions{Mode: mode})
		want(t, "mode", err, nil)
	}
	wantValue(t, c, key, "vvv")
	cas, err := c.MetaSet(ctx, it, client.SetOptions{})
	if now := wantValue(t, c, key, "v"); err != nil || now.CAS != cas || now.Flags != 9 {
		t.Errorf("CAS %d, %v; then %+v", cas, err, now)
	}
	it.CAS = cas + 1<<40
	_, err = c.MetaSet(ctx, it, client.SetOptions{Compare: true})
	want(t, "of another CAS", err, client.ErrExists)
	_, err = c.MetaSet(ctx, it, client.SetOptions{Mode: client.ModePrepend + 1})
	want(t, "no mode", err, client.ErrOptions)
	it.Key = ""
	_, err = c.MetaSet(ctx, it, client.SetOptions{})
	want(t, "no key", err, client.ErrKey)
}

func checkMetaDelete(t *testing.T, c *client.Client, ctx context.Context) {
	key := unique(t, "key")
	want(t, "delete of nothing", c.MetaDelete(ctx, key, client.DeleteOptions{}), client.ErrNotFound)
	want(t, "set", c.Set(ctx, client.Item{Key: key, Value: []byte("v"), Flags: 4}), nil)
	it := wantValue(t, c, key, "v")
	want(t, "delete of another CAS", c.MetaDelete(ctx, key, client.DeleteOptions{Compare: true, CAS: it.CAS + 1}), client.ErrExists)
	want(t, "delete", c.MetaDelete(ctx, key, client.DeleteOptions{Compare: true, CAS: it.CAS}), nil)
	_, err := c.Get(ctx, key)
	want(t, "get", err, client.ErrMiss)
}

func checkMetaCount(t *testing.T, c *client.Client, ctx context.Context) {
	key := unique(t, "key")
	_, err := c.MetaIncr(ctx, key, 1, client.CountOptions{})
	want(t, "incr of nothing", err, client.ErrNotFound)
	for _, wanted := range []uint64{17, 27} {
		if n, err := c.MetaIncr(ctx, key, 10, client.CountOptions{Vivify: time.Minute, Initial: 17}); n != wanted || err != nil {
			t.Errorf("%d, %v, want %d", n, err, wanted)
		}
	}
	if n, err := c.MetaDecr(ctx, key, 1, client.CountOptions{Touch: true}); n != 26 || err != nil {
		t.Errorf("decr: %d, %v", n, err)
	}
	if n, err := c.MetaIncr(ctx, key, 0, client.CountOptions{}); n != 26 || err != nil {
		t.Errorf("incr by 0: %d, %v", n, err)
	}
	m, err := c.MetaGet(ctx, key, client.GetOptions{})
	if err != nil || m.TTL != 0 {
		t.Errorf("%+v, %v", m, err)
	}
	_, err = c.MetaIncr(ctx, key, 1, client.CountOptions{Compare: true, CAS: m.CAS + 1})
	want(t, "of another CAS", err, client.ErrExists)
}

// TestMetaElsewhere: the other protocols have nothing of it.
func TestMetaElsewhere(t *testing.T) {
	for _, proto := range []protocol.Protocol{protocol.Text, protocol.Binary} {
		c := newClient(t, "127.0.0.1:1", client.Options{Protocol: proto})
		_, err := c.MetaGet(within(t), "key", client.GetOptions{})
		want(t, "get", err, errors.ErrUnsupported)
		_, err = c.MetaSet(within(t), client.Item{Key: "key"}, client.SetOptions{})
		want(t, "set", err, errors.ErrUnsupported)
		want(t, "delete", c.MetaDelete(within(t), "key", client.DeleteOptions{}), errors.ErrUnsupported)
		_, err = c.MetaIncr(within(t), "key", 1, client.CountOptions{})
		want(t, "incr", err, errors.ErrUnsupported)
	}
}
