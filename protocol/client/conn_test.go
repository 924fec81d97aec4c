package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol/client"
)

// gate keeps a fake's replies back until it is opened.
type gate struct {
	mu     sync.Mutex
	out    io.Writer
	open   bool
	behind []byte
}

// newGate returns a gate that is open once opened is closed.
func newGate(out io.Writer, opened chan struct{}) *gate {
	g := &gate{out: out}
	go func() {
		<-opened
		g.mu.Lock()
		defer g.mu.Unlock()
		g.open = true
		g.out.Write(g.behind)
	}()
	return g
}

func (g *gate) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.open {
		g.behind = append(g.behind, b...)
		return len(b), nil
	}
	return g.out.Write(b)
}

// TestGivenUp: a request whose caller gave up does not shift the answers to
// those behind it, and does not cost the connection.
func TestGivenUp(t *testing.T) {
	for name, proto := range protocols {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			opened := make(chan struct{})
			open := sync.OnceFunc(func() { close(opened) })
			t.Cleanup(open)
			f := newFake(t, func(nc net.Conn, number int) { answerAll(nc, newGate(nc, opened)) })
			c := newClient(t, f.addr(), client.Options{Protocol: proto, Connections: 1})
			for i := range 20 {
				hurried, cancel := context.WithTimeout(context.Background(), time.Millisecond)
				_, err := c.Get(hurried, fmt.Sprint("given-up-", i))
				want(t, "get", err, context.DeadlineExceeded)
				_, err = c.GetMulti(hurried, "one", "missing")
				want(t, "multi-get", err, context.DeadlineExceeded)
				cancel()
				_, err = c.Incr(hurried, "counter", uint64(i))
				want(t, "incr", err, context.DeadlineExceeded)
			}
			open()
			wantValue(t, c, "key", string(valueOf([]byte("key"))))
			if got, err := c.Incr(within(t), "counter", 4711); got != 4711 || err != nil {
				t.Errorf("%d, %v", got, err)
			}
			if n := f.accepted.Load(); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// TestGivenUpAtRandom: whoever gives up when, each answer goes to its request.
func TestGivenUpAtRandom(t *testing.T) {
	for name, proto := range protocols {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			f := newFake(t, honest)
			c := newClient(t, f.addr(), client.Options{Protocol: proto, Pipeline: 20})
			var hits, lost atomic.Int64
			parallel(t, 3000, func(i int) error {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(400))*time.Microsecond)
				defer cancel()
				key := fmt.Sprint("key-", i)
				it, err := c.Get(ctx, key)
				switch {
				case err == nil && !bytes.Equal(it.Value, valueOf([]byte(key))):
					return fmt.Errorf("%s: %q", key, it.Value)
				case err == nil:
					hits.Add(1)
				case errors.Is(err, context.DeadlineExceeded):
					lost.Add(1)
				default:
					return err
				}
				return nil
			})
			t.Logf("%d hits, %d given up", hits.Load(), lost.Load())
			wantValue(t, c, "key", string(valueOf([]byte("key"))))
		})
	}
}

// TestBounds: there are never more connections or requests under way than the
// options allow, all of both are used, and who has to wait gets his turn.
func TestBounds(t *testing.T) {
	for _, opts := range []client.Options{{Connections: 1, Pipeline: 1}, {Connections: 3, Pipeline: 1}, {Connections: 2, Pipeline: 5}} {
		noLeaks(t)
		opened := make(chan struct{})
		open := sync.OnceFunc(func() { close(opened) })
		t.Cleanup(open)
		var received atomic.Int64
		f := newFake(t, func(nc net.Conn, number int) {
			answerAll(io.TeeReader(nc, counter{&received}), newGate(nc, opened))
		})
		c := newClient(t, f.addr(), opts)
		const requests = 40
		var all sync.WaitGroup
		for i := range requests {
			all.Go(func() {
				key := fmt.Sprint("key-", 10+i) // of one length
				if it, err := c.Get(within(t), key); err != nil || !bytes.Equal(it.Value, valueOf([]byte(key))) {
					t.Errorf("%s: %q, %v", key, it.Value, err)
				}
			})
		}
		room := int64(opts.Connections * opts.Pipeline)
		eventually(t, fmt.Sprintf("%+v: as many requests as may be", opts), func() bool { return received.Load() == room })
		time.Sleep(20 * time.Millisecond) // for one too many to come
		if n := received.Load(); n != room || f.accepted.Load() != int64(opts.Connections) {
			t.Errorf("%+v: %d requests on %d connections", opts, n, f.accepted.Load())
		}
		hurried, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
		_, err := c.Get(hurried, "no-room")
		want(t, "get without room", err, context.DeadlineExceeded)
		cancel()
		open()
		all.Wait()
		if n := received.Load(); n != requests {
			t.Errorf("%+v: %d requests of %d", opts, n, requests)
		}
	}
}

