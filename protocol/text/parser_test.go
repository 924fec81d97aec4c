package text_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/text"
)

const maxValue = 64

var opNames = map[protocol.Op]string{
	protocol.OpGet: "get", protocol.OpGets: "gets", protocol.OpGat: "gat", protocol.OpGats: "gats",
	protocol.OpSet: "set", protocol.OpAdd: "add", protocol.OpReplace: "replace",
	protocol.OpAppend: "append", protocol.OpPrepend: "prepend", protocol.OpCAS: "cas",
	protocol.OpIncr: "incr", protocol.OpDecr: "decr", protocol.OpTouch: "touch",
	protocol.OpDelete: "delete", protocol.OpFlushAll: "flush_all", protocol.OpVersion: "version",
	protocol.OpVerbosity: "verbosity", protocol.OpStats: "stats", protocol.OpQuit: "quit",
	protocol.OpShutdown: "shutdown", protocol.OpCacheMemlimit: "cache_memlimit",
	protocol.OpLRUCrawler: "lru_crawler", protocol.OpLRU: "lru", protocol.OpSlabs: "slabs",
	protocol.OpWatch: "watch", protocol.OpExtstore: "extstore", protocol.OpRefreshCerts: "refresh_certs",
}

// reader feeds a Parser as a connection does and writes down what it finds.
type reader struct {
	t      testing.TB
	parser text.Parser
	in     []byte
	log    strings.Builder
	midway bool // within a retrieval taken in pieces
	closed bool
}

// feed gives the parser some more bytes.
func (d *reader) feed(b []byte) {
	d.in = append(d.in, b...)
	var r protocol.Request
	for !d.closed {
		n, status := d.parser.Next(d.in, &r)
		if n < 0 || n > len(d.in) {
			d.t.Fatalf("consumed %d of %d bytes", n, len(d.in))
		}
		switch status {
		case protocol.Incomplete:
			if n > 0 || len(d.in) < 4096 { // elsewhere: nothing may point at the old place
				d.in = append([]byte(nil), d.in[n:]...)
			}
			if d.parser.Need != 0 && d.parser.Need <= len(d.in) {
				d.t.Fatalf("needs %d bytes and has %d", d.parser.Need, len(d.in))
			}
			return
		case protocol.Invalid:
			d.say("! %q", d.parser.Reply)
			d.midway = false
		case protocol.Close:
			d.say("close")
			d.closed = true
		default:
			d.request(&r, status)
		}
		d.in = d.in[n:]
	}
}

func (d *reader) say(format string, args ...any) {
	if d.midway {
		d.log.WriteByte('\n')
	}
	fmt.Fprintf(&d.log, format+"\n", args...)
}

func (d *reader) request(r *protocol.Request, status protocol.Status) {
	switch {
	case r.Op.Retrieval():
		d.keys(r, status)
	case r.Op.Storage() && r.TooLarge:
		d.say("%s %q too large%s", opNames[r.Op], r.Key, quiet(r))
	case r.Op.Storage():
		d.say("%s %q %d %d %q %d%s", opNames[r.Op], r.Key, r.Flags, r.Exptime, r.Value, r.CAS, quiet(r))
	default:
		d.say("%s %q %q %d %v %d%s", opNames[r.Op], r.Key, r.Args, r.Exptime, r.HasExp, r.Delta, quiet(r))
	}
}

func (d *reader) keys(r *protocol.Request, status protocol.Status) {
	if !d.midway {
		fmt.Fprintf(&d.log, "%s %d", opNames[r.Op], r.Exptime)
	}
	for key, rest := text.NextKey(r.Args); key != nil; key, rest = text.NextKey(rest) {
		if len(key) > protocol.MaxKey {
			d.t.Fatalf("a key of %d bytes", len(key))
		}
		fmt.Fprintf(&d.log, " %q", key)
	}
	if d.midway = status == protocol.Partial; !d.midway {
		d.log.WriteByte('\n')
	}
}

func quiet(r *protocol.Request) string {
	if r.Noreply {
		return " noreply"
	}
	return ""
}

// transcript parses data, cut in pieces by cut, which gives the length of each.
func transcript(t testing.TB, data []byte, cut func(left int) int) string {
	d := &reader{t: t, parser: text.Parser{MaxValue: maxValue}}
	for len(data) > 0 {
		n := min(max(cut(len(data)), 1), len(data))
		d.feed(data[:n])
		data = data[n:]
	}
	return d.log.String()
}

