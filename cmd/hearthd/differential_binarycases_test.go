package main_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// quietTime is how long a server that has nothing to say is listened to.
const quietTime = 300 * time.Millisecond

// heard sends text on a connection of its own and returns the replies in short,
// opcode and status of each, and whether the server closed the connection.
func heard(t testing.TB, s *running, text string) string {
	t.Helper()
	c := s.dial(t)
	defer c.Close()
	c.SetWriteDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	all, err := readQuiet(c, quietTime)
	var out strings.Builder
	for in := bytes.NewReader(all); in.Len() > 0; {
		if left := all[len(all)-in.Len():]; left[0] != 0x81 {
			fmt.Fprintf(&out, "%q ", left)
			break
		}
		r, err := readPacket(in)
		if err != nil {
			t.Fatalf("%v: %q", err, all)
		}
		fmt.Fprintf(&out, "%#02x:%#x ", r.opcode, r.status)
	}
	if err == nil {
		out.WriteString("closed")
	}
	return strings.TrimRight(out.String(), " ")
}

// binaryExceptions are the ways in which hearthd answers binary packets otherwise
// than memcached; the generated packets keep away from them.
var binaryExceptions = []struct {
	name, why       string
	text            string
	memcached, ours string
}{
	{
		"body", "a body that goes on where no value belongs is refused: memcached takes the rest of it for a request",
		packet(opGAT, u32(0), "absent", packet(opNoop, "", "", "")), "0x1d:0x1 0x0a:0x0", "0x1d:0x4 closed",
	},
	{
		"body of touch", "as above",
		packet(opTouch, u32(0), "absent", packet(opNoop, "", "", "")), "0x1c:0x1 0x0a:0x0", "0x1c:0x4 closed",
	},
	{
		"body of stat", "as above",
		packet(opStat, "", "bogus", packet(opNoop, "", "", "")), "0x10:0x1 0x0a:0x0", "0x10:0x4 closed",
	},
	{
		"unknown", "the body of an unknown command is passed over: memcached passes over its extras and its key twice",
		packet(0x77, "", "key", "value") + packet(opNoop, "", "", ""), "0x77:0x81", "0x77:0x81 0x0a:0x0",
	},
	{
		"gigabytes", "a value of 2 GiB is passed over: memcached takes its length for one below zero, and the value for requests",
		withByte(packet(opSet, u64(0), "k", ""), 8, 0x80) + packet(opNoop, "", "", ""), "0x01:0x3 0x0a:0x0", "0x01:0x3",
	},
	{
		"verbosity", "memcached documents it and does not have it",
		packet(opVerbosity, u32(1), "", "") + packet(opNoop, "", "", ""), "0x1b:0x81", "0x1b:0x0 0x0a:0x0",
	},
	{
		"soon", "what the header shows to be wrong is answered at once: memcached waits for the key",
		withByte(packet(opGet, "", "", ""), 3, 1), "", "0x00:0x81 closed",
	},
	{
		"group", "stats knows its groups by their whole names: memcached by how they begin",
		packet(opStat, "", "detail offal", ""), "0x10:0x0", "0x10:0x1",
	},
}

// TestBinaryExceptions wants each exception to be as described, on both sides.
func TestBinaryExceptions(t *testing.T) {
	t.Parallel()
	memcached := startServer(t, memcachedPath(t), memcachedArgs...)
	ours := settings[0].start(t)
	for _, e := range binaryExceptions {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			if got := heard(t, memcached, e.text); got != e.memcached {
				t.Errorf("memcached: %s, should be %s", got, e.memcached)
			}
			if got := heard(t, ours, e.text); got != e.ours {
				t.Errorf("hearthd: %s, should be %s", got, e.ours)
			}
		})
	}
}

// TestBinarySettings: flags that change what binary packets are answered.
func TestBinarySettings(t *testing.T) {
	t.Parallel()
	memcached := memcachedPath(t)
	get, flush := packet(opGet, "", "absent", ""), packet(opFlush, "", "", "")
	set := packet(opSet, u64(0), "k", "7")
	withCAS := func(p string) string { return withByte(p, 23, 1) }
	for _, test := range []struct{ flags, text, want string }{
		{"-F", flush + packet(opFlushQ, u32(5), "", ""), "0x08:0x20 0x18:0x20"},
		{"-F", "flush_all\r\n", `"CLIENT_ERROR flush_all not allowed\r\n"`},
		{"-B auto", get, "0x00:0x1"},
		{"-B auto", get + "get a\r\n" + strings.Repeat("x", 24), "0x00:0x1 closed"},
		{"-B auto", "get a\r\n" + get + "\r\n", `"END\r\nERROR\r\n"`},
		{"-B ascii", get + "\r\n", `"ERROR\r\n"`},
		{"-B binary", get, "0x00:0x1"},
		{"-B binary", "get a\r\n" + strings.Repeat("x", 24), "closed"},
		{"-C", set + withCAS(packet(opDelete, "", "k", "")), "0x01:0x0 0x04:0x2"},
		{"-C", set + withCAS(packet(opIncr, u64(1)+u64(0)+u32(0), "k", "")), "0x01:0x0 0x05:0x2"},
		{"-C", set + withCAS(packet(opAppend, "", "k", "1")), "0x01:0x0 0x0e:0x0"},
		{"-C", set + withCAS(set) + withCAS(packet(opAdd, u64(0), "k", "")), "0x01:0x0 0x01:0x0 0x02:0x2"},
	} {
		t.Run(test.flags+" "+brief([]byte(test.text)), func(t *testing.T) {
			t.Parallel()
			for _, path := range []string{memcached, hearthdPath(t)} {
				s := startServer(t, path, append(strings.Fields(test.flags), memcachedArgs...)...)
				if got := heard(t, s, test.text); got != test.want {
					t.Errorf("%s: %s, should be %s", s.name, got, test.want)
				}
			}
		})
	}
}