// counter counts line ends.
type counter struct{ n *atomic.Int64 }

func (c counter) Write(b []byte) (int, error) {
	c.n.Add(int64(bytes.Count(b, []byte("\n"))))
	return len(b), nil
}

// eventually waits until done, which takes milliseconds.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not: " + what)
		}
	}
}

// TestSequentialUse: who sends one request after another needs one connection.
func TestSequentialUse(t *testing.T) {
	f := newFake(t, honest)
	c := newClient(t, f.addr(), client.Options{Connections: 5})
	for range 100 {
		wantValue(t, c, "key", "key=key=")
	}
	if n := f.accepted.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestTimeout: a server that stops answering costs a bounded time, also those who
// set no deadline, and the next request gets a new connection.
func TestTimeout(t *testing.T) {
	noLeaks(t)
	f := newFake(t, func(nc net.Conn, number int) {
		if number == 0 {
			io.Copy(io.Discard, nc)
			return
		}
		honest(nc, number)
	})
	c := newClient(t, f.addr(), client.Options{Connections: 1, Timeout: 100 * time.Millisecond})
	begun := time.Now()
	parallel(t, 32, func(i int) error { // all at once
		_, err := c.Get(context.Background(), "key")
		var conn *client.ConnError
		if !errors.Is(err, client.ErrTimeout) || !errors.As(err, &conn) || conn.Addr != f.addr() {
			return fmt.Errorf("got %v", err)
		}
		return nil
	})
	if took := time.Since(begun); took < 100*time.Millisecond {
		t.Errorf("timeout after %v", took)
	}
	eventually(t, "a hit on a new connection", func() bool {
		it, err := c.Get(context.Background(), "key")
		return err == nil && string(it.Value) == "key=key="
	})
}

// TestServerTakesNothing: nor does a server that does not read hold anyone for
// longer, however much there is to write.
func TestServerTakesNothing(t *testing.T) {
	noLeaks(t)
	released := make(chan struct{})
	f := newFake(t, func(nc net.Conn, number int) { <-released })
	c := newClient(t, f.addr(), client.Options{Timeout: 100 * time.Millisecond})
	value := make([]byte, 8<<20)
	parallel(t, 4, func(i int) error {
		err := c.Set(context.Background(), client.Item{Key: "key", Value: value})
		if !errors.Is(err, client.ErrTimeout) {
			return fmt.Errorf("got %v", err)
		}
		return nil
	})
	close(released)
}

// TestStuckDial: a connection that is being dialed for ever holds up nobody if
// there is another, and is given up.
func TestStuckDial(t *testing.T) {
	noLeaks(t)
	f := newFake(t, func(nc net.Conn, number int) {
		if number > 0 {
			io.Copy(io.Discard, nc)
			return
		}
		nc.Read(make([]byte, 100))
		io.WriteString(nc, "STORED\r\n")
		honest(nc, number)
	})
	c := newClient(t, f.addr(), client.Options{Connections: 2, Timeout: 300 * time.Millisecond, Username: "user"})
	wantValue(t, c, "key", "key=key=")
	parallel(t, 320, func(i int) error {
		_, err := c.Get(within(t), "key")
		return err
	})
	eventually(t, "two connections", func() bool { return f.accepted.Load() == 2 })
	eventually(t, "one given up", func() bool { return f.open.Load() == 1 })
	wantValue(t, c, "key", "key=key=")
}

// TestNoMoreConnections: a server that takes no more connections is not beset,
// and those that there are go on.
func TestNoMoreConnections(t *testing.T) {
	noLeaks(t)
	f := newFake(t, func(nc net.Conn, number int) {
		if number > 0 {
			io.WriteString(nc, "ERROR Too many open connections\r\n")
			return
		}
		honest(nc, number)
	})
	c := newClient(t, f.addr(), client.Options{Connections: 4, Pipeline: 100})
	wantValue(t, c, "key", "key=key=")
	var failed atomic.Int64
	begun := time.Now()
	parallel(t, 20_000, func(i int) error {
		if _, err := c.Get(within(t), "key"); err != nil {
			failed.Add(1)
		}
		return nil
	})
	seconds := int64(time.Since(begun)/time.Second) + 1
	if n := f.accepted.Load(); n < 2 || n > 1+3*seconds {
		t.Errorf("%d connections in %d seconds", n, seconds)
	}
	t.Logf("%d connections, %d failed", f.accepted.Load(), failed.Load())
}

// TestIdle: an idle connection is closed, and that costs no request.
func TestIdle(t *testing.T) {
	noLeaks(t)
	f := newFake(t, honest)
	c := newClient(t, f.addr(), client.Options{IdleTimeout: 20 * time.Millisecond})
	for range 3 {
		wantValue(t, c, "key", "key=key=")
		eventually(t, "closed", func() bool { return f.open.Load() == 0 })
	}
	slow := newFake(t, func(nc net.Conn, number int) {
		nc.Read(make([]byte, 100))
		time.Sleep(100 * time.Millisecond)
		io.WriteString(nc, "END\r\n")
		io.Copy(io.Discard, nc)
	})
	c = newClient(t, slow.addr(), client.Options{IdleTimeout: 20 * time.Millisecond})
	_, err := c.Get(within(t), "key")
	want(t, "of a slow server", err, client.ErrMiss)
}

// TestServerCloses: a connection that the server closes while nothing is under
// way costs no request.
func TestServerCloses(t *testing.T) {
	noLeaks(t)
	var last atomic.Pointer[net.Conn]
	f := newFake(t, func(nc net.Conn, number int) {
		last.Store(&nc)
		honest(nc, number)
	})
	c := newClient(t, f.addr(), client.Options{})
	before := runtime.NumGoroutine()
	for range 10 {
		wantValue(t, c, "key", "key=key=")
		(*last.Load()).Close()
		eventually(t, "noticed", func() bool { return runtime.NumGoroutine() <= before })
	}
}

// TestClose: a Close ends what is under way, waits for all goroutines, and is final.
func TestClose(t *testing.T) {
	noLeaks(t)
	var received atomic.Int64
	f := newFake(t, func(nc net.Conn, number int) { io.Copy(counter{&received}, nc) })
	before := runtime.NumGoroutine()
	c := newClient(t, f.addr(), client.Options{Pipeline: 4})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, err := c.Get(within(t), "key")
			want(t, "get", err, client.ErrClosed)
		})
	}
	eventually(t, "under way", func() bool { return received.Load() == 8 })
	c.Close()
	stacks := make([]byte, 1<<20)
	if s := stacks[:runtime.Stack(stacks, true)]; bytes.Contains(s, []byte("client.(*conn)")) {
		t.Errorf("a goroutine is left:\n%s", s)
	}
	all.Wait()
	_, err := c.Get(within(t), "key")
	want(t, "get after close", err, client.ErrClosed)
	want(t, "close again", c.Close(), nil)
	eventually(t, "closed", func() bool { return f.open.Load() == 0 && runtime.NumGoroutine() <= before })
}

