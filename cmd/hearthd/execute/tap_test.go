package execute_test

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/cmd/hearthd/execute"
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

func newHandler(t testing.TB, tap *execute.Tap) *execute.Handler {
	cache, err := hearth.Open("", hearth.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cache.Close() })
	return execute.New(cache, execute.Options{Tap: tap})
}

// TestTap: a listener hears of each request once, with what there was before, and
// of none while the tap is off.
func TestTap(t *testing.T) {
	tap, heard := &execute.Tap{}, []string(nil)
	h := newHandler(t, tap)
	tap.Told = func(_ *server.Conn, r *protocol.Request, res *protocol.Result, was execute.Was, before *protocol.Item) {
		if (before != nil) != (was == execute.Present) {
			t.Errorf("was %v, before %v", was, before)
		}
		size := -1
		if before != nil {
			size = before.Size
		}
		heard = append(heard, fmt.Sprint(string(r.Key), " ", res.Outcome, " ", was, " ", size, " ", res.Item.Size))
	}
	key := []byte("k")
	do := func(r protocol.Request) {
		r.Key = key
		if r.Op.Retrieval() {
			h.Get(nil, &r, nil)
		} else {
			h.Do(nil, &r, nil)
		}
	}
	do(protocol.Request{Op: protocol.OpSet, Value: []byte("unheard")})
	do(protocol.Request{Op: protocol.OpDelete})
	tap.On.Store(true)
	do(protocol.Request{Op: protocol.OpGet})
	do(protocol.Request{Op: protocol.OpSet, Value: []byte("abc")})
	do(protocol.Request{Op: protocol.OpGet})
	do(protocol.Request{Op: protocol.OpGat, Exptime: 100})
	do(protocol.Request{Op: protocol.OpAppend, Value: []byte("de")})
	do(protocol.Request{Op: protocol.OpAdd, Value: []byte("x")})
	do(protocol.Request{Op: protocol.OpIncr, Delta: 1})
	do(protocol.Request{Op: protocol.OpTouch, Exptime: -1, HasExp: true})
	do(protocol.Request{Op: protocol.OpGet})
	do(protocol.Request{Op: protocol.OpSet, Value: []byte("past"), Exptime: -1})
	do(protocol.Request{Op: protocol.OpSet, TooLarge: true})
	do(protocol.Request{Op: protocol.OpDelete})
	do(protocol.Request{Op: protocol.OpGet, Proto: protocol.Meta, Vivify: true})
	do(protocol.Request{Op: protocol.OpDelete, Proto: protocol.Meta})
	do(protocol.Request{Op: protocol.OpVersion})
	tap.On.Store(false)
	do(protocol.Request{Op: protocol.OpGet})
	said := func(o protocol.Outcome, was execute.Was, before, after int) string {
		return fmt.Sprint("k ", o, " ", was, " ", before, " ", after)
	}
	want := []string{
		said(protocol.Miss, execute.Absent, -1, 0), said(protocol.Stored, execute.Absent, -1, 3),
		said(protocol.Hit, execute.Present, 3, 3), said(protocol.Hit, execute.Present, 3, 3),
		said(protocol.Stored, execute.Present, 3, 5), said(protocol.NotStored, execute.Present, 5, 0),
		said(protocol.NonNumeric, execute.Present, 5, 0), said(protocol.Touched, execute.Present, 5, 5),
		said(protocol.Miss, execute.Expired, -1, 0), said(protocol.Stored, execute.Absent, -1, 4),
		said(protocol.TooLarge, execute.Absent, -1, 0), said(protocol.NotFound, execute.Absent, -1, 0),
		said(protocol.Miss, execute.Absent, -1, 0), said(protocol.Deleted, execute.Present, 0, 0),
	}
	if !slices.Equal(heard, want) {
		t.Errorf("heard\n%q\nwant\n%q", heard, want)
	}
}

// BenchmarkGet is what a tap costs a hit in RAM.
func BenchmarkGet(b *testing.B) {
	off, on := &execute.Tap{}, &execute.Tap{Told: func(*server.Conn, *protocol.Request, *protocol.Result, execute.Was, *protocol.Item) {}}
	on.On.Store(true)
	for _, c := range []struct {
		name string
		tap  *execute.Tap
	}{{"none", nil}, {"off", off}, {"on", on}} {
		b.Run(c.name, func(b *testing.B) {
			h := newHandler(b, c.tap)
			r := &protocol.Request{Op: protocol.OpSet, Key: []byte("key"), Value: make([]byte, 100)}
			h.Do(nil, r, nil)
			r.Op, r.Value = protocol.OpGet, nil
			dst := make([]byte, 0, 1000)
			b.ReportAllocs()
			for b.Loop() {
				if out, _ := h.Get(nil, r, dst); len(out) < 100 {
					b.Fatal("miss")
				}
			}
		})
	}
}
