package loadgen

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// faults are what a fakeServer does wrong. Each may be nil.
type faults struct {
	request func(n int)                           // before the nth request is answered, under the lock
	store   func(key string) (ignore bool)        // answer STORED but keep what was there
	remove  func(key string) (ignore bool)        // answer DELETED but keep what was there
	refuse  func(key string, size int) string     // answer this instead of reading the value's end
	value   func(key string, value []byte) []byte // what a get returns; nil is a miss
	flags   func(key, flags string) string        // what a get returns
	reply   func(key string, reply []byte) []byte // the bytes of a get's whole reply
	write   func(w io.Writer, reply []byte) error // how replies go out
}

// fakeServer is a Go map that speaks just enough of the protocol.
type fakeServer struct {
	faults   faults
	listener net.Listener
	mu       sync.Mutex
	values   map[string]fakeValue
	gets     map[string]int // how often each key was asked for
	requests int
}

type fakeValue struct {
	flags string
	data  []byte
}

func newFakeServer(l net.Listener, f faults) *fakeServer {
	return &fakeServer{faults: f, listener: l, values: map[string]fakeValue{}, gets: map[string]int{}}
}

// startFake serves until the test ends.
func startFake(t *testing.T, f faults) (*fakeServer, string) {
	t.Helper()
	return startFakeAt(t, f, "tcp", "127.0.0.1:0")
}

func startFakeAt(t *testing.T, f faults, network, addr string) (*fakeServer, string) {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	s := newFakeServer(l, f)
	t.Cleanup(func() { l.Close() })
	go s.serve()
	return s, l.Addr().String()
}

func (s *fakeServer) serve() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		go s.serveConn(conn)
	}
}

func (s *fakeServer) serveConn(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		reply, skip, err := s.answer(strings.Fields(line), in)
		if err != nil || s.write(conn, reply) != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, in, int64(skip)); err != nil {
			return
		}
	}
}

func (s *fakeServer) write(w io.Writer, reply []byte) error {
	if s.faults.write != nil {
		return s.faults.write(w, reply)
	}
	_, err := w.Write(reply)
	return err
}

// answer gives the reply, and how much input to skip once it is sent.
func (s *fakeServer) answer(words []string, in *bufio.Reader) (reply []byte, skip int, err error) {
	switch words[0] {
	case "version":
		return []byte("VERSION fake\r\n"), 0, nil
	case "set":
		return s.set(words, in)
	case "delete":
		return s.remove(words[1]), 0, nil
	case "touch":
		return s.touch(words[1]), 0, nil
	}
	return s.get(words[1:]), 0, nil
}

func (s *fakeServer) set(words []string, in *bufio.Reader) (reply []byte, skip int, err error) {
	size, err := strconv.Atoi(words[4])
	if err != nil {
		return nil, 0, err
	}
	if s.faults.refuse != nil {
		if text := s.faults.refuse(words[1], size); text != "" {
			return []byte(text + "\r\n"), size + 2, nil
		}
	}
	data := make([]byte, size+2)
	if _, err := io.ReadFull(in, data); err != nil {
		return nil, 0, err
	}
	s.begin()
	defer s.mu.Unlock()
	if s.faults.store == nil || !s.faults.store(words[1]) {
		s.values[words[1]] = fakeValue{flags: words[2], data: data[:size]}
	}
	return []byte("STORED\r\n"), 0, nil
}

func (s *fakeServer) remove(key string) []byte {
	s.begin()
	defer s.mu.Unlock()
	if s.values[key].data == nil {
		return []byte("NOT_FOUND\r\n")
	}
	if s.faults.remove == nil || !s.faults.remove(key) {
		delete(s.values, key)
	}
	return []byte("DELETED\r\n")
}

func (s *fakeServer) touch(key string) []byte {
	s.begin()
	defer s.mu.Unlock()
	if s.values[key].data == nil {
		return []byte("NOT_FOUND\r\n")
	}
	return []byte("TOUCHED\r\n")
}

// begin takes the lock for a request.
func (s *fakeServer) begin() {
	s.mu.Lock()
	s.requests++
	if s.faults.request != nil {
		s.faults.request(s.requests)
	}
}

func (s *fakeServer) get(keys []string) []byte {
	s.begin()
	defer s.mu.Unlock()
	var reply bytes.Buffer
	for _, key := range keys {
		s.gets[key]++
		v, data := s.values[key], s.values[key].data
		if s.faults.value != nil && data != nil {
			data = s.faults.value(key, bytes.Clone(data))
		}
		if s.faults.flags != nil {
			v.flags = s.faults.flags(key, v.flags)
		}
		if data != nil {
			fmt.Fprintf(&reply, "VALUE %s %s %d\r\n%s\r\n", key, v.flags, len(data), data)
		}
	}
	reply.WriteString("END\r\n")
	if s.faults.reply != nil {
		return s.faults.reply(keys[0], reply.Bytes())
	}
	return reply.Bytes()
}

// TestMain lets the test binary be the server that Compare starts:
// FAKE_SERVER=PORT[,lossy] loses every tenth key if lossy.
func TestMain(m *testing.M) {
	port, kind, _ := strings.Cut(os.Getenv("FAKE_SERVER"), ",")
	if port == "" {
		os.Exit(m.Run())
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var f faults
	if kind == "lossy" {
		f.store = func(key string) bool { return strings.HasSuffix(key, "7") }
	}
	newFakeServer(l, f).serve()
}
