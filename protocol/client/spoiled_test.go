package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/client"
)

// spoiler is a writer of replies that does something wrong once, at one byte.
type spoiler struct {
	nc      net.Conn
	how     string
	at      int
	written []byte
	stuck   bool
	over    atomic.Bool  // from now on, do nothing wrong
	before  atomic.Int64 // bytes written until then
}

// spoilers are the ways, with how many bytes lie between two places. A stall takes
// a timeout.
var spoilers = []struct {
	how  string
	step int
}{{"cut", 1}, {"flip", 1}, {"drop", 1}, {"insert", 1}, {"line", 2}, {"repeat", 2}, {"stall", 4}}

func (s *spoiler) Write(b []byte) (int, error) {
	if s.stuck && !s.over.Load() {
		return len(b), nil
	}
	i := s.at - len(s.written)
	s.written = append(s.written, b...)
	if !s.over.Load() {
		s.before.Store(int64(len(s.written)))
	}
	if i < 0 || i >= len(b) || s.over.Load() {
		return s.nc.Write(b)
	}
	before, after := b[:i:i], b[i:]
	if s.how != "stall" { // a wrong length may have the client wait
		defer time.AfterFunc(50*time.Millisecond, func() { s.nc.Close() })
	}
	switch s.how {
	case "cut":
		s.nc.Write(before)
		return 0, errors.Join(s.nc.Close(), net.ErrClosed)
	case "stall":
		s.stuck = true
		return s.nc.Write(before)
	case "flip":
		bit := s.at % 8
		if '0' <= after[0] && after[0] <= '9' {
			bit = 7 // another digit may be another length, and by chance lead to a line end
		}
		after = append([]byte{after[0] ^ 1<<bit}, after[1:]...)
	case "drop":
		after = after[1:]
	case "insert":
		after = append([]byte{'x'}, after...)
	case "line":
		after = append([]byte("\r\n"), after...)
	case "repeat":
		after = append(append([]byte(nil), s.written[:s.at]...), after...)
	}
	if _, err := s.nc.Write(append(before, after...)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// TestSpoiledReplies has one byte of the replies to some requests go wrong, in
// every way and at every place. Each caller must get the answer to his own
// request or an error, within bounded time; the requests after that must succeed
// soon; and nothing may be left behind.
func TestSpoiledReplies(t *testing.T) {
	for name, proto := range protocols {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			whole := runSpoiled(t, proto, "", -1)
			var all sync.WaitGroup
			bound := make(chan struct{}, 64)
			for _, s := range spoilers {
				for at := 0; at < whole; at += s.step {
					bound <- struct{}{}
					all.Go(func() {
						runSpoiled(t, proto, s.how, at)
						<-bound
					})
				}
			}
			all.Wait()
		})
	}
}

// runSpoiled runs some requests at once and returns how many bytes of replies
// there were on the first connection.
func runSpoiled(t *testing.T, proto protocol.Protocol, how string, at int) int {
	s := &spoiler{how: how, at: at}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Error(err)
		return 0
	}
	f := &fake{listener: l, serve: func(nc net.Conn, number int) {
		if number > 0 {
			honest(nc, number)
			return
		}
		s.nc = nc
		answerAll(nc, s)
	}}
	f.ended.Go(f.accept)
	opts := client.Options{Protocol: proto, Connections: 1, Timeout: patience}
	if how == "stall" {
		opts.Timeout = 200 * time.Millisecond
	}
	c, err := client.New(f.addr(), opts)
	if err != nil {
		t.Error(err)
		return 0
	}
	r := &spoiledRun{t, c, fmt.Sprintf("%s at %d", how, at), how, proto}
	r.requests()
	r.get(within(t), "afterwards")
	s.over.Store(true)
	r.atLast()
	c.Close()
	l.Close()
	f.ended.Wait()
	return int(s.before.Load())
}

type spoiledRun struct {
	t     *testing.T
	c     *client.Client
	name  string
	how   string
	proto protocol.Protocol
}

