package trace

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hearthcache/hearth/tools/loadgen"
)

// serve answers memcached's text protocol from m, one connection at a time.
func serve(t *testing.T, m *memory) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			answer(conn, m)
			conn.Close()
		}
	}()
	return l.Addr().String()
}

func answer(conn net.Conn, m *memory) {
	in, out := bufio.NewReader(conn), bufio.NewWriter(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		words := strings.Fields(line)
		switch words[0] {
		case "version":
			fmt.Fprint(out, "VERSION test\r\n")
		case "stats":
			fmt.Fprintf(out, "STAT pid %d\r\nSTAT curr_items %d\r\nSTAT extstore_bytes_written %d\r\nEND\r\n", os.Getpid(), len(m.items), m.last)
		default:
			execute(in, out, words, m)
		}
		if in.Buffered() == 0 {
			out.Flush()
		}
	}
}

func execute(in io.Reader, out io.Writer, words []string, m *memory) {
	op, _ := parseOp(words[0])
	c := Call{Op: op, Key: []byte(words[1])}
	if len(words) >= 5 {
		size, _ := strconv.Atoi(words[4])
		c.Value = make([]byte, size+2)
		io.ReadFull(in, c.Value)
		c.Value = c.Value[:size]
	}
	if op == CAS {
		c.CAS, _ = strconv.ParseUint(words[5], 10, 64)
	}
	m.do(&c)
	switch {
	case c.Status == Hit && op == Gets:
		fmt.Fprintf(out, "VALUE %s 0 %d %d\r\n%s\r\nEND\r\n", c.Key, len(c.Found), c.CAS, c.Found)
	case c.Status == Hit:
		fmt.Fprintf(out, "VALUE %s 0 %d\r\n%s\r\nEND\r\n", c.Key, len(c.Found), c.Found)
	case op.reads():
		fmt.Fprint(out, "END\r\n")
	case op == Incr && c.Status == Done:
		fmt.Fprintf(out, "%s\r\n", m.items[words[1]])
	default:
		fmt.Fprint(out, done(c.Status, op))
	}
}

func done(st Status, op Op) string {
	switch {
	case st == Done && op == Delete:
		return "DELETED\r\n"
	case st == Done:
		return "STORED\r\n"
	case op == Delete, op == Incr, op == CAS:
		return "NOT_FOUND\r\n"
	}
	return "NOT_STORED\r\n"
}

func TestServerHitsLikeAMap(t *testing.T) {
	for _, name := range []string{"W2", "W4", "W7", "W8", "W9"} {
		s := Scale{Keys: 200, Requests: 3000}
		want := replayOf(t, name, s, newMemory())
		target, err := Dial(serve(t, newMemory()), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		got := replayOf(t, name, s, target)
		if got.All.Hits != want.All.Hits || got.All.Stored != want.All.Stored || got.Bad() || got.All.Refused > 0 {
			t.Errorf("%s: server\n%+v, a map\n%+v", name, got.All, want.All)
		}
		if got.Usage.Memory < 1<<20 || got.Usage.Items != want.Usage.Items || got.Usage.FlashWritten == 0 {
			t.Errorf("%s: usage %+v", name, got.Usage)
		}
		target.Close()
	}
}

func TestServersWrongValueIsFound(t *testing.T) {
	m := newMemory()
	m.spoil = func(_ string, v []byte) []byte { v[len(v)-1] ^= 1; return v }
	target, err := Dial(serve(t, m), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if r := replayOf(t, "W4", Scale{Keys: 50, Requests: 500}, target); r.All.Wrong < r.All.Hits || r.All.Hits == 0 {
		t.Errorf("%+v", r.All)
	}
}

func TestRepliesThatNoServerSends(t *testing.T) {
	for _, reply := range []string{"VALUE x 0 1\r\na\r\nEND\r\n", "VALUE k 0 -1\r\n", "VALUE k 0 1\r\nab\r\nEND", "HELLO\r\n", "12\r\n", "VALUE k\r\n", "\r\n"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if conn, err := l.Accept(); err == nil {
				bufio.NewReader(conn).ReadString('\n')
				fmt.Fprint(conn, reply)
				conn.Close()
			}
		}()
		target, err := Dial(l.Addr().String(), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := target.Do([]Call{{Op: Get, Key: []byte("k")}}); err == nil {
			t.Errorf("%q: no error", reply)
		}
		target.Close()
		l.Close()
	}
}

func TestTimetableOfAServer(t *testing.T) {
	s := Server{speed: 1000}
	began := time.Now()
	s.At(0)
	s.At(20 * time.Second)
	if waited := time.Since(began); waited < 20*time.Millisecond {
		t.Errorf("waited %v, want 20 ms", waited)
	}
	if s.TTL(1) != 1 || s.TTL(0) != 0 || s.TTL(86400) != 87 {
		t.Errorf("TTLs %d, %d, %d", s.TTL(1), s.TTL(0), s.TTL(86400))
	}
	s = Server{}
	if s.TTL(90*day) != longestTTL || s.TTL(300) != 300 {
		t.Errorf("TTLs %d, %d", s.TTL(90*day), s.TTL(300))
	}
}

func TestContestAlternatesAndTellsTheDifference(t *testing.T) {
	forgets := newMemory()
	forgets.lose = func(c *Call) bool { return c.Op == Set }
	c := Contest{Sides: [2]loadgen.Side{{Name: "keeps", Command: serve(t, newMemory())}, {Name: "forgets", Command: serve(t, forgets)}}}
	var order []int
	c.Said = func(side int, _ *Result) { order = append(order, side) }
	scale := Scale{Keys: 50, Requests: 500}
	pairs, err := c.Run(t.Context(), []Source{{Workload: "W1", Scale: scale}, {Workload: "W3", Scale: scale}})
	if err != nil || fmt.Sprint(order) != "[0 1 1 0]" {
		t.Fatal(order, err)
	}
	var out bytes.Buffer
	if err := PrintPairs(&out, c.Sides, pairs); err != nil || strings.Count(out.String(), "\n| W") != 4 || !strings.Contains(out.String(), "keeps is +") {
		t.Errorf("%v\n%s", err, &out)
	}
}
