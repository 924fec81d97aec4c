package execute_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/cmd/hearthd/execute"
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// served is a cache behind a server, and one connection to it.
type served struct {
	t     *testing.T
	cache *hearth.Cache
	srv   *server.Server
	addr  string
	net.Conn
	in *bufio.Reader
}

func serve(t *testing.T, dir string, o hearth.Options) *served {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	cache, err := hearth.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	srv, err := server.New(execute.New(cache, execute.Options{}), server.Options{MaxValue: o.MaxItem})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &served{t: t, cache: cache, srv: srv, addr: ln.String()}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		srv.Shutdown(ctx)
		cache.Close()
	})
	s.dial()
	return s
}

// dial begins a new connection.
func (s *served) dial() {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	s.Conn, s.in = conn, bufio.NewReaderSize(conn, 1<<20)
}

// send sends in chunks of so many bytes, 0 for all at once.
func (s *served) send(b []byte, chunk int) {
	s.t.Helper()
	if chunk == 0 {
		chunk = len(b)
	}
	for len(b) > 0 {
		n, err := s.Write(b[:min(chunk, len(b))])
		if err != nil {
			s.t.Fatal(err)
		}
		b = b[n:]
	}
}

// expect reads what has to be the next bytes.
func (s *served) expect(want string) {
	s.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(s.in, got); err != nil || string(got) != want {
		s.t.Fatalf("got %.100q, %v; want %.100q of %d bytes", got[:n], err, want, len(want))
	}
}

// settled waits until nothing is pinned and returns what is in use.
func (s *served) settled() int64 {
	s.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		st := s.cache.Stats().Mem
		if st.PinnedBytes == 0 {
			return st.Used
		}
		if time.Now().After(end) {
			s.t.Fatalf("%d bytes are still pinned", st.PinnedBytes)
		}
	}
}

