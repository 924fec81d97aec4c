package protocol_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hearthcache/hearth/protocol"
)

func metaRequest(op protocol.Op, echo string) *protocol.Request {
	return &protocol.Request{
		Op: op, Proto: protocol.Meta, Key: []byte("key"), Echo: []byte(echo), Value: []byte("sent"),
		NoValue: !strings.Contains(echo, "v"), Quiet: strings.Contains(echo, "q"), Base64: strings.Contains(echo, "b"),
	}
}

var metaItem = protocol.Item{Flags: 7, CAS: 99, TTL: 30, Age: 5, Size: 1234}

func TestMetaHit(t *testing.T) {
	for _, test := range []struct {
		echo   string
		change func(r *protocol.Request, it *protocol.Item)
		want   string
	}{
		{"", nil, "HD\r\n"},
		{" v", nil, "VA 5\r\nvalue\r\n"},
		{" s v", nil, "VA 5 s5\r\nvalue\r\n"},
		{" s t c f l h O12 k v", nil, "VA 5 s5 t30 c99 f7 l5 h0 O12 kkey\r\nvalue\r\n"},
		{" k  O12 h l f c t  s ", nil, "HD kkey O12 h0 l5 f7 c99 t30 s5\r\n"},
		{" q v", nil, "VA 5\r\nvalue\r\n"},
		{" q", nil, "HD\r\n"},
		{" O", nil, "HD O\r\n"},
		{" q u v N30 R5 T90 C1 E2 t", nil, "VA 5 t30\r\nvalue\r\n"},
		{" b v", nil, "VA 5\r\nvalue\r\n"},
		{" b v k O12", nil, "VA 5 ka2V5 b O12\r\nvalue\r\n"},
		{" k b", nil, "HD ka2V5 b\r\n"},
		{" t h", func(_ *protocol.Request, it *protocol.Item) { it.TTL, it.Fetched = -1, true }, "HD t-1 h1\r\n"},
		{" v h", func(_ *protocol.Request, it *protocol.Item) { it.Stale, it.Won = true, true }, "VA 5 h0 X W\r\nvalue\r\n"},
		{" h", func(_ *protocol.Request, it *protocol.Item) { it.Stale, it.TokenSent = true, true }, "HD h0 Z X\r\n"},
		{"", func(_ *protocol.Request, it *protocol.Item) { it.TokenSent = true }, "HD Z\r\n"},
		{" N30 t", func(_ *protocol.Request, it *protocol.Item) { it.Won = true }, "HD t30 W\r\n"},
		{" C99 v c", func(r *protocol.Request, _ *protocol.Item) { r.Compare, r.CAS = true, 99 }, "HD c99\r\n"},
		{" C98 v c", func(r *protocol.Request, _ *protocol.Item) { r.Compare, r.CAS = true, 98 }, "VA 5 c99\r\nvalue\r\n"},
	} {
		r, it := metaRequest(protocol.OpGet, test.echo), metaItem
		if test.change != nil {
			test.change(r, &it)
		}
		if got := protocol.AppendValue([]byte("before "), r, []byte("value"), &it); string(got) != "before "+test.want {
			t.Errorf("%s: got %q, want %q", test.echo, got, test.want)
		}
	}
}

// TestMetaSize: without v the value need not be at hand.
func TestMetaSize(t *testing.T) {
	it := metaItem
	for echo, want := range map[string]string{" s": "HD s1234\r\n", " s v": "VA 0 s0\r\n\r\n"} {
		if got := protocol.AppendValue(nil, metaRequest(protocol.OpGet, echo), nil, &it); string(got) != want {
			t.Errorf("%s: got %q, want %q", echo, got, want)
		}
	}
}