// TestBinaryStats: the groups of stats, told in packets.
func TestBinaryStats(t *testing.T) {
	t.Parallel()
	memcached := startServer(t, memcachedPath(t), memcachedArgs...)
	ours := settings[0].start(t)
	told := func(s *running, group string) map[string]string {
		c := s.dial(t)
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, packet(opStat, "", group, ""))
		all := map[string]string{}
		for {
			r, err := readPacket(c)
			if err != nil || r.opcode != opStat || r.status != 0 || len(r.extras) > 0 {
				t.Fatalf("%s: stats %s: %v, %v", s.name, group, &r, err)
			}
			if r.key == "" {
				return all
			}
			all[r.key] = r.value
		}
	}
	for _, group := range []string{"", "settings"} {
		want := ours.stats(t, group)
		have := told(ours, group)
		for name := range told(memcached, group) {
			if _, ok := have[name]; !ok && untold[name] == "" {
				t.Errorf("stats %s: no %s", group, name)
			}
		}
		for name := range want {
			if _, ok := have[name]; !ok {
				t.Errorf("stats %s: no %s in a packet", group, name)
			}
		}
	}
	if got := told(ours, "settings")["binding_protocol"]; got != "auto-negotiate" {
		t.Errorf("binding_protocol is %q", got)
	}
	for _, s := range []*running{memcached, ours} {
		if got := heard(t, s, packet(opStat, "", "reset", "")+packet(opStat, "", "bogus", "")); got != "0x10:0x0 0x10:0x1" {
			t.Errorf("%s: stats reset and of an unknown group: %s", s.name, got)
		}
	}
}

// packetLie has each packet that comes in one piece told by tell.
func packetLie(tell func(p []byte) []byte) func([]byte) []byte {
	return func(b []byte) (out []byte) {
		for {
			if len(b) < 24 || b[0] != 0x81 {
				return append(out, b...)
			}
			n := 24 + int(b[10])<<8 + int(b[11]) + int(b[9])<<16
			if n > len(b) {
				return append(out, b...)
			}
			out, b = append(out, tell(b[:n:n])...), b[n:]
		}
	}
}

// setAt is a lie about one byte of the packets of an opcode.
func setAt(opcode byte, at int, to byte) func([]byte) []byte {
	return packetLie(func(p []byte) []byte {
		if p[1] == opcode && at < len(p) {
			p[at] = to
		}
		return p
	})
}

var binaryLies = []lie{
	{"another status", setAt(opAppend, 7, 9)},
	{"another text", replaced("Data exists for key.", "Data exists for key!")},
	{"another opcode", setAt(opGetKQ, 1, opGetK)},
	{"other flags", setAt(opGAT, 27, 43)},
	{"extras of touch", setAt(opTouch, 24, 1)},
	{"another number", setAt(opIncr, 31, 1)},
	{"another key", setAt(opGATK, 28, 'x')},
	{"another opaque", setAt(opGet, 13, 1)},
	{"every unique value the same", packetLie(func(p []byte) []byte {
		if !bytes.Equal(p[16:24], make([]byte, 8)) {
			copy(p[16:24], "12345678")
		}
		return p
	})},
	{"a unique value where there is none", setAt(opDelete, 23, 5)},
	{"a reply left out", packetLie(func(p []byte) []byte {
		if p[1] == opDelete {
			return nil
		}
		return p
	})},
	{"replies to who is quiet", packetLie(func(p []byte) []byte {
		if p[1] == opNoop {
			return append([]byte("\x81\x11"+strings.Repeat("\x00", 22)), p...)
		}
		return p
	})},
}

// TestGeneratedBinarySeesLies wants every lie found by the generated packets.
func TestGeneratedBinarySeesLies(t *testing.T) {
	t.Parallel()
	memcached := memcachedPath(t)
	for _, lie := range binaryLies {
		t.Run(lie.name, func(t *testing.T) {
			t.Parallel()
			g := &generator{Rand: rand.New(rand.NewPCG(1, 0))}
			honest := newBinaryStream(t, startServer(t, memcached, memcachedArgs...))
			lying := newBinaryStream(t, liar(t, startServer(t, memcached, memcachedArgs...), lie.tell))
			if compareStreams(t, honest, lying, g.packets(1000), 1) == nil {
				t.Error("not seen")
			}
		})
	}
}