func whole(left int) int { return left }

// transcriber writes down what a parser finds in data, cut in pieces by cut.
type transcriber = func(t testing.TB, data []byte, cut func(left int) int) string

// exchange is what comes in, and the transcript that it is to give.
type exchange struct{ in, want string }

const (
	bad    = `! "CLIENT_ERROR bad command line format\r\n"` + "\n"
	chunk  = `! "CLIENT_ERROR bad data chunk\r\n"` + "\n"
	expiry = `! "CLIENT_ERROR invalid exptime argument\r\n"` + "\n"
	delta  = `! "CLIENT_ERROR invalid numeric delta argument\r\n"` + "\n"
	wrong  = `! "ERROR\r\n"` + "\n"
	silent = `! ""` + "\n"
)

var (
	k250 = strings.Repeat("k", 250)
	k251 = strings.Repeat("k", 251)
)

// lines are what memcached does with each: 1.6.18 was seen to, but for what its
// newer parser refuses as malformed, and for the values that go with such lines.
var lines = []exchange{
	{"get a\r\n", "get 0 \"a\"\n"},
	{"get a\n", "get 0 \"a\"\n"},
	{" get  a   b \r\n", "get 0 \"a\" \"b\"\n"},
	{"gets a b\r\n", "gets 0 \"a\" \"b\"\n"},
	{"bget a\r\n", "get 0 \"a\"\n"},
	{"gat 5 a b\r\n", "gat 5 \"a\" \"b\"\n"},
	{"gats -1 a\r\n", "gats -1 \"a\"\n"},
	{"gat 0\r\ngats x\r\n", bad + bad},
	{"gat x a\r\n", expiry},
	{"gat 1x a\r\n", expiry},
	{"gat x " + k251 + "\r\n", expiry},
	{"gat 99999999999999999999 a\r\n", expiry},
	{"gat\r\n", bad},
	{"get\r\n", bad},
	{"get \r\n", bad},
	{"GET a\r\n", wrong},
	{"get\tb\r\n", wrong},
	{"get a\tb\r\n", "get 0 \"a\\tb\"\n"},
	{"get a\rb\r\n", "get 0 \"a\\rb\"\n"},
	{"get a\r\r\n", "get 0 \"a\\r\"\n"},
	{"get \x01 \x80\xff\r\n", "get 0 \"\\x01\" \"\\x80\\xff\"\n"},
	{"get a\x00b\r\n", "get 0 \"a\"\n"},
	{"get\x00 a\r\n", bad},
	{"get " + k250 + "\r\n", "get 0 \"" + k250 + "\"\n"},
	{"get a " + k251 + " b\r\n", bad},
	{"gat 0 a " + k251 + " b\r\n", bad},
	{"\r\n", bad},
	{"\n", bad},
	{"\r\r\n", bad},
	{"   \r\n", wrong},
	{"\x00\r\n", bad},
	{"a\r\n", bad},
	{"foo\r\nversion\r\n", wrong + "version \"\" \"\" 0 false 0\n"},
	{"versionx\r\n", wrong},
	{"GET / HTTP/1.0\r\nversion\r\n", "close\n"},
	{"POST / HTTP/1.1\r\nHost: x\r\n\r\n", "close\n"},
	{"get / HTTP\r\n", "get 0 \"/\" \"HTTP\"\n"},

	{"set a 1 2 3\r\nabc\r\n", "set \"a\" 1 2 \"abc\" 0\n"},
	{"set a 1 2 3\nabc\r\n", "set \"a\" 1 2 \"abc\" 0\n"},
	{"set a 1 2 3 noreply\r\nabc\r\n", "set \"a\" 1 2 \"abc\" 0 noreply\n"},
	{"set a 0 0 0\r\n\r\n", "set \"a\" 0 0 \"\" 0\n"},
	{"add a 1 2 3\r\nabc\r\nreplace a 0 0 1\r\nx\r\n", "add \"a\" 1 2 \"abc\" 0\nreplace \"a\" 0 0 \"x\" 0\n"},
	{"append a 1 2 3\r\nabc\r\nprepend a 0 0 1\r\nx\r\n", "append \"a\" 1 2 \"abc\" 0\nprepend \"a\" 0 0 \"x\" 0\n"},
	{"cas a 1 2 3 18446744073709551615\r\nabc\r\n", "cas \"a\" 1 2 \"abc\" 18446744073709551615\n"},
	{"cas a 1 2 3 7 noreply\r\nabc\r\n", "cas \"a\" 1 2 \"abc\" 7 noreply\n"},
	{" set  a  0  0  1 \r\nx\r\n", "set \"a\" 0 0 \"x\" 0\n"},
	{"set a 0 0 1 foo\r\nx\r\n", "set \"a\" 0 0 \"x\" 0\n"},
	{"set a 4294967295 -5 01\r\nx\r\n", "set \"a\" 4294967295 -5 \"x\" 0\n"},
	{"set a +3 +4 +1\r\nx\r\n", "set \"a\" 3 4 \"x\" 0\n"},
	{"set a 5\t6 0 \t1\tx\r\nx\r\n", "set \"a\" 5 0 \"x\" 0\n"},
	{"set a 4294967296 0 1\r\nx\r\n", "set \"a\" 0 0 \"x\" 0\n"},
	{"set a\x01b 0 0 1\r\nx\r\n", "set \"a\\x01b\" 0 0 \"x\" 0\n"},
	{"set a\x00 0 0 1\r\n", bad},
	{"set\r\nset a 0 0\r\n", bad + bad},
	{"set a 0 0 1 noreply x\r\ny\r\n", "set \"a\" 0 0 \"y\" 0\n"},
	{"set a 0 0 1 x noreply\r\ny\r\n", "set \"a\" 0 0 \"y\" 0 noreply\n"},
	{"set a 0 0 1" + strings.Repeat(" 1", 30) + "\r\ny\r\n", "set \"a\" 0 0 \"y\" 0\n"},
	{"set a 0 0 1" + strings.Repeat(" 1", 30) + " noreply\r\ny\r\n", "set \"a\" 0 0 \"y\" 0 noreply\n"},
	{"cas a 0 0 1\r\n", bad},
	{"cas a 0 0 1 1 noreply x\r\ny\r\n", "cas \"a\" 0 0 \"y\" 1\n"},
	{"cas a 0 0 1 noreply\r\n", silent},
	{"cas a 0 0 1 -1\r\n", bad},
	{"cas a 0 0 1 18446744073709551616\r\n", bad},
	{"set a x 0 1\r\nx\r\nget a\r\n", bad + "get 0 \"a\"\n"},
	{"set a -1 0 1\r\n", bad},
	{"set a 99999999999999999999 0 1\r\n", bad},
	{"set a 0 x 1\r\n", bad},
	{"set a 0 9223372036854775808 1\r\n", bad},
	{"set a 0 0 x\r\n", bad},
	{"set a 0 0 1x\r\n", bad},
	{"set a 0 0 0x1\r\n", bad},
	{"set a 0 0 -1\r\n", bad},
	{"set a 0 0 -1 noreply\r\nxx\r\n", bad + wrong},
	{"set a 0 0 noreply\r\n", bad},
	{"set a 0 0 2147483646\r\n", bad},
	{"set a 0 0 2147483647\r\n", bad},
	{"set a 0 0 2147483648\r\n", bad},
	{"set a 0 0 99999999999999999999\r\n", bad},
	{"set " + k251 + " 0 0 7\r\nversion\r\nget a\r\n", bad + "get 0 \"a\"\n"},
	{"set " + k251 + " 0 0 1 noreply\r\nx\r\nget a\r\n", silent + "get 0 \"a\"\n"},
	{"set a 0 0 1\r\nxyz\r\n", chunk + bad},
	{"set a 0 0 1 noreply\r\nxyz\r\n", silent + bad},
	{"set a 0 0 1\r\nxyzget a\r\n", chunk + "get 0 \"a\"\n"},
	{"set a 0 0 3\r\nx\r\nabcdefget a\r\n", chunk + wrong},
	{"set a 0 0 2\r\nxx\n\nget a\r\n", chunk + "get 0 \"a\"\n"},

	{"set a 0 0 65\r\n" + strings.Repeat("v", 65) + "\r\nget a\r\n", "set \"a\" too large\nget 0 \"a\"\n"},
	{"add a 0 0 65 noreply\r\n" + strings.Repeat("v", 65) + "\r\nget a\r\n", "add \"a\" too large noreply\nget 0 \"a\"\n"},
	{"set a 0 0 65\r\n" + strings.Repeat("v", 70) + "\r\nget a\r\n", "set \"a\" too large\n" + wrong + "get 0 \"a\"\n"},
	{"set a 0 0 2147483645\r\nx\r\nget a\r\n", "set \"a\" too large\n"},
	{"set a 0 0 64\r\n" + strings.Repeat("v", 64) + "\r\n", "set \"a\" 0 0 \"" + strings.Repeat("v", 64) + "\" 0\n"},

	{"incr a 1\r\ndecr a  2\r\n", "incr \"a\" \"\" 0 false 1\ndecr \"a\" \"\" 0 false 2\n"},
	{"incr a 18446744073709551615 noreply\r\n", "incr \"a\" \"\" 0 false 18446744073709551615 noreply\n"},
	{"incr a +2\r\nincr a -0\r\nincr a 1 foo\r\n", "incr \"a\" \"\" 0 false 2\nincr \"a\" \"\" 0 false 0\nincr \"a\" \"\" 0 false 1\n"},
	{"incr\r\nincr a\r\nincr a 1 2 3\r\n", bad + bad + "incr \"a\" \"\" 0 false 1\n"},
	{"incr a x\r\nincr a -1\r\nincr a 1x\r\nincr a 18446744073709551616\r\n", delta + delta + delta + delta},
	{"incr a x noreply\r\nincr a noreply\r\n", silent + silent},
	{"incr " + k251 + " x\r\n", bad},

	{"touch a 5\r\ntouch a 5 noreply\r\n", "touch \"a\" \"\" 5 true 0\ntouch \"a\" \"\" 5 true 0 noreply\n"},
	{"touch\r\ntouch a\r\ntouch a 0 1 2\r\n", bad + bad + "touch \"a\" \"\" 0 true 0\n"},
	{"touch a x\r\ntouch a x noreply\r\n", expiry + silent},
	{"touch " + k251 + " x\r\n", bad},

	{"delete a\r\ndelete a 0\r\n", "delete \"a\" \"\" 0 false 0\ndelete \"a\" \"\" 0 false 0\n"},
	{"delete a noreply\r\ndelete a 0 noreply\r\n", "delete \"a\" \"\" 0 false 0 noreply\ndelete \"a\" \"\" 0 false 0 noreply\n"},
	{"delete noreply\r\ndelete 0 0\r\n", "delete \"noreply\" \"\" 0 false 0\ndelete \"0\" \"\" 0 false 0\n"},
	{"delete\r\ndelete a b c\r\n", bad + "delete \"a\" \"\" 0 false 0\n"},
	{"delete a b c d\r\ndelete a b c d noreply\r\n", wrong + wrong},
	{"delete a 1\r\ndelete a noreply x\r\n", strings.Repeat("delete \"a\" \"\" 0 false 0\n", 2)},
	{"delete a 1 noreply\r\ndelete a noreply noreply\r\n", strings.Repeat("delete \"a\" \"\" 0 false 0 noreply\n", 2)},
	{"delete " + k251 + "\r\ndelete " + k251 + " noreply\r\ndelete " + k251 + " x\r\n", bad + silent + bad},

	{"flush_all\r\nflush_all noreply\r\n", "flush_all \"\" \"\" 0 false 0\nflush_all \"\" \"\" 0 false 0 noreply\n"},
	{"flush_all 9\r\nflush_all -1 noreply\r\nflush_all 0 foo\r\n", "flush_all \"\" \"\" 9 true 0\nflush_all \"\" \"\" -1 true 0 noreply\nflush_all \"\" \"\" 0 true 0\n"},
	{"flush_all x\r\nflush_all x noreply\r\nflush_all noreply 0\r\n", expiry + silent + expiry},
	{"flush_all 0 0 0\r\n", "flush_all \"\" \"\" 0 true 0\n"},

	{"verbosity 1\r\nverbosity 0 noreply\r\n", "verbosity \"\" \"\" 0 false 1\nverbosity \"\" \"\" 0 false 0 noreply\n"},
	{"verbosity\r\nverbosity 0 1 2\r\nverbosity x\r\nverbosity -1\r\nverbosity noreply\r\n", bad + "verbosity \"\" \"\" 0 false 0\n" + bad + bad + silent},
	{"cache_memlimit 64\r\ncache_memlimit\r\ncache_memlimit x\r\ncache_memlimit x noreply\r\n", "cache_memlimit \"\" \"\" 0 false 64\n" + wrong + wrong + silent},
	{"version 1 2\r\nquit x\r\nshutdown graceful\r\n", "version \"\" \"1 2\" 0 false 0\nquit \"\" \"x\" 0 false 0\nshutdown \"\" \"graceful\" 0 false 0\n"},
	{"lru_crawler\r\nlru_crawler metadump all\r\nlru mode flat noreply\r\n",
		"lru_crawler \"\" \"\" 0 false 0\nlru_crawler \"\" \"metadump all\" 0 false 0\nlru \"\" \"mode flat \" 0 false 0 noreply\n"},
	{"slabs noreply  \r\nslabs xnoreply\r\nextstore noreply 1\r\nshutdown  noreply\r\n",
		"slabs \"\" \"\" 0 false 0 noreply\nslabs \"\" \"xnoreply\" 0 false 0\nextstore \"\" \"noreply 1\" 0 false 0\nshutdown \"\" \" \" 0 false 0 noreply\n"},
	{"watch\r\nwatch fetchers noreply\r\n", "watch \"\" \"\" 0 false 0\nwatch \"\" \"fetchers noreply\" 0 false 0\n"},
	{"misbehave\r\ndebugtime 5\r\nlru_crawlerx\r\nlr\r\n", strings.Repeat("! \"ERROR\\r\\n\"\n", 4)},
	{"stats\r\nstats settings\r\nstats noreply\r\n", "stats \"\" \"\" 0 false 0\nstats \"\" \"settings\" 0 false 0\nstats \"\" \"noreply\" 0 false 0\n"},

	{strings.Repeat("a", 2047) + "\r\n", wrong},
	{strings.Repeat(" ", 2048) + "\n", wrong},
	{strings.Repeat("a", 2048), ""},
	{strings.Repeat("a", 2049), "close\n"},
	{strings.Repeat(" ", 101) + "get " + strings.Repeat("a ", 1500), "close\n"},
	{"get\r" + strings.Repeat("a ", 1500), "close\n"},
	{"get " + strings.Repeat("zz ", 1500) + "\r\n", "get 0" + strings.Repeat(" \"zz\"", 1500) + "\n"},
	{strings.Repeat(" ", 50) + "gets " + strings.Repeat("zz ", 1500) + "\r\n", "gets 0" + strings.Repeat(" \"zz\"", 1500) + "\n"},
	{"gat 7 " + strings.Repeat("zz ", 1500) + k251 + "\r\n", bad},
}

