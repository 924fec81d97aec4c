package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

func get(keys string) *protocol.Request {
	return &protocol.Request{Op: protocol.OpGet, Args: []byte(keys)}
}

func set(key string) *protocol.Request {
	return &protocol.Request{Op: protocol.OpSet, Key: []byte(key), Value: []byte("v")}
}

// found is what a get of keys is answered.
func found(keys string) string {
	var b strings.Builder
	for key := range strings.FieldsSeq(keys) {
		b.WriteString(value(key))
	}
	return b.String() + protocol.End
}

// closed checks at the end that nothing of l is under way.
func closed(t *testing.T, l *server.Local, h *later) *server.Local {
	t.Cleanup(func() {
		l.Close()
		if n := h.open.Load(); n != 0 {
			t.Errorf("%d answers are left", n)
		}
	})
	return l
}

func TestLocalDo(t *testing.T) {
	h := &later{}
	l := closed(t, server.NewLocal(h, server.Options{}), h)
	for i := range 200 {
		for _, row := range []struct {
			r    *protocol.Request
			want string
		}{
			{get("now"), found("now")},
			{get("now later now other"), found("now later now other")},
			{get(strings.Repeat("later ", 300)), found(strings.Repeat("later ", 300))},
			{&protocol.Request{Op: protocol.OpGet, Key: []byte("one")}, found("one")},
			{set(fmt.Sprint(i)), protocol.Stored.Line()},
			{&protocol.Request{Op: protocol.OpSet, Key: []byte("k"), Noreply: true}, ""},
			{&protocol.Request{Op: protocol.OpGet, Proto: protocol.Meta, Key: []byte("later"), Echo: []byte(" v")}, "VA 5\r\nlater\r\n"},
			{&protocol.Request{Op: protocol.OpQuit}, ""},
		} {
			got, err := l.Do(t.Context(), row.r)
			if string(got) != row.want || err != nil {
				t.Fatalf("round %d: %.100q, %v, want %.100q", i, got, err, row.want)
			}
		}
	}
}

