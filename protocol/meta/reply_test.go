package meta_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/meta"
)

const maxValue = 64

var codeNames = map[meta.Code]string{
	meta.Other: "other", meta.HD: "HD", meta.VA: "VA", meta.EN: "EN", meta.NS: "NS", meta.EX: "EX", meta.NF: "NF",
	meta.MN: "MN", meta.ME: "ME", meta.Error: "error", meta.ClientError: "client", meta.ServerError: "server",
}

// describeReply writes down what r says.
func describeReply(r *meta.Reply) string {
	var b strings.Builder
	b.WriteString(codeNames[r.Code])
	if r.Value != nil {
		fmt.Fprintf(&b, " %q", r.Value)
	}
	for _, flag := range []struct {
		c    byte
		what any
	}{
		{'s', r.Item.Size}, {'t', r.Item.TTL}, {'c', r.Item.CAS}, {'f', r.Item.Flags}, {'l', r.Item.Age},
		{'h', r.Item.Fetched}, {'k', string(r.Key)}, {'b', r.Base64}, {'O', string(r.Opaque)},
		{'W', r.Item.Won}, {'X', r.Item.Stale}, {'Z', r.Item.TokenSent},
	} {
		if r.Has(flag.c) {
			fmt.Fprintf(&b, " %c=%v", flag.c, flag.what)
		}
	}
	if r.Code == meta.ME {
		fmt.Fprintf(&b, " of %s", r.Key)
	}
	if r.Text != nil {
		fmt.Fprintf(&b, " %q", r.Text)
	}
	return b.String()
}

// replyTranscript parses data, cut in pieces by cut.
func replyTranscript(t testing.TB, data []byte, cut func(left int) int) string {
	var said []string
	var in []byte
	p := meta.ReplyParser{MaxValue: maxValue}
	for len(data) > 0 {
		n := min(max(cut(len(data)), 1), len(data))
		in, data = append(in, data[:n]...), data[n:]
		for {
			var r meta.Reply
			n, status := p.Next(in, &r)
			if status == protocol.Incomplete {
				if n != 0 || p.Need != 0 && p.Need <= len(in) {
					t.Fatalf("consumed %d, needs %d, has %d", n, p.Need, len(in))
				}
				break
			}
			if status == protocol.Invalid {
				return strings.Join(append(said, "invalid"), ";")
			}
			if n <= 0 || n > len(in) || len(r.Value) > maxValue {
				t.Fatalf("consumed %d of %d bytes, a value of %d", n, len(in), len(r.Value))
			}
			said = append(said, describeReply(&r))
			in = in[n:]
		}
		in = bytes.Clone(in)
	}
	return strings.Join(said, ";")
}

func whole(left int) int { return left }

var replies = []struct{ in, want string }{
	{"HD\r\n", "HD"},
	{"HD \r\n", "HD"},
	{"HD s5 t30 c99 f7 l5 h0 O12 kkey\r\n", "HD s=5 t=30 c=99 f=7 l=5 h=false k=key O=12"},
	{"HD kkey h1 t-1\r\nMN\r\n", "HD t=-1 h=true k=key;MN"},
	{"HD ka2V5 b Z X\r\n", "HD k=a2V5 b=true X=true Z=true"},
	{"HD W\r\n", "HD W=true"},
	{"HD O\r\n", "HD O="},
	{"HD y5 5 !x\r\n", "HD"},
	{"VA 5\r\nvalue\r\n", `VA "value"`},
	{"VA 0\r\n\r\n", `VA ""`},
	{"VA 4 s4 X W\r\n\r\n\r\n\r\nEN\r\n", `VA "\r\n\r\n" s=4 W=true X=true;EN`},
	{"VA 3 s9\r\nabc\r\n", `VA "abc" s=3`},
	{"EN\r\nEN O1 kkey\r\nNS c0\r\nEX\r\nNF kkey\r\n", "EN;EN k=key O=1;NS c=0;EX;NF k=key"},
	{"ME key exp=-1 la=2 cas=4 fetch=yes cls=1 size=62\r\n", `ME of key "exp=-1 la=2 cas=4 fetch=yes cls=1 size=62"`},
	{"ERROR\r\n", "error"},
	{"ERROR Too many open connections\r\n", `error "Too many open connections"`},
	{"CLIENT_ERROR invalid flag\r\n", `client "invalid flag"`},
	{"SERVER_ERROR out of memory\r\n", `server "out of memory"`},
	{"STORED\r\nOK\r\n\r\n", `other "STORED";other "OK";other ""`},
	{"HDx\r\nVAx\r\n", `other "HDx";other "VAx"`},
	{"HD t4294967295 c18446744073709551615 f4294967295\r\n", "HD t=4294967295 c=18446744073709551615 f=4294967295"},

	{"HD\n", "invalid"},
	{"\n", "invalid"},
	{"VA\r\n", "invalid"},
	{"VA x\r\n", "invalid"},
	{"VA -1\r\n", "invalid"},
	{"VA 65\r\n", "invalid"},
	{"VA 99999999999999999999\r\n", "invalid"},
	{"VA 3\r\nabcd\r\n", "invalid"},
	{"VA 3\r\nabcx\n", "invalid"},
	{"VA 3\r\nabc\rx", "invalid"},
	{"VA 3 sx\r\nabc\r\n", "invalid"},
	{"HD t\r\n", "invalid"},
	{"HD t-2\r\n", "invalid"},
	{"HD t4294967296\r\n", "invalid"},
	{"HD c18446744073709551616\r\n", "invalid"},
	{"HD f4294967296\r\n", "invalid"},
	{"HD l1x\r\n", "invalid"},
	{"HD s\r\n", "invalid"},
	{strings.Repeat("x", 9000), "invalid"},
	{strings.Repeat("x", 8192) + "\r\n", "invalid"},
	{"VA 64\r\n" + strings.Repeat("v", 64), ""},
	{"HD", ""},
}

