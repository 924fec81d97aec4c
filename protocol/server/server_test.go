package server_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// later is a Handler whose answers come from other goroutines. A get of "now"
// is answered at once, one of "never" when the test says so.
type later struct {
	sets    atomic.Int64
	open    atomic.Int64 // Pendings not stepped to their end
	release chan struct{}
	value   []byte
}

type soon struct {
	h     *later
	reply []byte
	ready atomic.Bool
}

func (p *soon) Step(dst []byte) ([]byte, bool) {
	if !p.ready.Load() {
		return dst, false
	}
	p.h.open.Add(-1)
	return append(dst, p.reply...), true
}

func (h *later) pend(c *server.Conn, reply []byte, after <-chan struct{}) *soon {
	p := &soon{h: h, reply: reply}
	h.open.Add(1)
	go func() {
		if after != nil {
			<-after
		}
		p.ready.Store(true)
		c.Notify(0)
		c.Notify(0)
	}()
	return p
}

func (h *later) Get(c *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	value := h.value
	if value == nil {
		value = r.Key
	}
	reply := protocol.AppendValue(nil, r, value, &protocol.Item{})
	switch string(r.Key) {
	case "now":
		return append(dst, reply...), nil
	case "never":
		return dst, h.pend(c, reply, h.release)
	}
	return dst, h.pend(c, reply, nil)
}

func (h *later) Do(c *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	h.sets.Add(1)
	return dst, h.pend(c, []byte(protocol.Stored.Line()), nil)
}

// start runs a server on a TCP port and a Unix socket, and checks at the end
// that nothing of it is left.
func start(t *testing.T, h server.Handler, o server.Options) (s *server.Server, tcp, unix string) {
	t.Helper()
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	s, err := server.New(h, o)
	if err != nil {
		t.Fatal(err)
	}
	addr, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unix = filepath.Join(t.TempDir(), "sock")
	if _, err := s.ListenUnix(unix, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		until(t, "the goroutines have ended", func() bool { return runtime.NumGoroutine() <= goroutines })
		until(t, "the descriptors are closed", func() bool { return descriptors(t) <= files })
		if n := s.Stats().CurrConns; n != 0 {
			t.Errorf("%d connections are left", n)
		}
		if _, err := os.Lstat(unix); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left: %v", err)
		}
	})
	return s, addr.String(), unix
}