// requests has each caller check his answer.
func (r *spoiledRun) requests() {
	ctx := within(r.t)
	var all sync.WaitGroup
	for _, do := range []func(){
		func() { r.get(ctx, "first") },
		func() { r.get(ctx, "miss") },
		func() { r.multi(ctx, "one", "missing", "three") },
		func() { r.failed(r.c.Set(ctx, client.Item{Key: "key", Value: []byte("value")})) },
		func() { r.incr(ctx, "counter", 4711) },
		func() { r.failed(r.c.Delete(ctx, "key")) },
		func() { r.get(ctx, "last") },
	} {
		all.Go(do)
	}
	all.Wait()
}

// atLast wants the connection to be in step again or given up. The spoiled one may
// end only now.
func (r *spoiledRun) atLast() {
	var it client.Item
	err := errors.New("not tried")
	for try, begun := 0, time.Now(); err != nil && try < 3; {
		it, err = r.c.Get(within(r.t), "at-last")
		if !errors.Is(err, client.ErrTimeout) || time.Since(begun) > patience { // short, for stall
			try++
		}
	}
	if err != nil || string(it.Value) != string(valueOf([]byte(it.Key))) {
		r.t.Errorf("%s: at last: %q, %v", r.name, it.Value, err)
	}
}

// failed wants no error where nothing is spoiled, and none but a connection's or
// a server's where something is.
func (r *spoiledRun) failed(err error) bool {
	var conn *client.ConnError
	var reply *client.ReplyError
	known := errors.As(err, &conn) || errors.As(err, &reply) || r.undetectable(err)
	if err != nil && (r.how == "" || !known) {
		r.t.Errorf("%s: %v", r.name, err)
	}
	return err != nil
}

// undetectable tells errors that the answer to another request, or one changed
// byte, can bring in text: it has neither opaque nor checksum.
func (r *spoiledRun) undetectable(err error) bool {
	for _, e := range []error{client.ErrMiss, client.ErrNotFound, client.ErrNotStored, client.ErrExists, client.ErrNotNumeric, client.ErrTooLarge, client.ErrNoMemory} {
		if errors.Is(err, e) {
			return r.how == "flip" || r.how == "repeat" && r.proto == protocol.Text || r.blind()
		}
	}
	return false
}

func (r *spoiledRun) get(ctx context.Context, key string) {
	it, err := r.c.Get(ctx, key)
	if missing([]byte(key)) {
		if err == nil {
			if !r.blind() {
				r.t.Errorf("%s: %s was found: %q", r.name, key, it.Value)
			}
		} else if !errors.Is(err, client.ErrMiss) {
			r.failed(err)
		}
		return
	}
	if !r.failed(err) {
		r.value(key, it.Value)
	}
}

func (r *spoiledRun) multi(ctx context.Context, keys ...string) {
	found, err := r.c.GetMulti(ctx, keys...)
	r.failed(err)
	for key, it := range found {
		if it.Key != key || missing([]byte(key)) && r.exact() { // a changed opaque is another's
			r.t.Errorf("%s: %s was found as %s", r.name, key, it.Key)
		}
		if !missing([]byte(key)) {
			r.value(key, it.Value)
		}
	}
}

// exact tells whether all bytes that came are right.
func (r *spoiledRun) exact() bool { return r.how == "" || r.how == "cut" || r.how == "stall" }

// blind tells whether wrong bytes within a value can go unnoticed: binary has
// nothing that marks its end, and what is repeated may have such a mark in the
// right place.
func (r *spoiledRun) blind() bool {
	return !r.exact() && (r.proto == protocol.Binary || r.how == "repeat")
}

// value wants key's value, but for a byte where one was changed. Another key's
// it may never be.
func (r *spoiledRun) value(key string, got []byte) {
	want, differ := valueOf([]byte(key)), 0
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			differ++
		}
	}
	wrong := len(got) != len(want) || differ > 1 || differ == 1 && r.how != "flip"
	if r.blind() {
		wrong = false
		for _, other := range []string{"first", "one", "three", "last", "afterwards"} {
			wrong = wrong || other != key && bytes.Equal(got, valueOf([]byte(other)))
		}
	}
	if wrong {
		r.t.Errorf("%s: %s has %q", r.name, key, got)
	}
}

func (r *spoiledRun) incr(ctx context.Context, key string, delta uint64) {
	got, err := r.c.Incr(ctx, key, delta)
	if !r.failed(err) && got != delta && r.exact() {
		r.t.Errorf("%s: incr by %d gave %d", r.name, delta, got)
	}
}