func TestReply(t *testing.T) {
	for _, test := range replies {
		if got := replyTranscript(t, []byte(test.in), whole); got != test.want {
			t.Errorf("%.60q\n got %s\nwant %s", test.in, got, test.want)
		}
	}
}

func TestReplyEverySplit(t *testing.T) {
	for _, test := range replies {
		if got := replyTranscript(t, []byte(test.in), func(int) int { return 1 }); got != test.want {
			t.Errorf("byte by byte %.60q\n got %s\nwant %s", test.in, got, test.want)
		}
		for at := 1; at < len(test.in) && len(test.in) < 600; at++ {
			first := true
			if got := replyTranscript(t, []byte(test.in), func(left int) int {
				if first {
					first = false
					return at
				}
				return left
			}); got != test.want {
				t.Errorf("cut at %d %.60q\n got %s\nwant %s", at, test.in, got, test.want)
			}
		}
	}
}

// TestReplyRoundTrip: what a server says of an item is what a client learns.
func TestReplyRoundTrip(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 20000 {
		r := randomRequest(rng)
		it := protocol.Item{Flags: rng.Uint32(), CAS: rng.Uint64(), Size: rng.IntN(1000), TTL: int64(rng.Uint32()), Age: rng.Uint32(),
			Fetched: rng.IntN(2) == 0, Stale: rng.IntN(2) == 0, Won: rng.IntN(2) == 0, TokenSent: rng.IntN(2) == 0}
		if rng.IntN(2) == 0 {
			it.TTL = -1
		}
		value := make([]byte, rng.IntN(maxValue))
		sent, want := answer(rng, &r, &it, value)
		if len(sent) == 0 {
			continue // the client asked not to hear of it
		}
		var got meta.Reply
		p := meta.ReplyParser{MaxValue: maxValue}
		if n, status := p.Next(sent, &got); status != protocol.Complete || n != len(sent) {
			t.Fatalf("%q: %v, %d bytes", sent, status, n)
		}
		if got.Code != want {
			t.Fatalf("%q: %s", sent, codeNames[got.Code])
		}
		checkReply(t, sent, &r, &got, &it, value)
	}
}

// answer is what a server says to r, and the code a client should see.
func answer(rng *rand.Rand, r *protocol.Request, it *protocol.Item, value []byte) ([]byte, meta.Code) {
	found := rng.IntN(3) > 0
	res := protocol.Result{Outcome: protocol.NotFound, Item: *it, Number: rng.Uint64()}
	switch {
	case r.Op == protocol.OpMetaDebug && found:
		return protocol.AppendResult(nil, r, &protocol.Result{Outcome: protocol.Hit, Item: *it}), meta.ME
	case (r.Op == protocol.OpMetaDebug || r.Op.Retrieval()) && !found:
		return protocol.AppendOutcome(nil, r, protocol.Miss), meta.EN
	case r.Op.Retrieval():
		sent := protocol.AppendValue(nil, r, value, it)
		if r.NoValue || r.Compare && r.CAS == it.CAS {
			return sent, meta.HD
		}
		return sent, meta.VA
	case !found:
		return protocol.AppendResult(nil, r, &res), meta.NF
	case r.Op == protocol.OpDelete:
		res.Outcome = protocol.Deleted
		return protocol.AppendResult(nil, r, &res), meta.HD
	}
	res.Outcome = protocol.Stored
	if (r.Op == protocol.OpIncr || r.Op == protocol.OpDecr) && !r.NoValue {
		return protocol.AppendResult(nil, r, &res), meta.VA
	}
	return protocol.AppendResult(nil, r, &res), meta.HD
}

