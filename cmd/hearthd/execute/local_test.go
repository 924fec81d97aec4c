package execute_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/cmd/hearthd/execute"
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// TestLocalOnFlash: requests in process, of a cache whose values are on flash for
// the most part: one by one, many under way, as bytes, and given up half way. Large
// values are lent, in RAM and from flash.
func TestLocalOnFlash(t *testing.T) {
	key := func(i int) []byte { return fmt.Appendf(nil, "key%d", i) }
	const large, largeSize = 32, 3 << 20
	all := random(largeSize+large, 1)
	for name, row := range map[string]struct {
		o        hearth.Options
		n        int // values
		requests int // of each kind, each for two of them
		value    func(i int) []byte
	}{
		"small": {hearth.Options{Memory: 16 << 20, PageSize: 8 << 20}, 4000, 500, func(i int) []byte { return bytes.Repeat(key(i), 1000) }},
		"large": {hearth.Options{Memory: 64 << 20, PageSize: 16 << 20, MaxItem: 4 << 20}, large, large / 2, func(i int) []byte { return all[i : i+largeSize] }},
	} {
		t.Run(name, func(t *testing.T) {
			row.o.FlashSize, row.o.HotPercent, row.o.Logger = 256<<20, -1, slog.New(slog.DiscardHandler)
			testLocal(t, row.o, row.n, row.requests, key, row.value)
		})
	}
}

func testLocal(t *testing.T, o hearth.Options, n, requests int, keyOf, valueOf func(i int) []byte) {
	cache, err := hearth.Open(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	l := server.NewLocal(execute.New(cache, execute.Options{}), server.Options{MaxValue: o.MaxItem})
	defer l.Close()
	ctx := t.Context()
	key, value := func(i int) []byte { return keyOf(i % n) }, func(i int) []byte { return valueOf(i % n) }
	for i := range n {
		reply, err := l.Do(ctx, &protocol.Request{Op: protocol.OpSet, Key: key(i), Value: value(i)})
		if string(reply) != protocol.Stored.Line() || err != nil {
			t.Fatalf("set %d: %q, %v", i, reply, err)
		}
	}
	want := func(i int) []byte {
		a, b := &protocol.Request{Key: key(i)}, &protocol.Request{Key: key(i + n/2)}
		dst := protocol.AppendValue(nil, a, value(i), &protocol.Item{})
		return append(protocol.AppendValue(dst, b, value(i+n/2), &protocol.Item{}), protocol.End...)
	}
	get := func(i int) *protocol.Request {
		return &protocol.Request{Op: protocol.OpGet, Args: fmt.Appendf(nil, "%s none %s", key(i), key(i+n/2))}
	}
	check := func(how string, i int, reply []byte, err error) {
		t.Helper()
		if !bytes.Equal(reply, want(i)) || err != nil {
			t.Fatalf("%s %d: %.50q, %v", how, i, reply, err)
		}
	}
	for i := range requests {
		reply, err := l.Do(ctx, get(i))
		check("Do", i, reply, err)
	}
	for i := range requests {
		l.Start(get(i))
	}
	for i := range requests {
		reply, err := l.Next(ctx)
		check("Next", i, reply, err)
	}
	for i := range requests {
		reply, err := l.Execute(ctx, fmt.Appendf(nil, "get %s\r\n", get(i).Args))
		check("Execute", i, reply, err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	gaveUp := 0
	for i := range requests {
		reply, err := l.Do(ended, get(i))
		if errors.Is(err, context.Canceled) {
			gaveUp++
			continue
		}
		check("Do", i, reply, err)
	}
	reply, err := l.Do(ctx, get(1))
	check("Do after all", 1, reply, err)
	s := cache.Stats()
	if s.HitsFlash < uint64(n)/2 {
		t.Errorf("%d values came from flash; %d requests were given up", s.HitsFlash, gaveUp)
	}
	if s.Flash.LentBytes != 0 || s.Mem.PinnedBytes != 0 {
		t.Errorf("%d bytes are lent, %d pinned", s.Flash.LentBytes, s.Mem.PinnedBytes)
	}
}