func TestLines(t *testing.T) {
	for _, l := range lines {
		if got := transcript(t, []byte(l.in), whole); got != l.want {
			t.Errorf("%.80q\n got %.300s\nwant %.300s", l.in, got, l.want)
		}
	}
}

// TestEverySplit: where the bytes are cut must not matter.
func TestEverySplit(t *testing.T) { everySplit(t, lines, transcript) }

// everySplit cuts each input in two at every place, and byte by byte.
func everySplit(t *testing.T, lines []exchange, transcript transcriber) {
	for _, l := range lines {
		in := []byte(l.in)
		want := transcript(t, in, whole)
		if got := transcript(t, in, func(int) int { return 1 }); got != want {
			t.Errorf("byte by byte %.80q\n got %.300s\nwant %.300s", l.in, got, want)
		}
		for at := 1; at < len(in) && len(in) < 600; at++ {
			first := true
			got := transcript(t, in, func(left int) int {
				if first {
					first = false
					return at
				}
				return left
			})
			if got != want {
				t.Errorf("cut at %d %.80q\n got %.300s\nwant %.300s", at, l.in, got, want)
			}
		}
	}
}

// longLines are retrievals that cannot be checked wholly first.
func longLines() map[string]string {
	many := strings.Repeat("key012345 ", text.MaxLine/10+500)
	return map[string]string{
		"get":       "get " + many + "\r\nversion\r\n",
		"gets":      "gets " + many + "last\nversion\r\n",
		"gats":      "gats 9 " + many + k250 + "\r\nversion\r\n",
		"exptime":   "gat 9x " + many + "\r\nversion\r\n",
		"bad first": "get " + k251 + " " + many + "\r\nversion\r\n",
		"bad last":  "get " + many + k251 + "\r\nversion\r\n",
		"no space":  "get " + strings.Repeat("x", 2*text.MaxLine) + "\r\nversion\r\n",
		"spaces":    "get " + strings.Repeat(" ", 2*text.MaxLine) + "a\r\nversion\r\n",
	}
}

