package text_test

import (
	"bytes"
	"testing"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/text"
)

func TestAppendRequest(t *testing.T) {
	key, value := []byte("key"), []byte("val")
	for _, test := range []struct {
		r    protocol.Request
		want string
	}{
		{protocol.Request{Op: protocol.OpGet, Key: key}, "get key\r\n"},
		{protocol.Request{Op: protocol.OpGets, Args: []byte("a b")}, "gets a b\r\n"},
		{protocol.Request{Op: protocol.OpGets, Key: key, Args: []byte("a b")}, "gets key a b\r\n"},
		{protocol.Request{Op: protocol.OpGat, Exptime: -1, Key: key}, "gat -1 key\r\n"},
		{protocol.Request{Op: protocol.OpGats, Exptime: 60, Args: []byte("a b")}, "gats 60 a b\r\n"},
		{protocol.Request{Op: protocol.OpSet, Key: key, Value: value, Flags: 4294967295, Exptime: -9223372036854775808}, "set key 4294967295 -9223372036854775808 3\r\nval\r\n"},
		{protocol.Request{Op: protocol.OpAdd, Key: key, Noreply: true}, "add key 0 0 0 noreply\r\n\r\n"},
		{protocol.Request{Op: protocol.OpReplace, Key: key, Value: value}, "replace key 0 0 3\r\nval\r\n"},
		{protocol.Request{Op: protocol.OpAppend, Key: key, Value: value}, "append key 0 0 3\r\nval\r\n"},
		{protocol.Request{Op: protocol.OpPrepend, Key: key, Value: value}, "prepend key 0 0 3\r\nval\r\n"},
		{protocol.Request{Op: protocol.OpCAS, Key: key, Value: value, CAS: 18446744073709551615, Noreply: true}, "cas key 0 0 3 18446744073709551615 noreply\r\nval\r\n"},
		{protocol.Request{Op: protocol.OpIncr, Key: key, Delta: 18446744073709551615}, "incr key 18446744073709551615\r\n"},
		{protocol.Request{Op: protocol.OpDecr, Key: key, Noreply: true}, "decr key 0 noreply\r\n"},
		{protocol.Request{Op: protocol.OpTouch, Key: key, Exptime: 5}, "touch key 5\r\n"},
		{protocol.Request{Op: protocol.OpDelete, Key: key, Noreply: true}, "delete key noreply\r\n"},
		{protocol.Request{Op: protocol.OpFlushAll}, "flush_all\r\n"},
		{protocol.Request{Op: protocol.OpFlushAll, HasExp: true, Exptime: 9, Noreply: true}, "flush_all 9 noreply\r\n"},
		{protocol.Request{Op: protocol.OpVersion}, "version\r\n"},
		{protocol.Request{Op: protocol.OpVerbosity, Delta: 2}, "verbosity 2\r\n"},
		{protocol.Request{Op: protocol.OpStats}, "stats\r\n"},
		{protocol.Request{Op: protocol.OpStats, Args: []byte("detail on")}, "stats detail on\r\n"},
		{protocol.Request{Op: protocol.OpLRUCrawler, Args: []byte("metadump all")}, "lru_crawler metadump all\r\n"},
		{protocol.Request{Op: protocol.OpQuit}, "quit\r\n"},
		{protocol.Request{Op: protocol.OpGet, Proto: protocol.Meta, Key: key, Echo: []byte("v O1")}, "mg key v O1\r\n"},
	} {
		if got := text.AppendRequest([]byte("before "), &test.r); string(got) != "before "+test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestAppendRequestRefusesOtherOps(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a meta command was written as text")
		}
	}()
	text.AppendRequest(nil, &protocol.Request{Op: protocol.OpMetaDebug})
}

// TestEncodeWhatWasParsed writes every request of the table that the parser
// takes, and parses it again: both sides must mean the same.
func TestEncodeWhatWasParsed(t *testing.T) {
	taken := 0
	for _, l := range lines {
		taken += reencode(t, []byte(l.in))
	}
	if taken < 50 {
		t.Errorf("%d requests were taken", taken)
	}
}

// reencode holds AppendRequest against the parser for all requests of in.
func reencode(t testing.TB, in []byte) (taken int) {
	p := text.Parser{MaxValue: maxValue}
	for {
		var r protocol.Request
		n, status := p.Next(in, &r)
		in = in[n:]
		switch {
		case status == protocol.Incomplete || status == protocol.Close:
			return taken
		case status != protocol.Complete || r.TooLarge || r.Proto == protocol.Meta:
			continue // package meta holds its own
		case r.Op.Retrieval() && len(bytes.Trim(r.Args, " ")) == 0:
			continue // memcached takes a gat of no key, but nobody should send it
		}
		taken++
		again := text.AppendRequest(nil, &r)
		var back protocol.Request
		q := text.Parser{MaxValue: maxValue}
		if n, status := q.Next(again, &back); n != len(again) || status != protocol.Complete {
			t.Fatalf("%q was taken, but %q is status %d after %d bytes", in, again, status, n)
		}
		if !same(&r, &back) {
			t.Fatalf("wrote %q:\n got %+v\nwant %+v", again, back, r)
		}
	}
}

func same(a, b *protocol.Request) bool {
	return a.Op == b.Op && bytes.Equal(a.Key, b.Key) && bytes.Equal(bytes.Trim(a.Args, " "), bytes.Trim(b.Args, " ")) &&
		bytes.Equal(a.Value, b.Value) && a.Flags == b.Flags && a.Exptime == b.Exptime && a.CAS == b.CAS &&
		a.Delta == b.Delta && a.Noreply == b.Noreply && a.HasExp == b.HasExp
}

func FuzzEncode(f *testing.F) {
	for _, l := range lines {
		f.Add([]byte(l.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) { reencode(t, in) })
}

func TestEncodeAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 1000)
	get := &protocol.Request{Op: protocol.OpGets, Key: []byte("key")}
	set := &protocol.Request{Op: protocol.OpSet, Key: []byte("key"), Value: make([]byte, 100), Exptime: 60}
	got := testing.AllocsPerRun(100, func() {
		text.AppendRequest(text.AppendRequest(dst, get), set)
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkAppendGet(b *testing.B) {
	dst := make([]byte, 0, 1000)
	r := &protocol.Request{Op: protocol.OpGets, Key: []byte("key_0001234")}
	for b.Loop() {
		text.AppendRequest(dst, r)
	}
}
