package text_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/text"
)

var kinds = [...]string{
	text.ReplyLine: "line", text.ReplyOutcome: "outcome", text.ReplyValue: "value", text.ReplyStat: "stat",
	text.ReplyEnd: "end", text.ReplyNumber: "number", text.ReplyVersion: "version", text.ReplyError: "error",
	text.ReplyClientError: "client error", text.ReplyServerError: "server error",
}

// replies writes down what a ReplyParser finds in data when it comes in pieces
// of step bytes.
func replies(t testing.TB, data []byte, step int) string {
	p := text.ReplyParser{MaxValue: maxValue}
	var log strings.Builder
	var in []byte
	for len(data) > 0 {
		n := min(max(step, 1), len(data))
		in = append(append([]byte(nil), in...), data[:n]...) // elsewhere: nothing may point at the old place
		data = data[n:]
		for {
			var r text.Reply
			n, status := p.Next(in, &r)
			if status == protocol.Invalid {
				log.WriteString("invalid\n")
				return log.String()
			}
			if status == protocol.Incomplete {
				if n != 0 || p.Need != 0 && p.Need <= len(in) || p.Need > 8192+maxValue+2 {
					t.Fatalf("incomplete with %d bytes consumed, needs %d, has %d", n, p.Need, len(in))
				}
				break
			}
			if status != protocol.Complete || n < 2 || n > len(in) || len(r.Value) > maxValue {
				t.Fatalf("status %d, %d of %d bytes, a value of %d", status, n, len(in), len(r.Value))
			}
			fmt.Fprintf(&log, "%s %d %q %q %d %d %v %d %q\n", kinds[r.Kind], r.Outcome, r.Key, r.Value, r.Flags, r.CAS, r.HasCAS, r.Number, r.Text)
			in = in[n:]
		}
	}
	return log.String()
}

func found(kind text.ReplyKind, r text.Reply) string {
	return fmt.Sprintf("%s %d %q %q %d %d %v %d %q\n", kinds[kind], r.Outcome, r.Key, r.Value, r.Flags, r.CAS, r.HasCAS, r.Number, r.Text)
}

func outcome(o protocol.Outcome, line string) string {
	return found(text.ReplyOutcome, text.Reply{Outcome: o, Text: []byte(line)})
}

func textOf(kind text.ReplyKind, s string) string { return found(kind, text.Reply{Text: []byte(s)}) }

const invalid = "invalid\n"

var replyLines = []struct{ in, want string }{
	{"STORED\r\n", outcome(protocol.Stored, "STORED")},
	{"NOT_STORED\r\n", outcome(protocol.NotStored, "NOT_STORED")},
	{"EXISTS\r\n", outcome(protocol.Exists, "EXISTS")},
	{"NOT_FOUND\r\n", outcome(protocol.NotFound, "NOT_FOUND")},
	{"TOUCHED\r\n", outcome(protocol.Touched, "TOUCHED")},
	{"DELETED\r\n", outcome(protocol.Deleted, "DELETED")},
	{"OK\r\n", outcome(protocol.Done, "OK")},
	{"RESET\r\n", outcome(protocol.Done, "RESET")},
	{"STORED \r\n", textOf(text.ReplyLine, "STORED ")},
	{"stored\r\n", textOf(text.ReplyLine, "stored")},
	{"\r\n", textOf(text.ReplyLine, "")},
	{"NOSPARE no spare pages\r\n", textOf(text.ReplyLine, "NOSPARE no spare pages")},

	{"END\r\n", textOf(text.ReplyEnd, "")},
	{"VERSION 1.6.18\r\n", textOf(text.ReplyVersion, "1.6.18")},
	{"ERROR\r\n", textOf(text.ReplyError, "")},
	{"ERROR Too many open connections\r\n", textOf(text.ReplyError, "Too many open connections")},
	{"CLIENT_ERROR bad data chunk\r\n", textOf(text.ReplyClientError, "bad data chunk")},
	{"SERVER_ERROR out of memory\r\n", textOf(text.ReplyServerError, "out of memory")},
	{"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n", found(text.ReplyClientError, text.Reply{Outcome: protocol.NonNumeric, Text: []byte("cannot increment or decrement non-numeric value")})},
	{"SERVER_ERROR object too large for cache\r\n", found(text.ReplyServerError, text.Reply{Outcome: protocol.TooLarge, Text: []byte("object too large for cache")})},
	{"SERVER_ERROR out of memory storing object\r\n", found(text.ReplyServerError, text.Reply{Outcome: protocol.NoMemory, Text: []byte("out of memory storing object")})},

	{"0\r\n", found(text.ReplyNumber, text.Reply{})},
	{"18446744073709551615\r\n", found(text.ReplyNumber, text.Reply{Number: math.MaxUint64})},
	{"5  \r\n", found(text.ReplyNumber, text.Reply{Number: 5})},
	{"18446744073709551616\r\n", textOf(text.ReplyLine, "18446744073709551616")},
	{"-1\r\n", textOf(text.ReplyLine, "-1")},

	{"STAT pid 17\r\nSTAT empty \r\nSTAT two words\tand more\r\n", found(text.ReplyStat, text.Reply{Key: []byte("pid"), Text: []byte("17")}) +
		found(text.ReplyStat, text.Reply{Key: []byte("empty")}) + found(text.ReplyStat, text.Reply{Key: []byte("two"), Text: []byte("words\tand more")})},
	{"ITEM a [5 b; 0 s]\r\n", found(text.ReplyStat, text.Reply{Key: []byte("a"), Text: []byte("[5 b; 0 s]")})},

	{"VALUE a 0 3\r\nabc\r\nEND\r\n", found(text.ReplyValue, text.Reply{Key: []byte("a"), Value: []byte("abc")}) + textOf(text.ReplyEnd, "")},
	{"VALUE a 4294967295 0 18446744073709551615\r\n\r\n", found(text.ReplyValue, text.Reply{Key: []byte("a"), Flags: math.MaxUint32, CAS: math.MaxUint64, HasCAS: true})},
	{"VALUE a 0 7\r\n\r\nEND\r\n\r\n", found(text.ReplyValue, text.Reply{Key: []byte("a"), Value: []byte("\r\nEND\r\n")})},
	{"VALUE a 0 64\r\n" + strings.Repeat("v", 64) + "\r\n", found(text.ReplyValue, text.Reply{Key: []byte("a"), Value: bytes.Repeat([]byte("v"), 64)})},
	{"VALUE a 0 65\r\n" + strings.Repeat("v", 65) + "\r\n", invalid},
	{"VALUE a 4294967296 1\r\nx\r\n", invalid},
	{"VALUE a 0 99999999999999999999\r\n", invalid},
	{"VALUE a 0 -1\r\n", invalid},
	{"VALUE a 0 3\r\nabcd\r\n", invalid},
	{"VALUE a 0 3\r\nabc\rx", invalid},
	{"VALUE a 0 3\r\nabc\n", invalid},
	{"VALUE a 0\r\n", invalid},
	{"VALUE a\r\n", invalid},
	{"VALUE\r\n", invalid},
	{"VALUE  0 1\r\nx\r\n", invalid},
	{"VALUE a 0 1 x\r\nx\r\n", invalid},
	{"VALUE a 0 1 1 1\r\nx\r\n", invalid},
	{"VALUE a 0 18446744073709551616\r\n", invalid},
	{"STORED\n", invalid},
	{"\n", invalid},
	{strings.Repeat("x", 8190) + "\r\n", textOf(text.ReplyLine, strings.Repeat("x", 8190))},
	{strings.Repeat("x", 8191) + "\r\n", invalid},
	{strings.Repeat("x", 8192), invalid},
	{strings.Repeat("x", 8191), ""},
}

