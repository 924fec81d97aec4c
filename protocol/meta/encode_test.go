package meta_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/meta"
)

func TestAppendRequest(t *testing.T) {
	key, value := []byte("key"), []byte("hi")
	for _, test := range []struct {
		r    protocol.Request
		want string
	}{
		{protocol.Request{Op: protocol.OpGet, Key: key}, "mg key"},
		{protocol.Request{Op: protocol.OpGet, Key: key, Echo: []byte("s v  t O12 k")}, "mg key s v t O12 k"},
		{protocol.Request{Op: protocol.OpGet, Key: key, Echo: []byte("v q T90 b v")}, "mg key v v"},
		{protocol.Request{Op: protocol.OpGat, Key: key, Exptime: 90, Quiet: true, Echo: []byte("v t")}, "mg key q T90 v t"},
		{protocol.Request{Op: protocol.OpGat, Key: key, OldTTL: true, Echo: []byte("v t")}, "mg key v t T0"},
		{protocol.Request{Op: protocol.OpTouch, Key: key, Exptime: -1}, "mg key T-1"},
		{protocol.Request{Op: protocol.OpGets, Key: key, Echo: []byte("v c")}, "mg key v c"},
		{protocol.Request{Op: protocol.OpGet, Key: key, NoBump: true, Vivify: true, VivifyExptime: 30, Recache: true,
			RecacheTTL: 20, Compare: true, NewCAS: 7}, "mg key u N30 R20 C0 E7"},
		{protocol.Request{Op: protocol.OpGet, Key: []byte("foo bar"), Base64: true, Echo: []byte("k")}, "mg Zm9vIGJhcg== b k"},
		{protocol.Request{Op: protocol.OpSet, Key: key, Value: value}, "ms key 2\r\nhi"},
		{protocol.Request{Op: protocol.OpSet, Key: key, Value: value, HasExp: true, Flags: 9}, "ms key 2 T0 F9\r\nhi"},
		{protocol.Request{Op: protocol.OpCAS, Key: key, Value: value, Exptime: 30, CAS: 9, Invalidate: true}, "ms key 2 I T30 C9\r\nhi"},
		{protocol.Request{Op: protocol.OpAdd, Key: key, Value: value, Quiet: true}, "ms key 2 ME q\r\nhi"},
		{protocol.Request{Op: protocol.OpReplace, Key: key}, "ms key 0 MR\r\n"},
		{protocol.Request{Op: protocol.OpAppend, Key: key, Value: value, Vivify: true}, "ms key 2 MA N0\r\nhi"},
		{protocol.Request{Op: protocol.OpPrepend, Key: key, Value: value, Base64: true, Echo: []byte("s c")}, "ms a2V5 2 b MP s c\r\nhi"},
		{protocol.Request{Op: protocol.OpDelete, Key: key, Invalidate: true, HasExp: true, Exptime: 30}, "md key I T30"},
		{protocol.Request{Op: protocol.OpDelete, Key: key, DropValue: true, Flags: 3}, "md key x F3"},
		{protocol.Request{Op: protocol.OpIncr, Key: key, Delta: 1}, "ma key"},
		{protocol.Request{Op: protocol.OpIncr, Key: key}, "ma key D0"},
		{protocol.Request{Op: protocol.OpDecr, Key: key, Delta: 5, Vivify: true, Initial: 13, Echo: []byte("v")}, "ma key MD N0 J13 D5 v"},
		{protocol.Request{Op: protocol.OpNoop, Quiet: true}, "mn"},
		{protocol.Request{Op: protocol.OpMetaDebug, Key: key, Base64: true}, "me a2V5 b"},
	} {
		if got := meta.AppendRequest([]byte("before "), &test.r); string(got) != "before "+test.want+"\r\n" {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestAppendRequestPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("stats were sent as a meta command")
		}
	}()
	meta.AppendRequest(nil, &protocol.Request{Op: protocol.OpStats})
}

func TestPlainKey(t *testing.T) {
	for key, want := range map[string]bool{
		"": false, "key": true, "a b": false, "a\x00": false, "a\r\nb": false, "\x7f": false, "\x80\xff": true,
		strings.Repeat("k", 250): true, strings.Repeat("k", 251): false,
	} {
		if meta.PlainKey([]byte(key)) != want {
			t.Errorf("%.20q: %v", key, !want)
		}
	}
}

// reparse is what a server finds in what a client sends.
func reparse(t *testing.T, sent []byte) (r protocol.Request) {
	t.Helper()
	line, value, _ := bytes.Cut(sent, []byte("\r\n"))
	name, args, _ := bytes.Cut(bytes.Clone(line), []byte(" "))
	length, refusal := meta.Parse(name, args, &r)
	switch {
	case refusal != "":
		t.Fatalf("%q is refused: %s", sent, refusal)
	case length >= 0:
		r.Value = value[:length]
	}
	meta.DecodeKey(&r)
	return r
}

