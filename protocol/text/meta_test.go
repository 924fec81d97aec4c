package text_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/text"
)

// metaTranscript parses data, cut in pieces by cut, and writes down all there is
// to each request.
func metaTranscript(t testing.TB, data []byte, cut func(left int) int) string {
	var log strings.Builder
	var in []byte
	p := text.Parser{MaxValue: maxValue}
	for len(data) > 0 {
		n := min(max(cut(len(data)), 1), len(data))
		in, data = append(in, data[:n]...), data[n:]
		for status := protocol.Complete; status != protocol.Incomplete; {
			var r protocol.Request
			if n, status = p.Next(in, &r); n < 0 || n > len(in) {
				t.Fatalf("consumed %d of %d bytes", n, len(in))
			}
			switch status {
			case protocol.Complete, protocol.Partial:
				fmt.Fprintf(&log, "%d %q %+v\n", status, [][]byte{r.Key, r.Args, r.Value, r.Echo}, withoutSlices(r))
			case protocol.Invalid:
				fmt.Fprintf(&log, "%q\n", p.Reply)
			case protocol.Close:
				return log.String() + "close"
			}
			in = in[n:]
		}
		in = bytes.Clone(in) // nothing may point at the old place
	}
	return log.String()
}

func withoutSlices(r protocol.Request) protocol.Request {
	r.Key, r.Args, r.Value, r.Echo = nil, nil, nil, nil
	return r
}

// metaLines are sequences of which each line is told by what it makes of the
// ones behind it: mn is answered if the parser is in step.
var metaLines = []exchange{
	{"mg a v\r\nmn\r\n", "get a;noop"},
	{"mg a v\nmn\n", "get a;noop"},
	{" mg a v\r\nmn\r\n", "get a;noop"},
	{"mg a\rb v\r\nmn\r\n", "get a\rb;noop"},
	{"mg a\x00b v\r\nmn\r\n", "get a;noop"},
	{"mgx\r\nmq a\r\nm\r\nmn\r\n", "ERROR;ERROR;CLIENT_ERROR bad command line format;noop"},
	{"MG a\r\nmn\r\n", "ERROR;noop"},
	{"mg\r\nmn\r\n", "CLIENT_ERROR bad command line format;noop"},
	{"mg " + k250 + "\r\nmn\r\n", "get " + k250 + ";noop"},
	{"mg " + k251 + "\r\nmn\r\n", "CLIENT_ERROR bad command line format;noop"},
	{"ms a 2\r\nhi\r\nmn\r\n", "set a hi;noop"},
	{"ms a 2\nhi\r\nmn\r\n", "set a hi;noop"},
	{"ms a 0\r\n\r\nmn\r\n", "set a ;noop"},
	{"ms a 4 T30 q ME\r\nh\r\ni\r\nmn\r\n", "add a h\r\ni;noop"},
	{"ms Zm9v 3 b k\r\nbar\r\nmn\r\n", "set foo bar;noop"},
	{"mg Zm9v b\r\nmd Zm9v b\r\nma Zm9v b\r\nme Zm9v b\r\nmn\r\n", "get foo;delete foo;incr foo;debug foo;noop"},
	{"ms a 2 q\r\nhiiimn\r\n", "CLIENT_ERROR bad data chunk;noop"},
	{"ms a 2\r\nh\r\n\r\nmn\r\n", "CLIENT_ERROR bad data chunk;CLIENT_ERROR bad command line format;noop"},
	{"ms a 65\r\n" + strings.Repeat("v", 65) + "\r\nmn\r\n", "set a too large;noop"},
	{"ms Zm9v 65 b\r\n" + strings.Repeat("v", 65) + "\r\nmn\r\n", "set foo too large;noop"},
	{"ms a 2147483645\r\nhi\r\nmn\r\n", "set a too large"},
	{"ms a x\r\nhi\r\nmn\r\n", "CLIENT_ERROR bad command line format;ERROR;noop"},
	{"ms a -1\r\nhi\r\nmn\r\n", "CLIENT_ERROR bad command line format;ERROR;noop"},
	{"ms a 2 w\r\nmn\r\nmn\r\n", "CLIENT_ERROR invalid flag;noop"},
	{"ms a 2 q q\r\nmn\r\nmn\r\n", "CLIENT_ERROR duplicate flag;noop"},
	{"ms a 2 !\r\nmn\r\nmn\r\n", "CLIENT_ERROR bad command line format;noop"},
	{"ms a 2 MZ\r\nmn\r\nmn\r\n", "CLIENT_ERROR invalid mode for ms M token;noop"},
	{"ms a 2 Tx q\r\nmn\r\nmn\r\n", "CLIENT_ERROR bad token in command line format;noop"},
	{"ms a 2 b\r\nmn\r\nmn\r\n", "CLIENT_ERROR error decoding key;noop"},
	{"ms " + k251 + " 2\r\nmn\r\nmn\r\n", "CLIENT_ERROR bad command line format;noop"},
	{"ms a 80 w\r\n" + strings.Repeat("mn\r\n", 20) + "\r\nmn\r\n", "CLIENT_ERROR invalid flag;noop"},
	{"ms a 2 T\r\n12\r\nmn\r\n", "CLIENT_ERROR bad token in command line format;noop"},
	{"ma a N0 J5 v\r\nma a MD\r\nma a v v\r\nmn\r\n", "incr a;decr a;CLIENT_ERROR invalid or duplicate flag;noop"},
	{"md a q\r\nget a b\r\nmn\r\n", "delete a;get a b;noop"},
	{"mn x\r\nmn\r\n", "noop;noop"},
	{"mg " + strings.Repeat("a", 2048) + "\r\nmn\r\n", "close"},
}