func TestReplies(t *testing.T) {
	for _, l := range replyLines {
		for _, step := range []int{len(l.in), 1, 2, 3, 7} {
			if got := replies(t, []byte(l.in), step); got != l.want {
				t.Errorf("%.80q in pieces of %d\n got %.300s\nwant %.300s", l.in, step, got, l.want)
			}
		}
	}
}

// TestRepliesOfTheEncoder: what the server's side writes, this side reads.
func TestRepliesOfTheEncoder(t *testing.T) {
	r := &protocol.Request{Op: protocol.OpGets, Key: []byte("key")}
	it := &protocol.Item{Flags: 7, CAS: 9}
	got := replies(t, protocol.AppendValue(nil, r, []byte("value"), it), 1000)
	if want := found(text.ReplyValue, text.Reply{Key: r.Key, Value: []byte("value"), Flags: 7, CAS: 9, HasCAS: true}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for o := protocol.Stored; o <= protocol.Done; o++ {
		var reply text.Reply
		p := text.ReplyParser{}
		if _, status := p.Next([]byte(o.Line()), &reply); status != protocol.Complete || reply.Outcome != o {
			t.Errorf("%q is outcome %d, want %d", o.Line(), reply.Outcome, o)
		}
	}
}

func FuzzReply(f *testing.F) {
	for _, l := range replyLines {
		f.Add([]byte(l.in), uint16(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint16) {
		in = in[:min(len(in), 20_000)] // more finds no more, and byte by byte takes its square
		want := replies(t, in, len(in))
		if got := replies(t, in, int(step)); got != want {
			t.Fatalf("pieces of %d: %s", step, firstDifference(got, want))
		}
	})
}

func TestReplyAllocatesNothing(t *testing.T) {
	in := []byte("VALUE a 1 3 5\r\nabc\r\nEND\r\nSTORED\r\n17\r\nSTAT a b\r\nSERVER_ERROR x\r\n")
	p := text.ReplyParser{MaxValue: maxValue}
	var r text.Reply
	got := testing.AllocsPerRun(100, func() {
		for rest := in; len(rest) > 0; {
			n, status := p.Next(rest, &r)
			if status != protocol.Complete {
				t.Fatal("not complete")
			}
			rest = rest[n:]
		}
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkReplyValue(b *testing.B) {
	in := []byte("VALUE key_0001234 0 100 12345\r\n" + strings.Repeat("v", 100) + "\r\n")
	p := text.ReplyParser{MaxValue: 1 << 20}
	var r text.Reply
	for b.Loop() {
		p.Next(in, &r)
	}
}