// TestNoServer: a refused connection is told at once, and the client works once
// there is a server.
func TestNoServer(t *testing.T) {
	noLeaks(t)
	addr := freeAddr(t)
	c := newClient(t, addr, client.Options{Connections: 1, Pipeline: 2})
	for range 10 {
		_, err := c.Get(within(t), "key")
		want(t, "get", err, syscall.ECONNREFUSED)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Skip(err) // another has the port now
	}
	f := &fake{listener: l, serve: honest}
	f.ended.Go(f.accept)
	wantValue(t, c, "key", "key=key=")
	l.Close()
	c.Close()
	f.ended.Wait()
}

// TestWrongReplies: what no server may answer ends the connection, and what
// follows on a new one is not harmed. Memory stays bounded.
func TestWrongReplies(t *testing.T) {
	noLeaks(t)
	endless := strings.Repeat("STAT name value\r\n", 1<<16)
	for name, reply := range map[string]string{
		"garbage":        "\x00\x01\x02\r\n",
		"of another":     "STORED\r\n",
		"another key":    "VALUE kez 0 1 1\r\nx\r\nEND\r\n",
		"two values":     "VALUE key 0 1 1\r\nx\r\nVALUE key 0 1 1\r\nx\r\nEND\r\n",
		"no CAS":         "VALUE key 0 1\r\nx\r\nEND\r\n",
		"too large":      "VALUE key 0 1048577 1\r\n",
		"absurdly large": "VALUE key 0 18446744073709551615 1\r\n",
		"endless line":   strings.Repeat("x", 1<<20),
		"statistics":     endless,
		"binary":         "\x81\x00\x00\x00\x00\x00\x00\x00\r\n",
	} {
		f := newFake(t, func(nc net.Conn, number int) {
			if number > 0 {
				honest(nc, number)
				return
			}
			nc.Read(make([]byte, 100))
			io.WriteString(nc, reply)
			io.Copy(io.Discard, nc)
		})
		c := newClient(t, f.addr(), client.Options{Connections: 1, MaxValue: 1 << 20})
		it, err := c.Get(within(t), "key")
		if !errors.Is(err, client.ErrMalformed) {
			t.Errorf("%s: got %q, %v", name, it.Value, err)
		}
		wantValue(t, c, "key", "key=key=")
	}
	f := newFake(t, func(nc net.Conn, number int) {
		nc.Read(make([]byte, 100))
		for {
			if _, err := io.WriteString(nc, endless); err != nil {
				return
			}
		}
	})
	c := newClient(t, f.addr(), client.Options{MaxValue: 1 << 20})
	_, err := c.Stats(within(t), "")
	want(t, "endless statistics", err, client.ErrMalformed)
}