func TestLongRetrieval(t *testing.T) {
	const seed = 7
	t.Logf("seed %d", seed)
	for name, in := range longLines() {
		t.Run(name, func(t *testing.T) {
			want := transcript(t, []byte(in), whole)
			if !strings.HasSuffix(want, "version \"\" \"\" 0 false 0\n") {
				t.Fatalf("the connection is out of step: ...%q", want[max(0, len(want)-100):])
			}
			keys := strings.Count(in, "key012345")
			if got := strings.Count(want, "key012345"); got != keys && name != "bad first" && name != "exptime" {
				t.Errorf("%d keys of %d", got, keys)
			}
			atEnd := func(left int) int { return max(1, left-600) } // then byte by byte
			if got := transcript(t, []byte(in), atEnd); got != want {
				t.Errorf("byte by byte at the end: %s", firstDifference(got, want))
			}
			rng := rand.New(rand.NewPCG(seed, 0))
			for _, size := range []int{100, 4096, 70000} {
				got := transcript(t, []byte(in), func(int) int { return 1 + rng.IntN(size) })
				if got != want {
					t.Errorf("pieces of up to %d: %s", size, firstDifference(got, want))
				}
			}
		})
	}
}

// TestLongRetrievalMemory: what must be held of a line has a bound.
func TestLongRetrievalMemory(t *testing.T) {
	d := &reader{t: t, parser: text.Parser{MaxValue: maxValue}}
	d.feed([]byte("get "))
	for range 4 * text.MaxLine / 1000 {
		d.feed([]byte(strings.Repeat("0123456789abcdefghijklmn ", 40)))
		if len(d.in) > text.MaxLine+1000 {
			t.Fatalf("%d bytes are held", len(d.in))
		}
	}
}

