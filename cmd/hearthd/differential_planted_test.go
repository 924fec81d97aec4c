package main_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A test that compares two servers and finds nothing could be one that sees
// nothing. Here memcached is compared with a memcached that lies.

// lie changes what a server says before a client sees it.
type lie struct {
	name string
	tell func(reply []byte) []byte
}

func replaced(old, new string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(old), []byte(new)) }
}

var uniqueValue = regexp.MustCompile(`(VALUE \S+ \d+ \d+ )\d+\r\n`)

var lies = []lie{
	{"another status", replaced("NOT_STORED\r\n", "EXISTS\r\n")},
	{"another error", replaced("CLIENT_ERROR bad command line format", "CLIENT_ERROR bad command line")},
	{"a reply left out", replaced("DELETED\r\n", "")},
	{"a reply twice", replaced("TOUCHED\r\n", "TOUCHED\r\nTOUCHED\r\n")},
	{"other flags", replaced(" 42 ", " 43 ")},
	{"a line end", replaced("END\r\n", "END\n")},
	{"one byte of values", replaced("x\r\n", "X\r\n")},
	{"every unique value the same", func(b []byte) []byte { return uniqueValue.ReplaceAll(b, []byte("${1}7\r\n")) }},
	{"replies to noreply", func(b []byte) []byte { return append(b, "OK\r\n"...) }},
	{"nothing of what is found", func(b []byte) []byte {
		if end := bytes.Index(b, []byte("END\r\n")); end > 0 && bytes.HasPrefix(b, []byte("VALUE ")) {
			return b[end:]
		}
		return b
	}},
}

// liar returns a server in front of s that changes its replies.
func liar(t testing.TB, s *running, tell func([]byte) []byte) *running {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go relay(c, s.addr, tell)
		}
	}()
	return &running{name: "liar", addr: l.Addr().String(), cmd: s.cmd, exited: s.exited}
}

func relay(c net.Conn, addr string, tell func([]byte) []byte) {
	defer c.Close()
	s, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer s.Close()
	go func() {
		io.Copy(s, c)
		s.(*net.TCPConn).CloseWrite()
	}()
	buf := make([]byte, 1<<20)
	for {
		n, err := s.Read(buf)
		if n > 0 {
			c.Write(tell(bytes.Clone(buf[:n])))
		}
		if err != nil {
			return
		}
	}
}

// TestGeneratedSeesLies wants every lie found by the generated streams.
func TestGeneratedSeesLies(t *testing.T) {
	t.Parallel()
	memcached := memcachedPath(t)
	for _, lie := range lies {
		t.Run(lie.name, func(t *testing.T) {
			t.Parallel()
			g := &generator{Rand: rand.New(rand.NewPCG(1, 0))}
			honest := newStream(t, startServer(t, memcached, memcachedArgs...))
			lying := newStream(t, liar(t, startServer(t, memcached, memcachedArgs...), lie.tell))
			if compareStreams(t, honest, lying, g.stream(1000), 1) == nil {
				t.Error("not seen")
			}
		})
	}
}

// TestTranscriptsSeeLies wants every lie found by a transcript, but for unique
// values, which transcripts do not show.
func TestTranscriptsSeeLies(t *testing.T) {
	t.Parallel()
	memcached := memcachedPath(t)
	script, err := readTranscript(transcriptDir + "/flash.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, lie := range lies {
		if strings.Contains(lie.name, "unique") {
			continue
		}
		t.Run(lie.name, func(t *testing.T) {
			t.Parallel()
			p := newPlayer(liar(t, startServer(t, memcached, memcachedArgs...), lie.tell))
			if len(differences(t, p, script)) == 0 {
				t.Error("not seen")
			}
		})
	}
}

// TestShrink wants of a failure that needs two requests those two.
func TestShrink(t *testing.T) {
	t.Parallel()
	g := &generator{Rand: rand.New(rand.NewPCG(1, 0))}
	reqs := g.stream(500)
	reqs[100].text, reqs[400].text = "first", "second"
	fails := func(reqs []request) *difference {
		seen := false
		for i, r := range reqs {
			seen = seen || r.text == "first"
			if seen && r.text == "second" {
				return &difference{upTo: i + 1}
			}
		}
		return nil
	}
	small := shrink(reqs, time.Minute, fails)
	if len(small) != 2 || small[0].text != "first" || small[1].text != "second" {
		t.Errorf("got %d requests, want first and second:\n%s", len(small), script(small))
	}
}