// TestGarbageBehind: who has his answer does not get a connection for his next
// request on which more came than that.
func TestGarbageBehind(t *testing.T) {
	noLeaks(t)
	f := newFake(t, func(nc net.Conn, number int) {
		nc.Read(make([]byte, 100))
		io.WriteString(nc, "VALUE key 0 4 1\r\nkey=\r\nEND\r\nVALUE")
		io.Copy(io.Discard, nc)
	})
	c := newClient(t, f.addr(), client.Options{Connections: 1})
	for range 100 {
		wantValue(t, c, "key", "key=")
	}
	if n := f.accepted.Load(); n != 100 {
		t.Errorf("%d connections", n)
	}
}

// TestUnaskedWhileIdle: nor when it came while nothing was under way.
func TestUnaskedWhileIdle(t *testing.T) {
	noLeaks(t)
	f := newFake(t, func(nc net.Conn, number int) {
		time.AfterFunc(10*time.Millisecond, func() { io.WriteString(nc, "STORED\r\n") })
		honest(nc, number)
	})
	c := newClient(t, f.addr(), client.Options{Connections: 1})
	_, err := c.Get(within(t), "key")
	eventually(t, "closed", func() bool { return f.open.Load() == 0 })
	if err == nil { // as it is, unless that took 10 ms
		wantValue(t, c, "key", "key=key=")
	}
}

// TestUnasked: a reply that comes before its request is the answer to none.
func TestUnasked(t *testing.T) {
	noLeaks(t)
	f := newFake(t, func(nc net.Conn, number int) {
		if number%2 == 0 {
			io.WriteString(nc, "VALUE key 0 5 1\r\nwrong\r\nEND\r\n")
		}
		honest(nc, number)
	})
	for range 20 {
		c := newClient(t, f.addr(), client.Options{Connections: 1})
		for range 2 {
			if it, err := c.Get(within(t), "other"); err == nil && string(it.Value) != "other=other=" {
				t.Errorf("%q", it.Value)
			}
		}
		c.Close()
	}
}

// TestRefusedValue: after a refusal of a set the server may take the value for
// commands, so the connection is given up; after the refusal of the value not.
func TestRefusedValue(t *testing.T) {
	for _, test := range []struct {
		reply       string
		kind        error
		connections int64
	}{
		{"ERROR\r\n", client.ErrUnknownCommand, 2},
		{"CLIENT_ERROR bad command line format\r\n", client.ErrRefused, 2},
		{"SERVER_ERROR object too large for cache\r\n", client.ErrTooLarge, 1},
		{"SERVER_ERROR out of memory storing object\r\n", client.ErrNoMemory, 1},
		{"SERVER_ERROR whatever\r\n", client.ErrServer, 1},
		{"NOT_STORED\r\n", client.ErrNotStored, 1},
	} {
		f := newFake(t, func(nc net.Conn, number int) {
			if number == 0 {
				nc.Read(make([]byte, 100))
				io.WriteString(nc, test.reply)
			}
			honest(nc, number)
		})
		c := newClient(t, f.addr(), client.Options{Connections: 1})
		err := c.Set(within(t), client.Item{Key: "key", Value: []byte("flush_all")})
		want(t, test.reply, err, test.kind)
		var reply *client.ReplyError
		if errors.As(err, &reply) && !strings.Contains(test.reply, reply.Text) {
			t.Errorf("%q: %q", test.reply, reply.Text)
		}
		wantValue(t, c, "key", "key=key=")
		if n := f.accepted.Load(); n != test.connections {
			t.Errorf("%q: %d connections, want %d", test.reply, n, test.connections)
		}
	}
}

// TestValueIsCopied: the caller may use the value again when Set returns, also
// when it gave up.
func TestValueIsCopied(t *testing.T) {
	opened := make(chan struct{})
	received := make(chan []byte, 1)
	f := newFake(t, func(nc net.Conn, number int) {
		<-opened
		b := make([]byte, 1000)
		n, _ := nc.Read(b)
		received <- b[:n]
	})
	c := newClient(t, f.addr(), client.Options{})
	value := []byte("as it was")
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	want(t, "set", c.Set(ctx, client.Item{Key: "key", Value: value}), context.DeadlineExceeded)
	copy(value, "scribbled")
	close(opened)
	if got := <-received; !bytes.Contains(got, []byte("as it was")) {
		t.Errorf("%q", got)
	}
}