func TestMetaLines(t *testing.T) {
	for _, l := range metaLines {
		if got := metaSummary(l.in); got != l.want {
			t.Errorf("%.80q\n got %.300q\nwant %.300q", l.in, got, l.want)
		}
	}
}

func metaSummary(in string) string {
	var said []string
	p := text.Parser{MaxValue: maxValue}
	for rest := []byte(in); ; {
		var r protocol.Request
		n, status := p.Next(rest, &r)
		rest = rest[n:]
		switch status {
		case protocol.Incomplete:
			return strings.Join(said, ";")
		case protocol.Close:
			return strings.Join(append(said, "close"), ";")
		case protocol.Invalid:
			said = append(said, strings.TrimSuffix(p.Reply, "\r\n"))
		default:
			said = append(said, metaWords(&r))
		}
	}
}

func metaWords(r *protocol.Request) string {
	name := opNames[r.Op]
	switch {
	case r.Op == protocol.OpNoop:
		return "noop"
	case r.Op == protocol.OpMetaDebug:
		name = "debug"
	case r.TooLarge:
		return name + " " + string(r.Key) + " too large"
	case r.Op.Storage():
		return name + " " + string(r.Key) + " " + string(r.Value)
	}
	return name + " " + string(r.Key) + string(r.Args)
}

func TestMetaEverySplit(t *testing.T) { everySplit(t, metaLines, metaTranscript) }

func TestMetaRandomStreams(t *testing.T) { randomStreams(t, metaLines, 500, metaTranscript) }

func TestMetaNoAllocations(t *testing.T) {
	in := []byte("mg key s v t f c\r\nms key 3 T30 c\r\nabc\r\nma n N0 J5 v q\r\nmd k q\r\nmg key w\r\nms k 1 w\r\nx\r\nmn\r\n")
	p := text.Parser{MaxValue: maxValue}
	var r protocol.Request
	got := testing.AllocsPerRun(100, func() {
		for rest := in; len(rest) > 0; {
			n, status := p.Next(rest, &r)
			if status == protocol.Incomplete && n == 0 {
				t.Fatal("incomplete")
			}
			rest = rest[n:]
		}
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// FuzzRequest: no bytes make the parser panic, and no split changes what it
// finds, down to the last field.
func FuzzRequest(f *testing.F) {
	for _, l := range metaLines {
		f.Add([]byte(l.in), uint16(3))
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint16) {
		want := metaTranscript(t, in, whole)
		if got := metaTranscript(t, in, func(int) int { return int(step) }); got != want {
			t.Fatalf("pieces of %d: %s", step, firstDifference(got, want))
		}
	})
}

// BenchmarkMetaGet is to be no slower per byte than BenchmarkGet, which is of the
// same key; BenchmarkGetLong has as many bytes.
func BenchmarkMetaGet(b *testing.B) { benchmarkNext(b, "mg key_0001234 s v t f c\r\n") }

func BenchmarkGetLong(b *testing.B) { benchmarkNext(b, "get key_0001234567890123\r\n") }

func benchmarkNext(b *testing.B, line string) {
	in := []byte(line)
	p := text.Parser{MaxValue: maxValue}
	var r protocol.Request
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		p.Next(in, &r)
		text.NextKey(r.Args)
	}
}
