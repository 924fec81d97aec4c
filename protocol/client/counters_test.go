package client_test

import (
	"context"
	"encoding/json"
	"expvar"
	"fmt"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol/client"
)

func TestCounts(t *testing.T) {
	for name, proto := range protocols {
		f := newFake(t, honest)
		c := newClient(t, f.addr(), client.Options{Protocol: proto})
		ctx := within(t)
		c.Get(ctx, "key")
		c.Get(ctx, "miss")
		c.GetMulti(ctx, "one", "missing", "three")
		c.GetMulti(ctx, "missing")
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		c.Get(cancelled, "key")
		c.Gat(ctx, "key", time.Minute)
		c.CompareAndSwap(ctx, client.Item{Key: "key", Value: []byte("value"), CAS: 1})
		c.Delete(ctx, "miss")
		counts := c.Counts()
		get := counts["get"]
		if get.Requests != 5 || get.Keys != 7 || get.Misses != 3 || get.Errors != 1 || get.Sent < 40 || get.Received < 40 {
			t.Errorf("%s: get %+v", name, get)
		}
		sum := uint64(0)
		for _, n := range get.Latency {
			sum += n
		}
		if sum != get.Requests {
			t.Errorf("%s: latencies of %d requests", name, sum)
		}
		if cas := counts["cas"]; cas.Requests != 1 || cas.Errors+cas.Misses != 0 || cas.Sent < 10 {
			t.Errorf("%s: cas %+v", name, cas)
		}
		if d := counts["delete"]; d.Requests != 1 || d.Misses != 1 || d.Errors != 0 {
			t.Errorf("%s: delete %+v", name, d)
		}
		if len(counts) != 4 {
			t.Errorf("%s: %d operations", name, len(counts))
		}
	}
}

func TestPublish(t *testing.T) {
	f := newFake(t, honest)
	c := newClient(t, f.addr(), client.Options{})
	name := fmt.Sprint("hearth-test-", time.Now().UnixNano()) // for -count
	want(t, "publish", c.Publish(name), nil)
	want(t, "publish again", c.Publish(name), client.ErrOptions)
	wantValue(t, c, "key", "key=key=")
	var counts map[string]client.OpCounts
	if err := json.Unmarshal([]byte(expvar.Get(name).String()), &counts); err != nil || counts["get"].Requests != 1 {
		t.Errorf("%v, %v", counts, err)
	}
}
