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
// the most part: one by one, many under way, as bytes, and given up half way.
func TestLocalOnFlash(t *testing.T) {
	cache, err := hearth.Open(t.TempDir(), hearth.Options{
		Memory: 16 << 20, FlashSize: 256 << 20, PageSize: 8 << 20, HotPercent: -1, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	l := server.NewLocal(execute.New(cache, execute.Options{}), server.Options{})
	defer l.Close()
	ctx := t.Context()
	const n = 4000
	key := func(i int) []byte { return fmt.Appendf(nil, "key%d", i%n) }
	value := func(i int) []byte { return bytes.Repeat(key(i), 1000) }
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
	for i := range n / 8 {
		reply, err := l.Do(ctx, get(i))
		check("Do", i, reply, err)
	}
	for i := range n / 8 {
		l.Start(get(i))
	}
	for i := range n / 8 {
		reply, err := l.Next(ctx)
		check("Next", i, reply, err)
	}
	for i := range n / 8 {
		reply, err := l.Execute(ctx, fmt.Appendf(nil, "get %s\r\n", get(i).Args))
		check("Execute", i, reply, err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	gaveUp := 0
	for i := range n / 8 {
		reply, err := l.Do(ended, get(i))
		if errors.Is(err, context.Canceled) {
			gaveUp++
			continue
		}
		check("Do", i, reply, err)
	}
	reply, err := l.Do(ctx, get(1))
	check("Do after all", 1, reply, err)
	if s := cache.Stats(); s.HitsFlash < n/2 {
		t.Errorf("%d values came from flash; %d requests were given up", s.HitsFlash, gaveUp)
	}
}

// TestLocalLarge: so of values that are lent, in RAM and from flash.
func TestLocalLarge(t *testing.T) {
	cache, err := hearth.Open(t.TempDir(), hearth.Options{
		Memory: 64 << 20, FlashSize: 256 << 20, PageSize: 16 << 20, MaxItem: 4 << 20, HotPercent: -1, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	l := server.NewLocal(execute.New(cache, execute.Options{}), server.Options{MaxValue: 4 << 20})
	defer l.Close()
	ctx := t.Context()
	const n, size = 32, 3 << 20
	all := random(size+n, 1)
	for i := range n {
		reply, err := l.Do(ctx, &protocol.Request{Op: protocol.OpSet, Key: fmt.Append(nil, i), Value: all[i : i+size]})
		if string(reply) != protocol.Stored.Line() || err != nil {
			t.Fatalf("set %d: %q, %v", i, reply, err)
		}
	}
	check := func(a, b int, reply []byte, err error) {
		t.Helper()
		want := fmt.Sprintf("VALUE %d 0 %d\r\n%s\r\nVALUE %d 0 %d\r\n%s\r\nEND\r\n", a, size, all[a:a+size], b, size, all[b:b+size])
		if string(reply) != want || err != nil {
			t.Fatalf("%d and %d: %d bytes, %v, want %d", a, b, len(reply), err, len(want))
		}
	}
	get := func(a, b int) *protocol.Request {
		return &protocol.Request{Op: protocol.OpGet, Args: fmt.Appendf(nil, "%d none %d", a, b)}
	}
	for i := range n / 2 {
		reply, err := l.Do(ctx, get(i, n-1-i))
		check(i, n-1-i, reply, err)
	}
	for i := range n / 2 {
		l.Start(get(n-1-i, i))
	}
	for i := range n / 2 {
		reply, err := l.Next(ctx)
		check(n-1-i, i, reply, err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for i := range n / 2 {
		if reply, err := l.Do(ended, get(i, n-1-i)); !errors.Is(err, context.Canceled) {
			check(i, n-1-i, reply, err)
		}
	}
	reply, err := l.Do(ctx, get(1, 2))
	check(1, 2, reply, err)
	if s := cache.Stats(); s.Flash.LentBytes != 0 || s.Mem.PinnedBytes != 0 || s.HitsFlash < n/2 {
		t.Errorf("%d bytes are lent, %d pinned; %d values came from flash", s.Flash.LentBytes, s.Mem.PinnedBytes, s.HitsFlash)
	}
}