func TestMetaResult(t *testing.T) {
	const large, memory = "SERVER_ERROR object too large for cache\r\n", "SERVER_ERROR out of memory storing object\r\n"
	const numeric = "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
	for _, test := range []struct {
		op      protocol.Op
		echo    string
		outcome protocol.Outcome
		want    string
	}{
		{protocol.OpGet, " s v t", protocol.Miss, "EN\r\n"},
		{protocol.OpGat, " k s O12 c", protocol.Miss, "EN kkey O12\r\n"},
		{protocol.OpGet, " O12 k b", protocol.Miss, "EN O12 ka2V5 b\r\n"},
		{protocol.OpGet, " q k O12", protocol.Miss, ""},

		{protocol.OpSet, "", protocol.Stored, "HD\r\n"},
		{protocol.OpSet, " c s k O12 T30 F1 t f v", protocol.Stored, "HD c99 s4 kkey O12\r\n"},
		{protocol.OpAppend, " s", protocol.Stored, "HD s1234\r\n"},
		{protocol.OpPrepend, " s", protocol.Stored, "HD s1234\r\n"},
		{protocol.OpSet, " b k", protocol.Stored, "HD ka2V5 b\r\n"},
		{protocol.OpSet, " q c", protocol.Stored, ""},
		{protocol.OpAdd, " q k c", protocol.NotStored, "NS kkey c0\r\n"},
		{protocol.OpSet, " c C5 O12", protocol.Exists, "EX c0 O12\r\n"},
		{protocol.OpSet, " q c C5", protocol.NotFound, "NF c0\r\n"},
		{protocol.OpAppend, " s", protocol.NotStored, "NS s4\r\n"},
		{protocol.OpSet, " q k", protocol.TooLarge, large},
		{protocol.OpSet, " q k", protocol.NoMemory, memory},

		{protocol.OpDelete, " k O12 t c", protocol.Deleted, "HD kkey O12\r\n"},
		{protocol.OpDelete, " q k", protocol.Deleted, ""},
		{protocol.OpDelete, " q I", protocol.Touched, ""},
		{protocol.OpDelete, " O12 I", protocol.Touched, "HD O12\r\n"},
		{protocol.OpDelete, " k", protocol.NotFound, "NF kkey\r\n"},
		{protocol.OpDelete, " q k", protocol.NotFound, ""},
		{protocol.OpDelete, " q C5", protocol.Exists, "EX\r\n"},

		{protocol.OpIncr, "", protocol.Stored, "HD\r\n"},
		{protocol.OpDecr, " k t c O12 f s", protocol.Stored, "HD kkey t30 c99 O12\r\n"},
		{protocol.OpIncr, " v t c", protocol.Stored, "VA 20 t30 c99\r\n18446744073709551615\r\n"},
		{protocol.OpIncr, " q v", protocol.Stored, ""},
		{protocol.OpIncr, " q k v t", protocol.NotFound, "NF kkey\r\n"},
		{protocol.OpIncr, " C5 v t O12", protocol.Exists, "EX O12\r\n"},
		{protocol.OpIncr, " q", protocol.NonNumeric, numeric},

		{protocol.OpNoop, "", protocol.Done, "MN\r\n"},
		{protocol.OpMetaDebug, "", protocol.Miss, "EN\r\n"},
		{protocol.OpMetaDebug, " q k", protocol.Miss, "EN\r\n"},
		{protocol.OpMetaDebug, "", protocol.Hit, "ME key exp=30 la=5 cas=99 fetch=no cls=1 size=1234\r\n"},
		{protocol.OpMetaDebug, " b", protocol.Hit, "ME a2V5 exp=30 la=5 cas=99 fetch=no cls=1 size=1234\r\n"},
		{protocol.OpMetaDebug, "", protocol.Unknown, "ERROR\r\n"},
	} {
		r := metaRequest(test.op, test.echo)
		r.Quiet = r.Quiet && test.op != protocol.OpMetaDebug
		res := protocol.Result{Outcome: test.outcome, Item: metaItem, Number: math.MaxUint64}
		if got := protocol.AppendResult([]byte("before "), r, &res); string(got) != "before "+test.want {
			t.Errorf("%d%s: got %q, want %q", test.op, test.echo, got, test.want)
		}
	}
}

// TestMetaNeverGrows: the longest header fits into the gap, whatever is asked for
// and in whatever order, also by a request that no parser would let pass.
func TestMetaNeverGrows(t *testing.T) {
	it := protocol.Item{Flags: math.MaxUint32, CAS: math.MaxUint64, TTL: math.MinInt64, Age: math.MaxUint32,
		Fetched: true, Stale: true, Won: true, TokenSent: true}
	rng := rand.New(rand.NewPCG(1, 2))
	flags := []string{"s", "t", "c", "f", "l", "h", "k", "O" + strings.Repeat("o", 31), "O", "q", "T5", "b", "x"}
	for i := range 2000 {
		r := &protocol.Request{Op: protocol.OpGet, Proto: protocol.Meta, Key: bytes.Repeat([]byte("k"), rng.IntN(251)),
			Base64: i%2 == 0, NoValue: i%5 == 0}
		for range rng.IntN(20) {
			r.Echo = append(append(r.Echo, ' '), flags[rng.IntN(len(flags))]...)
		}
		if i%100 == 0 { // the longest flag over and over
			r.Echo = bytes.Repeat([]byte(" c"), 200)
		}
		value := bytes.Repeat([]byte("v"), rng.IntN(300))
		dst, mark := protocol.BeginValue(make([]byte, 3, 4000), r)
		dst = append(dst, value...)
		dst = dst[:len(dst):len(dst)]
		out := protocol.EndValue(dst, mark, r, &it)
		if &out[0] != &dst[0] {
			t.Fatalf("the buffer was copied: %s, key of %d", r.Echo, len(r.Key))
		}
		if !r.NoValue && !bytes.HasSuffix(out, append(append([]byte("\r\n"), value...), "\r\n"...)) {
			t.Fatalf("%s: the value is lost: %q", r.Echo, out)
		}
	}
}

func TestMetaNoAllocations(t *testing.T) {
	dst, value := make([]byte, 0, 2000), make([]byte, 100)
	get := metaRequest(protocol.OpGet, " s t f c k b v")
	set, count := metaRequest(protocol.OpSet, " c k"), metaRequest(protocol.OpIncr, " v t")
	it := metaItem
	res := protocol.Result{Outcome: protocol.Stored, Item: metaItem, Number: 12345}
	if n := testing.AllocsPerRun(100, func() {
		protocol.AppendValue(dst, get, value, &it)
		protocol.AppendResult(dst, set, &res)
		protocol.AppendResult(dst, count, &res)
		protocol.AppendOutcome(dst, get, protocol.Miss)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkMetaValue writes five numbers where BenchmarkTextValue writes three.
func BenchmarkMetaValue(b *testing.B) {
	r := metaRequest(protocol.OpGet, " s v t f c")
	benchmarkValue(b, r)
}

func BenchmarkTextValue(b *testing.B) {
	benchmarkValue(b, &protocol.Request{Op: protocol.OpGets, Key: []byte("key_0001234")})
}

func benchmarkValue(b *testing.B, r *protocol.Request) {
	for _, size := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			it := protocol.Item{Flags: 7, CAS: 123456, TTL: 86000}
			dst, value := make([]byte, 0, 2000), make([]byte, size)
			b.SetBytes(int64(len(protocol.AppendValue(dst, r, value, &it))))
			b.ReportAllocs()
			for b.Loop() {
				protocol.AppendValue(dst, r, value, &it)
			}
		})
	}
}