func checkReply(t *testing.T, sent []byte, r *protocol.Request, got *meta.Reply, it *protocol.Item, value []byte) {
	t.Helper()
	want := *it
	if got.Code != meta.HD && got.Code != meta.VA {
		want = protocol.Item{}
	}
	want.Size = got.Item.Size
	for _, flag := range []struct {
		c    byte
		same bool
	}{
		{'t', got.Item.TTL == want.TTL}, {'c', got.Item.CAS == want.CAS}, {'f', got.Item.Flags == want.Flags},
		{'l', got.Item.Age == want.Age}, {'h', got.Item.Fetched == want.Fetched},
		{'k', bytes.Equal(got.AppendKey(nil), r.Key) && got.Base64 == r.Base64},
		{'O', strings.Contains(" "+string(r.Echo)+" ", " O"+string(got.Opaque)+" ")},
	} {
		if got.Has(flag.c) && !flag.same {
			t.Fatalf("%q: %c, item %+v", sent, flag.c, *it)
		}
		asked := strings.Contains(" "+string(r.Echo), " "+string(flag.c))
		if r.Op.Retrieval() && got.Code != meta.EN && asked != got.Has(flag.c) {
			t.Fatalf("%q: %c was asked: %v", sent, flag.c, asked)
		}
	}
	if r.Op.Retrieval() && got.Code != meta.EN {
		if got.Has('W') != it.Won || got.Has('X') != it.Stale || got.Has('Z') != it.TokenSent {
			t.Fatalf("%q: item %+v", sent, *it)
		}
		if got.Code == meta.VA && !bytes.Equal(got.Value, value) {
			t.Fatalf("%q: value %q", sent, value)
		}
	}
}

func TestReplyNoAllocations(t *testing.T) {
	in := []byte("VA 5 s5 t30 c99 f7 O12 kkey W\r\nvalue\r\n")
	p := meta.ReplyParser{MaxValue: math.MaxInt32}
	var r meta.Reply
	key := make([]byte, 0, 250)
	if n := testing.AllocsPerRun(100, func() {
		p.Next(in, &r)
		r.AppendKey(key)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzReply: no bytes make the parser panic, no length makes it hand out a value
// over its limit, and no split changes what it finds.
func FuzzReply(f *testing.F) {
	for _, test := range replies {
		f.Add([]byte(test.in), uint16(3))
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint16) {
		want := replyTranscript(t, in, whole)
		if got := replyTranscript(t, in, func(int) int { return int(step) }); got != want {
			t.Fatalf("pieces of %d:\n got %s\nwant %s", step, got, want)
		}
	})
}

func BenchmarkReply(b *testing.B) {
	in := []byte("VA 5 s5 t30 f7 c99\r\nvalue\r\n")
	p := meta.ReplyParser{MaxValue: math.MaxInt32}
	var r meta.Reply
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		p.Next(in, &r)
	}
}

func ExampleReplyParser() {
	in := []byte("VA 3 s3 t59 c8 O1 W\r\nAda\r\nEN O2\r\nMN\r\nHD")
	p := meta.ReplyParser{MaxValue: 1 << 20}
	for {
		var r meta.Reply
		n, status := p.Next(in, &r)
		if status != protocol.Complete {
			fmt.Println("the rest is not there yet:", len(in), "bytes")
			return
		}
		switch r.Code {
		case meta.VA:
			fmt.Printf("%s: %s, %d seconds left, mine to refresh: %v\n", r.Opaque, r.Value, r.Item.TTL, r.Item.Won)
		case meta.EN:
			fmt.Printf("%s: absent\n", r.Opaque)
		case meta.MN:
			fmt.Println("that was all")
		}
		in = in[n:]
	}
	// Output:
	// 1: Ada, 59 seconds left, mine to refresh: true
	// 2: absent
	// that was all
	// the rest is not there yet: 2 bytes
}