func firstDifference(a, b string) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return fmt.Sprintf("at %d %.60q, want %.60q", i, a[i:], b[i:])
}

func TestRandomStreams(t *testing.T) { randomStreams(t, lines, 300, transcript) }

// randomStreams runs pipelines of good, bad and mangled requests.
func randomStreams(t *testing.T, lines []exchange, rounds int, transcript transcriber) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range rounds {
		var in []byte
		for range 20 {
			if l := lines[rng.IntN(len(lines))].in; len(l) < 600 {
				in = append(in, l...)
			}
		}
		for range rng.IntN(3) {
			in[rng.IntN(len(in))] = byte(rng.IntN(256))
		}
		want := transcript(t, in, whole)
		if got := transcript(t, in, func(int) int { return 1 + rng.IntN(40) }); got != want {
			t.Fatalf("%s\nin %q", firstDifference(got, want), in)
		}
	}
}

func FuzzParser(f *testing.F) {
	for _, l := range lines {
		f.Add([]byte(l.in), uint16(3))
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint16) {
		want := transcript(t, in, whole)
		if got := transcript(t, in, func(int) int { return int(step) }); got != want {
			t.Fatalf("pieces of %d: %s", step, firstDifference(got, want))
		}
	})
}

func TestNoAllocations(t *testing.T) {
	in := []byte("get abc def\r\ngats 5 x y\r\nset a 1 2 3 noreply\r\nabc\r\nincr n 5\r\ndelete k\r\nbad\r\ntouch a 1\r\n")
	p := text.Parser{MaxValue: maxValue}
	var r protocol.Request
	got := testing.AllocsPerRun(100, func() {
		for rest := in; len(rest) > 0; {
			n, status := p.Next(rest, &r)
			if status == protocol.Incomplete {
				t.Fatal("incomplete")
			}
			rest = rest[n:]
			for key, args := text.NextKey(r.Args); key != nil; key, args = text.NextKey(args) {
			}
		}
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkGet(b *testing.B) {
	in := []byte("get key_0001234\r\n")
	p := text.Parser{MaxValue: maxValue}
	var r protocol.Request
	for b.Loop() {
		p.Next(in, &r)
		text.NextKey(r.Args)
	}
}

func BenchmarkSet(b *testing.B) {
	in := []byte("set key_0001234 0 0 100\r\n" + string(bytes.Repeat([]byte("v"), 100)) + "\r\n")
	p := text.Parser{MaxValue: 1 << 20}
	var r protocol.Request
	for b.Loop() {
		p.Next(in, &r)
	}
}