// TestRequestRoundTrip: what one side means is what the other understands.
func TestRequestRoundTrip(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 20000 {
		r := randomRequest(rng)
		sent := meta.AppendRequest(nil, &r)
		got := reparse(t, sent)
		// Echo is the whole line's.
		if again := meta.AppendRequest(nil, &got); !bytes.Equal(again, sent) {
			t.Fatalf("%q was sent on as %q", sent, again)
		}
		got.Echo, r.Echo = nil, nil
		if !reflect.DeepEqual(normal(got), normal(r)) {
			t.Fatalf("%q\n got %+v\nwant %+v", sent, got, r)
		}
	}
}

// normal makes empty what may as well be nil.
func normal(r protocol.Request) protocol.Request {
	r.Key, r.Value = append([]byte{}, r.Key...), append([]byte{}, r.Value...)
	return r
}

func randomRequest(rng *rand.Rand) protocol.Request {
	ops := []protocol.Op{protocol.OpGet, protocol.OpGat, protocol.OpSet, protocol.OpAdd, protocol.OpReplace,
		protocol.OpAppend, protocol.OpPrepend, protocol.OpDelete, protocol.OpIncr, protocol.OpDecr, protocol.OpMetaDebug}
	r := protocol.Request{Op: ops[rng.IntN(len(ops))], Proto: protocol.Meta, Key: make([]byte, 1+rng.IntN(186))}
	for i := range r.Key {
		r.Key[i] = byte(rng.IntN(256))
	}
	r.Base64 = true
	if rng.IntN(2) == 0 {
		r.Key, r.Base64 = []byte("plain"), false
	}
	if r.Op == protocol.OpMetaDebug {
		return r
	}
	maybe := func() bool { return rng.IntN(2) == 0 }
	number := func() uint64 { return rng.Uint64() >> rng.IntN(64) }
	r.Quiet = maybe()
	r.NewCAS = number() * rng.Uint64N(2)
	if r.Op == protocol.OpGat || !r.Op.Retrieval() && maybe() {
		r.HasExp, r.Exptime = true, int64(number())
	}
	var asked []string
	for _, flag := range []string{"s", "v", "t", "c", "f", "l", "h", "k", "O" + strings.Repeat("x", rng.IntN(32))} {
		if maybe() {
			asked = append(asked, flag)
		}
	}
	if len(asked) > 4 { // a line has room for 20 words
		asked = asked[:4]
	}
	r.Echo = []byte(strings.Join(asked, " "))
	value := strings.Contains(" "+string(r.Echo), " v")
	tells := strings.Contains(" "+string(r.Echo), " t")
	switch {
	case r.Op.Retrieval():
		r.NoBump, r.Recache, r.Vivify, r.Compare = maybe(), maybe(), maybe(), maybe()
		r.NoValue = !value
	case r.Op == protocol.OpDelete:
		r.Invalidate, r.DropValue, r.Compare = maybe(), maybe(), maybe()
	case r.Op.Storage():
		r.Value = make([]byte, rng.IntN(100))
		r.Compare = maybe() && r.Op != protocol.OpAdd
		r.Vivify = maybe() && (r.Op == protocol.OpAppend || r.Op == protocol.OpPrepend)
		r.Invalidate = maybe() && r.Compare && (r.Op == protocol.OpSet || r.Op == protocol.OpReplace)
	default:
		r.Vivify, r.Compare, r.NoValue, r.Delta = maybe(), maybe(), !value, number()
	}
	if r.Compare {
		r.CAS = number() | 1
	}
	if r.Op.Storage() || r.DropValue {
		r.Flags = uint32(number())
	}
	if r.Vivify {
		r.VivifyExptime = int64(number())
	}
	if r.Vivify && (r.Op == protocol.OpIncr || r.Op == protocol.OpDecr) {
		r.Initial = number()
	}
	if r.Recache {
		r.RecacheTTL = int64(number())
	}
	answersTTL := r.Op.Retrieval() || r.Op == protocol.OpIncr || r.Op == protocol.OpDecr
	r.OldTTL = tells && answersTTL && (r.HasExp || r.Vivify) && maybe()
	return r
}

func TestEncodeNoAllocations(t *testing.T) {
	get := protocol.Request{Op: protocol.OpGat, Key: []byte("key"), Base64: true, Exptime: 5, Echo: []byte("s v t f c")}
	set := protocol.Request{Op: protocol.OpSet, Key: []byte("key"), Value: []byte("value"), Exptime: 5, Compare: true}
	dst := make([]byte, 0, 1000)
	if n := testing.AllocsPerRun(100, func() {
		meta.AppendRequest(dst, &get)
		meta.AppendRequest(dst, &set)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func ExampleAppendRequest() {
	get := protocol.Request{Op: protocol.OpGet, Key: []byte("user:17"), Quiet: true, Echo: []byte("v c O1")}
	set := protocol.Request{Op: protocol.OpSet, Key: []byte("user:17"), Value: []byte("Ada"), Exptime: 60}
	out := meta.AppendRequest(nil, &get)
	out = meta.AppendRequest(out, &set)
	out = meta.AppendRequest(out, &protocol.Request{Op: protocol.OpNoop})
	fmt.Printf("%q\n", out)
	// Output: "mg user:17 q v c O1\r\nms user:17 3 T60\r\nAda\r\nmn\r\n"
}
