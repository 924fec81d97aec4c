package client_test

import (
	"context"
	"runtime/debug"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol/client"
)

// TestAllocations holds what the package's comment says. The server is another
// process, so that only the client's allocations count.
func TestAllocations(t *testing.T) {
	if raceDetector() {
		t.Skip("the race detector allocates")
	}
	addr := start(t, memcached(t))
	ctx := context.Background()
	for name, proto := range protocols {
		c := newClient(t, addr, client.Options{Protocol: proto})
		it := client.Item{Key: "key", Value: make([]byte, 100)}
		number := client.Item{Key: "number", Value: []byte("1")}
		if err := c.Set(ctx, number); err != nil {
			t.Fatal(err)
		}
		for what, row := range map[string]struct {
			most float64
			do   func() error
		}{
			"set":    {0, func() error { return c.Set(ctx, it) }},
			"get":    {1, func() error { _, err := c.Get(ctx, "key"); return err }},
			"touch":  {0, func() error { return c.Touch(ctx, "key", time.Minute) }},
			"incr":   {0, func() error { _, err := c.Incr(ctx, "number", 1); return err }},
			"miss":   {0, func() error { c.Get(ctx, "miss"); return nil }},
			"delete": {0, func() error { c.Delete(ctx, "miss"); return nil }},
		} {
			if what != "set" {
				c.Set(ctx, it)
			}
			var failed error
			got := testing.AllocsPerRun(500, func() {
				if err := row.do(); err != nil {
					failed = err
				}
			})
			if got > row.most || failed != nil {
				t.Errorf("%s, %s: %v allocations, %v", name, what, got, failed)
			}
		}
	}
}

func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}
