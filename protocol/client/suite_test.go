package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/client"
)

var protocols = map[string]protocol.Protocol{"text": protocol.Text, "meta": protocol.Meta, "binary": protocol.Binary}

// servers are what every protocol is tried against.
var servers = map[string]func(t *testing.T) (addr string, flash bool){
	"memcached": func(t *testing.T) (string, bool) { return start(t, memcached(t), "-m", "64"), false },
	"hearthd":   func(t *testing.T) (string, bool) { return start(t, hearthd(t), "-m", "64"), false },
	"hearthd with flash": func(t *testing.T) (string, bool) {
		return start(t, hearthd(t), "-m", "16", "-o", "ext_path="+t.TempDir()+":1g,ext_page_size=4"), true
	},
}

// TestServers runs every check in every protocol against every server.
func TestServers(t *testing.T) {
	for server, begin := range servers {
		t.Run(server, func(t *testing.T) {
			addr, flash := begin(t)
			for name, proto := range protocols {
				t.Run(name, func(t *testing.T) {
					c := newClient(t, addr, client.Options{Protocol: proto})
					for name, check := range checks {
						t.Run(name, func(t *testing.T) { check(t, c, within(t)) })
					}
					if proto == protocol.Meta {
						t.Run("meta", func(t *testing.T) { checkMeta(t, c, within(t)) })
					}
					if flash {
						t.Run("flash", func(t *testing.T) { checkFlash(t, c, within(t)) })
					}
				})
			}
		})
	}
}

var checks = map[string]func(t *testing.T, c *client.Client, ctx context.Context){
	"store": checkStore, "cas": checkCAS, "count": checkCount, "expire": checkExpire,
	"multi": checkMulti, "large": checkLarge, "server": checkServer, "keys": checkKeys,
	"concurrent": checkConcurrent,
}