// TestLocalCopies: the request's bytes are the caller's again at once.
func TestLocalCopies(t *testing.T) {
	h := &later{release: make(chan struct{})}
	l := closed(t, server.NewLocal(h, server.Options{}), h)
	r := get("now never now")
	l.Start(r)
	copy(r.Args, "xxxxxxxxxxxxx")
	close(h.release)
	if got, err := l.Next(t.Context()); string(got) != found("now never now") || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestLocalInOrder: many are under way, replies come in order, and a change waits
// for what is before it and holds what is behind.
func TestLocalInOrder(t *testing.T) {
	h := &later{release: make(chan struct{})}
	l := closed(t, server.NewLocal(h, server.Options{}), h)
	for i := range 100 {
		l.Start(get(fmt.Sprint("never now ", i)))
	}
	until(t, "64 have begun", func() bool { return h.open.Load() == 2*64 })
	if reply, ok := l.Poll(); ok {
		t.Fatalf("a reply before its time: %q", reply)
	}
	l.Start(set("k"))
	l.Start(get("now"))
	if n, sets := l.Len(), h.sets.Load(); n != 102 || sets != 0 {
		t.Errorf("%d to come, %d sets", n, sets)
	}
	close(h.release)
	for i := range 100 {
		got, err := l.Next(t.Context())
		if want := found(fmt.Sprint("never now ", i)); string(got) != want || err != nil {
			t.Fatalf("reply %d: %q, %v", i, got, err)
		}
	}
	for _, want := range []string{protocol.Stored.Line(), found("now")} {
		if got, err := l.Next(t.Context()); string(got) != want || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	if got, err := l.Next(t.Context()); err != io.EOF || l.Len() != 0 {
		t.Errorf("%q, %v, and %d to come", got, err, l.Len())
	}
}

// TestLocalChangeIsAlone: nothing is begun beside a change that waits.
func TestLocalChangeIsAlone(t *testing.T) {
	h := &later{release: make(chan struct{})}
	l := closed(t, server.NewLocal(h, server.Options{}), h)
	l.Start(get("never"))
	l.Start(set("k"))
	l.Start(get("never"))
	if n := h.open.Load(); n != 1 || h.sets.Load() != 0 {
		t.Errorf("%d have begun, %d sets", n, h.sets.Load())
	}
	close(h.release)
	for range 3 {
		if _, err := l.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLocalChangeHolds: so it is when the change has begun before.
func TestLocalChangeHolds(t *testing.T) {
	h := &canceled{}
	l := server.NewLocal(h, server.Options{})
	l.Start(set("k"))
	l.Start(get("a"))
	l.Poll()
	if h.begun != 1 {
		t.Errorf("%d have begun", h.begun)
	}
	l.Close()
}

func TestLocalReady(t *testing.T) {
	h := &later{release: make(chan struct{})}
	l := closed(t, server.NewLocal(h, server.Options{}), h)
	l.Start(get("never"))
	if _, ok := l.Poll(); ok {
		t.Fatal("a reply before its time")
	}
	close(h.release)
	for {
		if reply, ok := l.Poll(); ok {
			if string(reply) != found("never") {
				t.Errorf("%q", reply)
			}
			return
		}
		select {
		case <-l.Ready():
		case <-time.After(10 * time.Second):
			t.Fatal("never ready")
		}
	}
}

// TestLocalContext: Do comes back when ctx ends. What it leaves is told so, is
// stepped to its end, and is in nobody's way.
func TestLocalContext(t *testing.T) {
	h := &later{release: make(chan struct{})}
	l := closed(t, server.NewLocal(h, server.Options{}), h)
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		got, err := l.Do(ctx, get("now never"))
		if cancel(); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%q, %v", got, err)
		}
		if got, err := l.Do(t.Context(), get("now later")); string(got) != found("now later") || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
	}
	l.Start(get("never"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := l.Next(ctx); !errors.Is(err, context.DeadlineExceeded) || l.Len() != 1 {
		t.Errorf("%v, %d to come", err, l.Len())
	}
	close(h.release)
	if got, err := l.Next(t.Context()); string(got) != found("never") || err != nil {
		t.Errorf("after its context %q, %v", got, err)
	}
}

// TestLocalGivenUpAreBounded: who gives up again and again has to wait.
func TestLocalGivenUpAreBounded(t *testing.T) {
	h := &later{release: make(chan struct{})}
	l := closed(t, server.NewLocal(h, server.Options{}), h)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 200 {
		l.Do(ctx, get("never"))
	}
	if n := h.open.Load(); n != 64 {
		t.Errorf("%d are under way", n)
	}
	close(h.release)
	if got, err := l.Do(t.Context(), get("now")); string(got) != found("now") || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// canceled is a Handler whose gets end when they are told that nobody waits.
type canceled struct{ begun, told int }

type endless struct {
	h    *canceled
	done bool
}

func (p *endless) Step(dst []byte) ([]byte, bool) { return dst, p.done }

func (p *endless) Cancel() {
	p.h.told++
	p.done = true
}

func (h *canceled) Get(_ *server.Conn, _ *protocol.Request, dst []byte) ([]byte, server.Pending) {
	h.begun++
	return dst, &endless{h: h}
}

func (h *canceled) Do(_ *server.Conn, _ *protocol.Request, dst []byte) ([]byte, server.Pending) {
	h.begun++
	return dst, &endless{h: h}
}

func TestLocalCancels(t *testing.T) {
	h := &canceled{}
	l := server.NewLocal(h, server.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Do(ctx, get("a b c")); err == nil {
		t.Error("an answer that never comes has come")
	}
	if h.told != 3 {
		t.Errorf("%d were told", h.told)
	}
	l.Start(get("d"))
	l.Execute(ctx, []byte("get e\r\n"))
	l.Close()
	if h.told != 5 {
		t.Errorf("%d were told", h.told)
	}
}

// TestLocalExecute: the bytes of a stream in pieces, with its replies.
func TestLocalExecute(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	h := &later{}
	l := closed(t, server.NewLocal(h, server.Options{}), h)
	var in, want, got bytes.Buffer
	for i := range 3000 {
		key := fmt.Sprint("key", i)
		if rng.IntN(4) == 0 {
			fmt.Fprintf(&in, "set %s 0 0 3\r\nabc\r\n", key)
			want.WriteString(protocol.Stored.Line())
			continue
		}
		fmt.Fprintf(&in, "get %s now\r\n", key)
		want.WriteString(found(key + " now"))
	}
	for in.Len() > 0 {
		replies, err := l.Execute(t.Context(), in.Next(1+rng.IntN(60000)))
		if err != nil {
			t.Fatal(err)
		}
		got.Write(replies)
	}
	if got.String() != want.String() {
		t.Errorf("%d bytes of replies are not the %d wanted", got.Len(), want.Len())
	}
}

func TestLocalExecuteEnds(t *testing.T) {
	h := &later{}
	l := closed(t, server.NewLocal(h, server.Options{}), h)
	for range 3 {
		if got, err := l.Execute(t.Context(), []byte("get a\r\nquit\r\nget b\r\n")); string(got) != found("a") || err != io.EOF {
			t.Errorf("%q, %v", got, err)
		}
		got, err := l.Execute(t.Context(), []byte("\x80\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
		if string(got) != protocol.Stored.Line() || err != nil { // which is all that later has to say
			t.Errorf("binary: %q, %v", got, err)
		}
		if got, err := l.Execute(t.Context(), []byte("get a\r\n")); len(got) > 0 || err != io.EOF {
			t.Errorf("text in between: %q, %v", got, err)
		}
	}
}

func TestLocalsOfManyGoroutines(t *testing.T) {
	h := &later{}
	goroutines := runtime.NumGoroutine()
	var done sync.WaitGroup
	for g := range 8 {
		done.Go(func() {
			l := server.NewLocal(h, server.Options{})
			defer l.Close()
			for i := range 100 {
				keys := fmt.Sprintf("a%d now b%d", g, i)
				if got, err := l.Do(t.Context(), get(keys)); string(got) != found(keys) || err != nil {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
	}
	done.Wait()
	if n := h.open.Load(); n != 0 {
		t.Errorf("%d answers are left", n)
	}
	until(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines })
}

// prompt answers at once, and without allocating.
type prompt struct{ item protocol.Item }

func (h *prompt) Get(_ *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	return protocol.AppendValue(dst, r, r.Key, &h.item), nil
}

func (h *prompt) Do(_ *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	return protocol.AppendOutcome(dst, r, protocol.Stored), nil
}

func TestLocalAllocatesNothing(t *testing.T) {
	l := server.NewLocal(&prompt{}, server.Options{})
	defer l.Close()
	ctx := t.Context()
	one, many, change, in := get("key"), get("key key key"), set("key"), []byte("get key key\r\nset k 0 0 1\r\nv\r\n")
	for name, f := range map[string]func(){
		"Do":      func() { l.Do(ctx, one); l.Do(ctx, change) },
		"Execute": func() { l.Execute(ctx, in) },
		"Start": func() {
			for range 10 {
				l.Start(many)
			}
			for l.Len() > 0 {
				l.Next(ctx)
			}
		},
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkLocalDo(b *testing.B) {
	l := server.NewLocal(&prompt{}, server.Options{})
	defer l.Close()
	ctx, r := b.Context(), get("key")
	for b.Loop() {
		l.Do(ctx, r)
	}
}