func random(n, seed int) []byte {
	b := make([]byte, n)
	x := uint32(seed)*2654435761 + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func set(key string, value []byte) []byte {
	return fmt.Appendf(nil, "set %s 5 0 %d\r\n%s\r\n", key, len(value), value)
}

// TestLargeValues: values of many sizes, in chunks of odd sizes, between small
// commands, are stored byte for byte; and their connection holds no second copy.
func TestLargeValues(t *testing.T) {
	s := serve(t, "", hearth.Options{Memory: 256 << 20, MaxItem: 64 << 20})
	for i, c := range []struct{ size, chunk int }{
		{1 << 20, 0}, {1<<20 + 1, 4093}, {2 << 20, 65521}, {3<<20 - 1, 1 << 20}, {5<<20 + 3, 100003}, {50 << 20, 0},
	} {
		value := random(c.size, i)
		done := make(chan struct{})
		go func() {
			defer close(done)
			all := append([]byte("set before 0 0 1\r\n1\r\nget before\r\n"), set("k", value)...)
			all = append(all, "get none before\r\nmn\r\n"...)
			s.send(all, c.chunk)
		}()
		s.expect("STORED\r\nVALUE before 0 1\r\n1\r\nEND\r\nSTORED\r\nVALUE before 0 1\r\n1\r\nEND\r\nMN\r\n")
		<-done
		if n := s.srv.Stats().BufferBytes; n > 2<<20 {
			t.Errorf("%d bytes of buffers for a value of %d", n, c.size)
		}
		it, err := s.cache.Get(t.Context(), "k")
		if err != nil || !bytes.Equal(it.Value, value) || it.Flags != 5 {
			t.Fatalf("%d bytes by %d: %d back, %v", c.size, c.chunk, len(it.Value), err)
		}
	}
	s.settled()
}

// TestLargeConditions: what memcached answers to large values, by its own protocols,
// and what of them is left.
func TestLargeConditions(t *testing.T) {
	s := serve(t, "", hearth.Options{Memory: 64 << 20, MaxItem: 8 << 20})
	value := random(3<<20, 1)
	before := s.settled()
	for _, c := range []struct{ request, reply string }{
		{"add k 5 0 3145728\r\n%s\r\n", "STORED\r\n"},
		{"add k 5 0 3145728\r\n%s\r\n", "NOT_STORED\r\n"},
		{"replace none 5 0 3145728\r\n%s\r\n", "NOT_STORED\r\n"},
		{"cas k 5 0 3145728 999\r\n%s\r\n", "EXISTS\r\n"},
		{"cas none 5 0 3145728 1\r\n%s\r\n", "NOT_FOUND\r\n"},
		{"ms k 3145728 O1 s T0\r\n%s\r\n", "HD O1 s3145728\r\n"},
		{"ms aw== 3145728 b k s q\r\n%s\r\nmn\r\n", "MN\r\n"},
		{"ms k 3145728 ME O2\r\n%s\r\n", "NS O2\r\n"},
		{"set k 5 0 3145728 noreply\r\n%s\r\nmn\r\n", "MN\r\n"},
		{"set k 5 0 3145726\r\n%s\r\nmn\r\n", "CLIENT_ERROR bad data chunk\r\nCLIENT_ERROR bad command line format\r\nMN\r\n"},
		{"append k 0 0 3145728\r\n%s\r\nmg k s\r\n", "STORED\r\nHD s6291456\r\n"},
		{"set k 0 0 9145728\r\n%[1]s%[1]s%[1]s", "SERVER_ERROR object too large for cache\r\n"},
	} {
		request := []byte(fmt.Sprintf(c.request, value))
		if strings.Contains(c.request, "9145728") {
			request = append(set("k", make([]byte, 9145728)), "get k\r\n"...)
			c.reply += "END\r\n"
		}
		go s.send(request, 0)
		s.expect(c.reply)
	}
	if used := s.settled(); used > before+2<<20 {
		t.Errorf("%d bytes in use, %d before", used, before)
	}
	s.binary(value)
}

// binary has a large value stored and refused by the binary protocol.
func (s *served) binary(value []byte) {
	s.t.Helper()
	s.dial()
	packet := make([]byte, 24+8, 24+8+1+len(value))
	packet[0], packet[1], packet[3], packet[4] = protocol.MagicRequest, 0x02, 1, 8 // an add
	binary.BigEndian.PutUint32(packet[8:], uint32(8+1+len(value)))
	packet = append(append(packet, 'b'), value...)
	go s.send(append(packet, packet...), 99991)
	for _, want := range []byte{0, 2} { // added, and then it exists
		head := make([]byte, 24)
		if _, err := io.ReadFull(s.in, head); err != nil || head[7] != want {
			s.t.Fatalf("%x, %v; want status %d", head, err, want)
		}
		s.in.Discard(int(head[11]))
	}
	it, err := s.cache.Get(s.t.Context(), "b")
	if err != nil || !bytes.Equal(it.Value, value) {
		s.t.Fatalf("%d bytes back, %v", len(it.Value), err)
	}
}

// TestLargeLeft: of a value whose client leaves half way nothing is left, and the
// old value stands; and to announce many takes next to nothing.
func TestLargeLeft(t *testing.T) {
	s := serve(t, "", hearth.Options{Memory: 128 << 20, MaxItem: 64 << 20})
	before := s.settled()
	s.send(set("k", []byte("old")), 0)
	s.expect("STORED\r\n")
	value := random(40<<20, 1)
	s.send(set("k", value)[:30<<20], 0)
	s.Close()
	for range 200 {
		s.dial()
		s.send(fmt.Appendf(nil, "set k 0 0 %d\r\nabc", 60<<20), 0)
		defer s.Close()
	}
	s.dial()
	s.send([]byte("get k\r\n"), 0)
	s.expect("VALUE k 5 3\r\nold\r\nEND\r\n")
	if st := s.cache.Stats().Mem; st.Used > before+200*100<<10 {
		t.Errorf("%d bytes in use for what was announced, %d before", st.Used, before)
	}
}

// TestLargeNoRoom: where memory cannot be made, the client is told so and goes on,
// and the old value is gone.
func TestLargeNoRoom(t *testing.T) {
	s := serve(t, "", hearth.Options{Memory: 64 << 20, MaxItem: 32 << 20, NoEvictions: true, Backpressure: 50 * time.Millisecond})
	value := random(25<<20, 1)
	go s.send(append(append(set("a", value), set("b", value)...), set("b", value)...), 0)
	s.expect("STORED\r\nSTORED\r\nSERVER_ERROR out of memory storing object\r\n")
	s.send([]byte("get b\r\nset b 0 0 1\r\n1\r\n"), 0)
	s.expect("END\r\nSTORED\r\n")
	s.settled()
}