// want compares an error, nil or one of the package's.
func want(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) || want == nil && got != nil {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// wantValue gets a key and compares.
func wantValue(t *testing.T, c *client.Client, key, value string) client.Item {
	t.Helper()
	it, err := c.Get(within(t), key)
	if err != nil || string(it.Value) != value || it.Key != key {
		t.Errorf("get %.40q: got %.40q of %d bytes, key %q, %v; want %.40q", key, it.Value, len(it.Value), it.Key, err, value)
	}
	return it
}

// unique is a key that no other check and no other protocol uses.
func unique(t *testing.T, name string) string {
	return strings.NewReplacer("/", ".", "_", "-").Replace(t.Name()) + "." + name
}

func checkStore(t *testing.T, c *client.Client, ctx context.Context) {
	key := unique(t, "key")
	_, err := c.Get(ctx, key)
	want(t, "get of nothing", err, client.ErrMiss)
	want(t, "replace of nothing", c.Replace(ctx, client.Item{Key: key}), client.ErrNotStored)
	want(t, "append to nothing", c.Append(ctx, key, []byte("x")), client.ErrNotStored)
	want(t, "prepend to nothing", c.Prepend(ctx, key, []byte("x")), client.ErrNotStored)
	want(t, "delete of nothing", c.Delete(ctx, key), client.ErrNotFound)
	want(t, "add", c.Add(ctx, client.Item{Key: key, Value: []byte("a"), Flags: math.MaxUint32}), nil)
	want(t, "add again", c.Add(ctx, client.Item{Key: key}), client.ErrNotStored)
	if it := wantValue(t, c, key, "a"); it.Flags != math.MaxUint32 || it.CAS == 0 {
		t.Errorf("flags %d, CAS %d", it.Flags, it.CAS)
	}
	want(t, "append", c.Append(ctx, key, []byte("ppend")), nil)
	want(t, "prepend", c.Prepend(ctx, key, []byte("pre")), nil)
	if it := wantValue(t, c, key, "preappend"); it.Flags != math.MaxUint32 {
		t.Errorf("flags %d", it.Flags)
	}
	want(t, "replace", c.Replace(ctx, client.Item{Key: key, Value: []byte("r")}), nil)
	wantValue(t, c, key, "r")
	want(t, "set", c.Set(ctx, client.Item{Key: key, Value: []byte("\r\nEND\r\n"), Flags: 1}), nil)
	if it := wantValue(t, c, key, "\r\nEND\r\n"); it.Flags != 1 {
		t.Errorf("flags %d", it.Flags)
	}
	want(t, "set of nothing", c.Set(ctx, client.Item{Key: key}), nil)
	if it := wantValue(t, c, key, ""); it.Value == nil {
		t.Error("an empty value is nil")
	}
	want(t, "delete", c.Delete(ctx, key), nil)
	_, err = c.Get(ctx, key)
	want(t, "get after delete", err, client.ErrMiss)
}

func checkCAS(t *testing.T, c *client.Client, ctx context.Context) {
	key := unique(t, "key")
	want(t, "cas of nothing", c.CompareAndSwap(ctx, client.Item{Key: key, CAS: 1}), client.ErrNotFound)
	want(t, "set", c.Set(ctx, client.Item{Key: key, Value: []byte("1")}), nil)
	it := wantValue(t, c, key, "1")
	want(t, "cas of 0", c.CompareAndSwap(ctx, client.Item{Key: key}), client.ErrExists)
	it.Value = []byte("2")
	want(t, "cas", c.CompareAndSwap(ctx, it), nil)
	want(t, "cas again", c.CompareAndSwap(ctx, it), client.ErrExists)
	if now := wantValue(t, c, key, "2"); now.CAS == it.CAS {
		t.Error("the CAS did not change")
	}
}

func checkCount(t *testing.T, c *client.Client, ctx context.Context) {
	key := unique(t, "key")
	_, err := c.Incr(ctx, key, 1)
	want(t, "incr of nothing", err, client.ErrNotFound)
	_, err = c.Decr(ctx, key, 1)
	want(t, "decr of nothing", err, client.ErrNotFound)
	want(t, "set", c.Set(ctx, client.Item{Key: key, Value: []byte("18446744073709551614")}), nil)
	for _, step := range []struct {
		do    func(context.Context, string, uint64) (uint64, error)
		delta uint64
		want  uint64
	}{
		{c.Incr, 1, math.MaxUint64}, {c.Incr, 3, 2}, {c.Decr, 1, 1}, {c.Decr, 5, 0}, {c.Incr, math.MaxUint64, math.MaxUint64},
	} {
		if got, err := step.do(ctx, key, step.delta); got != step.want || err != nil {
			t.Errorf("%d, %v; want %d", got, err, step.want)
		}
	}
	want(t, "set", c.Set(ctx, client.Item{Key: key, Value: []byte("x")}), nil)
	_, err = c.Incr(ctx, key, 1)
	want(t, "incr of x", err, client.ErrNotNumeric)
	wantValue(t, c, key, "x")
}

func checkExpire(t *testing.T, c *client.Client, ctx context.Context) {
	key := unique(t, "key")
	want(t, "touch of nothing", c.Touch(ctx, key, time.Minute), client.ErrNotFound)
	_, err := c.Gat(ctx, key, time.Minute)
	want(t, "gat of nothing", err, client.ErrMiss)
	for name, expire := range map[string]func() error{
		"touch": func() error { return c.Touch(ctx, key, -1) },
		"gat":   func() error { _, err := c.Gat(ctx, key, -1); return err },
		"set":   func() error { return c.Set(ctx, client.Item{Key: key, TTL: -1}) },
	} {
		want(t, "set", c.Set(ctx, client.Item{Key: key, Value: []byte("v"), TTL: 100 * 24 * time.Hour, Flags: 3}), nil)
		want(t, "touch", c.Touch(ctx, key, time.Millisecond), nil) // rounded up
		it, err := c.Gat(ctx, key, time.Minute)
		if err != nil || string(it.Value) != "v" || it.Flags != 3 || it.CAS == 0 {
			t.Errorf("gat: %+v, %v", it, err)
		}
		want(t, name, expire(), nil)
		_, err = c.Get(ctx, key)
		want(t, "get after "+name, err, client.ErrMiss)
	}
}

func checkMulti(t *testing.T, c *client.Client, ctx context.Context) {
	var keys []string
	for i := range 500 {
		key := unique(t, strconv.Itoa(i))
		keys = append(keys, key)
		if i%3 > 0 {
			want(t, "set", c.Set(ctx, client.Item{Key: key, Value: []byte(key), Flags: uint32(i)}), nil)
		}
	}
	keys = append(keys, keys[1], keys[0], keys[1]) // again
	found, err := c.GetMulti(ctx, keys...)
	want(t, "multi-get", err, nil)
	for i, key := range keys[:500] {
		it, ok := found[key]
		if ok != (i%3 > 0) || ok && (it.Key != key || string(it.Value) != key || it.Flags != uint32(i) || it.CAS == 0) {
			t.Fatalf("%s: %v, %+v", key, ok, it)
		}
	}
	found, err = c.GetMulti(ctx, keys[0])
	if len(found) != 0 || err != nil {
		t.Errorf("of one miss: %v, %v", found, err)
	}
	found, err = c.GetMulti(ctx)
	if len(found) != 0 || err != nil {
		t.Errorf("of nothing: %v, %v", found, err)
	}
}

func checkLarge(t *testing.T, c *client.Client, ctx context.Context) {
	key := unique(t, "key")
	value := bytes.Repeat([]byte("0123456789abcdef"), 1<<20/16-64)
	want(t, "set", c.Set(ctx, client.Item{Key: key, Value: value}), nil)
	wantValue(t, c, key, string(value))
	want(t, "set of 3 MB", c.Set(ctx, client.Item{Key: key, Value: make([]byte, 3<<20)}), client.ErrTooLarge)
	_, err := c.Get(ctx, key)
	want(t, "get after it", err, client.ErrMiss)
}

func checkServer(t *testing.T, c *client.Client, ctx context.Context) {
	if version, err := c.Version(ctx); err != nil || !strings.Contains(version, ".") {
		t.Errorf("version %q, %v", version, err)
	}
	stats, err := c.Stats(ctx, "")
	if err != nil || stats["pid"] == "" || stats["curr_items"] == "" || stats["version"] == "" {
		t.Errorf("%d statistics, %v", len(stats), err)
	}
	stats, err = c.Stats(ctx, "settings")
	if err != nil || stats["maxconns"] == "" {
		t.Errorf("%d settings, %v", len(stats), err)
	}
	stats, err = c.Stats(ctx, "reset")
	if err != nil || len(stats) != 0 {
		t.Errorf("%d of a reset, %v", len(stats), err)
	}
	key := unique(t, "key")
	want(t, "set", c.Set(ctx, client.Item{Key: key}), nil)
	want(t, "flush later", c.FlushAll(ctx, time.Hour), nil)
	wantValue(t, c, key, "")
	want(t, "flush", c.FlushAll(ctx, 0), nil)
	_, err = c.Get(ctx, key)
	want(t, "get after flush", err, client.ErrMiss)
}

func checkKeys(t *testing.T, c *client.Client, ctx context.Context) {
	longest := strings.Repeat("k", 250)
	want(t, "longest key", c.Set(ctx, client.Item{Key: longest, Value: []byte("long")}), nil)
	wantValue(t, c, longest, "long")
	odd := "a key\r\nwith everything \x00\xff"
	if err := c.Set(ctx, client.Item{Key: odd, Value: []byte("odd")}); err == nil {
		wantValue(t, c, odd, "odd")
		if found, err := c.GetMulti(ctx, longest, odd); len(found) != 2 || string(found[odd].Value) != "odd" {
			t.Errorf("multi-get of an odd key: %v, %v", found, err)
		}
	} else {
		want(t, "odd key", err, client.ErrKey)
	}
	for _, key := range []string{"", longest + "k"} {
		want(t, "set", c.Set(ctx, client.Item{Key: key}), client.ErrKey)
		want(t, "append", c.Append(ctx, key, nil), client.ErrKey)
		want(t, "delete", c.Delete(ctx, key), client.ErrKey)
		want(t, "touch", c.Touch(ctx, key, 0), client.ErrKey)
		_, err := c.Get(ctx, key)
		want(t, "get", err, client.ErrKey)
		_, err = c.Incr(ctx, key, 1)
		want(t, "incr", err, client.ErrKey)
		_, err = c.GetMulti(ctx, "good", key)
		want(t, "multi-get", err, client.ErrKey)
	}
	_, err := c.Stats(ctx, "a\r\nflush_all")
	want(t, "stats", err, client.ErrKey)
}

// checkConcurrent: whatever the answers' order and whoever gives up, each caller
// gets the answer to his own request.
func checkConcurrent(t *testing.T, c *client.Client, ctx context.Context) {
	var all sync.WaitGroup
	for g := range 16 {
		all.Go(func() {
			for i := range 100 {
				key := unique(t, fmt.Sprint(g, ".", i%10))
				value := fmt.Sprint(key, "=", i)
				if err := c.Set(ctx, client.Item{Key: key, Value: []byte(value), Flags: uint32(g)}); err != nil {
					t.Error(err)
					return
				}
				if i%7 == 0 {
					hurried, cancel := context.WithTimeout(ctx, time.Duration(i)*time.Microsecond)
					c.GetMulti(hurried, key, "another")
					cancel()
				}
				if it := wantValue(t, c, key, value); it.Flags != uint32(g) {
					t.Errorf("flags %d, want %d", it.Flags, g)
				}
			}
		})
	}
	all.Wait()
}

// checkFlash reads values back that RAM has no room for.
func checkFlash(t *testing.T, c *client.Client, ctx context.Context) {
	const n, each = 24_000, 1024
	value := func(i int) []byte {
		return append(bytes.Repeat([]byte("v"), each-8), fmt.Sprintf("%08d", i)...)
	}
	parallel(t, n, func(i int) error {
		return c.Set(ctx, client.Item{Key: unique(t, strconv.Itoa(i)), Value: value(i)})
	})
	parallel(t, n/50, func(i int) error {
		keys := make([]string, 50)
		for j := range keys {
			keys[j] = unique(t, strconv.Itoa(i*50+j))
		}
		found, err := c.GetMulti(ctx, keys...)
		for j, key := range keys {
			if err == nil && !bytes.Equal(found[key].Value, value(i*50+j)) {
				return fmt.Errorf("%s: %d bytes, not what was set", key, len(found[key].Value))
			}
		}
		return err
	})
	stats, err := c.Stats(ctx, "")
	if err != nil || stats["hearth_hits_flash"] == "0" || stats["hearth_hits_flash"] == "" {
		t.Errorf("%q hits on flash, %v", stats["hearth_hits_flash"], err)
	}
}

// parallel calls do for 0 to n-1 from 32 goroutines.
func parallel(t testing.TB, n int, do func(i int) error) {
	var all sync.WaitGroup
	for g := range 32 {
		all.Go(func() {
			for i := g; i < n; i += 32 {
				if err := do(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}