func descriptors(t *testing.T) int {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// until waits for what has no other signal.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

type client struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func dial(t *testing.T, network, address string) *client {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{c, t, bufio.NewReader(c)}
}

func (c *client) want(lines string) {
	c.t.Helper()
	got := make([]byte, len(lines))
	n, err := io.ReadFull(c.r, got)
	if err != nil || string(got) != lines {
		c.t.Fatalf("got %.200q (%v), want %.200q", got[:n], err, lines)
	}
}

func (c *client) wantEnd() {
	c.t.Helper()
	if b, err := c.r.ReadByte(); err != io.EOF {
		c.t.Fatalf("got %q, %v, not the end", b, err)
	}
}

func value(key string) string {
	return fmt.Sprintf("VALUE %s 0 %d\r\n%s\r\n", key, len(key), key)
}

func TestPipelinesOfManyClients(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for _, loops := range []int{1, 3} {
		h := &later{}
		_, tcp, unix := start(t, h, server.Options{Loops: loops, Requests: 7})
		var done sync.WaitGroup
		for i := range 8 {
			c := dial(t, "tcp", tcp)
			if i%2 == 1 {
				c = dial(t, "unix", unix)
			}
			done.Go(func() { pipeline(c, rand.New(rand.NewPCG(seed, uint64(i))), 1300) })
		}
		done.Wait()
		until(t, "all answers are taken", func() bool { return h.open.Load() == 0 })
	}
}

// pipeline sends n requests in random pieces and checks the replies.
func pipeline(c *client, rng *rand.Rand, n int) {
	var in, want bytes.Buffer
	for i := range n {
		switch key := fmt.Sprint("key", i); rng.IntN(5) {
		case 0:
			fmt.Fprintf(&in, "set %s 0 0 3\r\nabc\r\n", key)
			want.WriteString(protocol.Stored.Line())
		case 1:
			fmt.Fprintf(&in, "get now %s now\r\n", key)
			want.WriteString(value("now") + value(key) + value("now") + protocol.End)
		default:
			fmt.Fprintf(&in, "get %s\r\n", key)
			want.WriteString(value(key) + protocol.End)
		}
	}
	go func() {
		for in.Len() > 0 {
			c.Write(in.Next(1 + rng.IntN(5000)))
		}
	}()
	c.want(want.String())
}

func TestHalfClosed(t *testing.T) {
	_, tcp, unix := start(t, &later{}, server.Options{})
	for _, c := range []*client{dial(t, "tcp", tcp), dial(t, "unix", unix)} {
		fmt.Fprint(c, "get now a now\r\nget b")
		c.Conn.(interface{ CloseWrite() error }).CloseWrite()
		c.want(value("now") + value("a") + value("now") + protocol.End)
		c.wantEnd()
	}
}

// TestSentAndGone: what a client has sent before it closed is executed.
func TestSentAndGone(t *testing.T) {
	h := &later{}
	s, tcp, unix := start(t, h, server.Options{})
	for i, c := range []*client{dial(t, "tcp", tcp), dial(t, "unix", unix)} {
		fmt.Fprint(c, strings.Repeat("set a 0 0 1 noreply\r\nx\r\n", 100))
		c.Close()
		until(t, "the sets are done", func() bool { return h.sets.Load() == int64(100*(i+1)) })
	}
	until(t, "the connections are closed", func() bool { return s.Stats().CurrConns == 0 })
}

// TestGoneWhilePending: the answer is taken and the connection freed.
func TestGoneWhilePending(t *testing.T) {
	h := &later{release: make(chan struct{})}
	s, tcp, _ := start(t, h, server.Options{})
	for i := range 20 {
		c := dial(t, "tcp", tcp)
		fmt.Fprint(c, "get never a never\r\n")
		until(t, "the gets have begun", func() bool { return h.open.Load() == int64(3*(i+1)) })
		c.Conn.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	until(t, "the connections are closed", func() bool { return s.Stats().CurrConns == 0 })
	close(h.release)
	until(t, "all answers are taken", func() bool { return h.open.Load() == 0 })
}

func TestConnectionLimit(t *testing.T) {
	s, tcp, _ := start(t, &later{}, server.Options{MaxConns: 2})
	a, b := dial(t, "tcp", tcp), dial(t, "tcp", tcp)
	for _, c := range []*client{a, b} {
		fmt.Fprint(c, "get now\r\n")
		c.want(value("now") + protocol.End)
	}
	c := dial(t, "tcp", tcp)
	c.want("ERROR Too many open connections\r\n")
	c.wantEnd()
	a.Close()
	until(t, "the first has gone", func() bool { return s.Stats().CurrConns == 1 })
	d := dial(t, "tcp", tcp)
	fmt.Fprint(d, "get now\r\n")
	d.want(value("now") + protocol.End)
	if st := s.Stats(); st.RejectedConns != 1 || st.TotalConns != 3 {
		t.Errorf("%+v", st)
	}
}

func TestIdleTimeout(t *testing.T) {
	s, tcp, _ := start(t, &later{}, server.Options{IdleTimeout: 200 * time.Millisecond})
	idle, busy := dial(t, "tcp", tcp), dial(t, "tcp", tcp)
	ended := make(chan struct{})
	go func() {
		idle.wantEnd()
		close(ended)
	}()
	for alive := true; alive; {
		fmt.Fprint(busy, "get now\r\n")
		busy.want(value("now") + protocol.End)
		select {
		case <-ended:
			alive = false
		case <-time.After(10 * time.Millisecond):
		}
	}
	if st := s.Stats(); st.IdleKicks != 1 {
		t.Errorf("%+v", st)
	}
}

// TestSlowReaderHarmsNobody: one client asks and never reads.
func TestSlowReaderHarmsNobody(t *testing.T) {
	h := &later{value: make([]byte, 100000)}
	s, tcp, _ := start(t, h, server.Options{})
	slow := dial(t, "tcp", tcp)
	go func() {
		for {
			if _, err := fmt.Fprint(slow, strings.Repeat("get now a now b\r\n", 1000)); err != nil {
				return
			}
		}
	}()
	until(t, "the slow one is stuck", func() bool { return s.Stats().BytesWritten > 1<<20 })
	other := dial(t, "tcp", tcp)
	reply := string(protocol.AppendValue(nil, &protocol.Request{Key: []byte("now")}, h.value, &protocol.Item{})) + protocol.End
	for range 200 {
		fmt.Fprint(other, "get now\r\n")
		other.want(reply)
	}
	if held := s.Stats().BufferBytes; held > 16<<20 {
		t.Errorf("%d bytes are held", held)
	}
	slow.Close()
}

// TestShutdownFinishes: what a client was promised it gets.
func TestShutdownFinishes(t *testing.T) {
	h := &later{release: make(chan struct{})}
	s, tcp, _ := start(t, h, server.Options{})
	idle, waiting := dial(t, "tcp", tcp), dial(t, "tcp", tcp)
	fmt.Fprint(waiting, "get never\r\nget now\r\nget ha")
	until(t, "the get has begun", func() bool { return h.open.Load() == 1 })
	ended := make(chan error)
	go func() { ended <- s.Shutdown(context.Background()) }()
	idle.wantEnd()
	if _, err := net.Dial("tcp", tcp); err == nil {
		t.Error("still accepting")
	}
	close(h.release)
	waiting.want(value("never") + protocol.End + value("now") + protocol.End)
	waiting.wantEnd()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := s.Listen("127.0.0.1:0"); !errors.Is(err, server.ErrClosed) {
		t.Errorf("listen after shutdown: %v", err)
	}
}

// TestShutdownForced: a client that does not read is not waited for.
func TestShutdownForced(t *testing.T) {
	h := &later{value: make([]byte, 1<<20), release: make(chan struct{})}
	s, tcp, _ := start(t, h, server.Options{})
	stuck, pending := dial(t, "tcp", tcp), dial(t, "tcp", tcp)
	fmt.Fprint(stuck, strings.Repeat("get now now now now\r\n", 100))
	fmt.Fprint(pending, "get never\r\n")
	until(t, "it is stuck", func() bool { return s.Stats().BytesWritten > 1<<19 && h.open.Load() == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	time.AfterFunc(100*time.Millisecond, func() { close(h.release) })
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if n := h.open.Load(); n != 0 {
		t.Errorf("%d answers are left", n)
	}
}

func TestUnixSocketMode(t *testing.T) {
	s, _, unix := start(t, &later{}, server.Options{})
	st, err := os.Stat(unix)
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	if err := os.WriteFile(unix+".txt", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ListenUnix(unix+".txt", 0o700); err == nil {
		t.Error("a plain file was replaced")
	}
}

func TestManyConnectionsComeAndGo(t *testing.T) {
	s, tcp, _ := start(t, &later{}, server.Options{Loops: 2})
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for range 40 {
				c := dial(t, "tcp", tcp)
				fmt.Fprint(c, "get now a\r\nquit\r\n")
				c.want(value("now") + value("a") + protocol.End)
				c.wantEnd()
				c.Close()
			}
		})
	}
	done.Wait()
	if st := s.Stats(); st.TotalConns != 320 {
		t.Errorf("%+v", st)
	}
}

// TestRepliesBeforeTheEnd: who quits, or is refused, with more on its way gets all
// replies and then the end, however late it reads.
func TestRepliesBeforeTheEnd(t *testing.T) {
	_, addr, _ := start(t, &later{value: make([]byte, 50_000)}, server.Options{})
	garbage := strings.Repeat("x", 100_000)
	for name, end := range map[string]string{
		"quit":       "quit\r\n" + garbage,
		"a bad line": strings.Repeat("y", 20_000) + garbage,
	} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "get now\r\nget now\r\n"+end); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		got, err := io.ReadAll(c)
		if n := bytes.Count(got, []byte("VALUE ")); err != nil || n != 2 || len(got) < 100_000 {
			t.Errorf("%s: %d bytes with %d values, %v", name, len(got), n, err)
		}
	}
}
