package client

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/binary"
)

// fuzzCalls are calls of every kind of reply.
var fuzzCalls = []func() *call{
	func() *call { return newCall(protocol.OpGets, "key") },
	func() *call { return newCall(protocol.OpGats, "key") },
	func() *call { return newMultiCall(protocol.OpGets, []string{"key", "b", "key"}) },
	func() *call { return newCall(protocol.OpSet, "key") },
	func() *call { return newCall(protocol.OpIncr, "key") },
	func() *call { return newCall(protocol.OpDelete, "key") },
	func() *call { return newCall(protocol.OpTouch, "key") },
	func() *call { return newCall(protocol.OpStats, "") },
	func() *call { return newCall(protocol.OpVersion, "") },
	func() *call { return newCall(protocol.OpFlushAll, "") },
	func() *call { return textCodec{}.login("user", "pass") },
	func() *call { return binaryCodec{}.login("user", "pass") },
}

// decode feeds in to a codec in pieces of step bytes, until the call is answered,
// and writes down what came of it.
func decode(t *testing.T, c codec, k *call, in []byte, step int) string {
	const maxValue = 100
	c.appendCall(nil, k)
	var held []byte
	used := 0
	for len(in) > 0 {
		size := min(max(step, 1), len(in))
		held = append(bytes.Clone(held), in[:size]...)
		in = in[size:]
		for len(held) > 0 {
			n, done, err := c.next(held, k, maxValue)
			if n < 0 || n > len(held) || done && n == 0 || err != nil && n > 0 && err != errOutOfStep {
				t.Fatalf("%d of %d bytes, done %v, %v", n, len(held), done, err)
			}
			if held, used = held[n:], used+n; err != nil && !done {
				return fmt.Sprintf("failed after %d", used) // the words depend on what is there
			}
			if done {
				refused := fmt.Sprint(k.err)
				k.err = nil // a pointer
				return fmt.Sprintf("%d %v %s %+v", used, err, refused, k.answer)
			}
			if n == 0 {
				break
			}
		}
		if len(held) > 8192+maxValue+mostBeside+protocol.BinaryHeader+4 {
			t.Fatalf("%d bytes are held", len(held))
		}
	}
	return fmt.Sprintf("unanswered after %d", used)
}

// TestNoAnswer: what is a reply, but none to this request, is refused by all codecs.
func TestNoAnswer(t *testing.T) {
	packet := func(opcode binary.Opcode, status protocol.BinaryStatus, opaque uint32, extras, value string) string {
		p := binary.Packet{Magic: protocol.MagicResponse, Opcode: opcode, Status: status, Opaque: opaque, Extras: []byte(extras), Value: []byte(value)}
		return string(p.Append(nil))
	}
	one := func(op protocol.Op) *call { return newCall(op, "key") }
	multi := func() *call { return newMultiCall(protocol.OpGets, []string{"a", "b"}) }
	for _, row := range []struct {
		c     codec
		k     *call
		reply string
	}{
		{textCodec{}, one(protocol.OpSet), "DELETED\r\n"},
		{textCodec{}, one(protocol.OpSet), "17\r\n"},
		{textCodec{}, one(protocol.OpSet), "END\r\n"},
		{textCodec{}, one(protocol.OpDelete), "STORED\r\n"},
		{textCodec{}, one(protocol.OpTouch), "DELETED\r\n"},
		{textCodec{}, one(protocol.OpIncr), "STORED\r\n"},
		{textCodec{}, one(protocol.OpFlushAll), "STORED\r\n"},
		{textCodec{}, one(protocol.OpVersion), "OK\r\n"},
		{textCodec{}, one(protocol.OpStats), "VALUE key 0 1 1\r\nx\r\n"},
		{textCodec{}, one(protocol.OpGets), "STAT a b\r\n"},
		{textCodec{}, multi(), "VALUE c 0 1 1\r\nx\r\n"},
		{textCodec{}, multi(), strings.Repeat("VALUE a 0 1 1\r\nx\r\n", 3)},
		{metaCodec{}, one(protocol.OpGets), "VA 1 f0 c1 O8\r\nx\r\n"},
		{metaCodec{}, one(protocol.OpGets), "VA 1 f0 c1\r\nx\r\n"},
		{metaCodec{}, one(protocol.OpGets), "HD O7\r\n"},
		{metaCodec{}, one(protocol.OpGets), "NF O7\r\n"},
		{metaCodec{}, one(protocol.OpGets), "EN O70\r\n"},
		{metaCodec{}, one(protocol.OpGets), "MN\r\n"},
		{metaCodec{}, one(protocol.OpGets), "VALUE key 0 1 1\r\nx\r\nEND\r\n"},
		{metaCodec{}, one(protocol.OpSet), "HD O6\r\n"},
		{metaCodec{}, one(protocol.OpSet), "VA 1 O7\r\nx\r\n"},
		{metaCodec{}, one(protocol.OpSet), "EN O7\r\n"},
		{metaCodec{}, one(protocol.OpIncr), "HD O7\r\n"},
		{metaCodec{}, one(protocol.OpIncr), "VA 1 O7\r\nx\r\n"},
		{metaCodec{}, one(protocol.OpTouch), "NF O7\r\n"},
		{metaCodec{}, multi(), "VA 1 f0 c1 O6\r\nx\r\n"},
		{metaCodec{}, multi(), "VA 1 f0 c1 O9\r\nx\r\n"},
		{metaCodec{}, multi(), "VA 1 f0 c1 O8\r\nx\r\nVA 1 f0 c1 O7\r\nx\r\n"},
		{metaCodec{}, multi(), "HD O7\r\n"},
		{metaCodec{}, multi(), "EN\r\n"},
		{binaryCodec{}, one(protocol.OpGets), packet(binary.Get, 0, 8, "1234", "x")},
		{binaryCodec{}, one(protocol.OpGets), packet(binary.Get, 1, 8, "", "")},
		{binaryCodec{}, one(protocol.OpGets), packet(binary.Get, 0, 7, "", "x")},
		{binaryCodec{}, one(protocol.OpGets), packet(binary.Set, 0, 7, "1234", "x")},
		{binaryCodec{}, one(protocol.OpIncr), packet(binary.Increment, 0, 7, "", "1")},
		{binaryCodec{}, multi(), packet(binary.GetQ, 0, 6, "1234", "x")},
		{binaryCodec{}, multi(), packet(binary.GetQ, 0, 9, "1234", "x")},
		{binaryCodec{}, multi(), packet(binary.GetQ, 0, 8, "1234", "x") + packet(binary.GetQ, 0, 7, "1234", "x")},
		{binaryCodec{}, multi(), packet(binary.Get, 0, 7, "1234", "x")},
		{binaryCodec{}, multi(), packet(binary.Noop, 0, 8, "", "")},
	} {
		row.k.opaque = 7
		if got := decode(t, row.c, row.k, []byte(row.reply), len(row.reply)); !strings.HasPrefix(got, "failed") {
			t.Errorf("%T, op %d, %q: %s", row.c, row.k.req.Op, row.reply, got)
		}
	}
}

// FuzzCodec: whatever a server sends in answer to whatever, the result does not
// depend on how the bytes were split, a hit has the asked key, and nothing panics.
func FuzzCodec(f *testing.F) {
	for _, reply := range []string{
		"VALUE key 1 3 5\r\nabc\r\nEND\r\n", "END\r\n", "STORED\r\n", "17\r\n", "DELETED\r\n", "TOUCHED\r\n", "NOT_FOUND\r\n",
		"STAT pid 1\r\nEND\r\n", "VERSION 1.6\r\n", "OK\r\n", "SERVER_ERROR out of memory\r\n", "CLIENT_ERROR x\r\n", "ERROR\r\n",
		"VA 3 f1 c5 O7\r\nabc\r\n", "VA 1 f1 c5 O8\r\nx\r\nMN\r\n", "HD O7\r\n", "EN O7\r\n", "NF O7\r\n", "NS O7\r\n", "EX O7\r\n", "MN\r\n",
		"\x81\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x01abc",
		"\x81\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x09\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00Not found",
		"\x81\x09\x00\x00\x04\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x01abc\x81\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0a\x00\x00\x00\x00\x00\x00\x00\x00",
		"\x81\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x11",
		"\x81\x10\x00\x03\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00pid17\x81\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00",
	} {
		for proto := range codecs {
			for which := range fuzzCalls {
				f.Add([]byte(reply), uint8(proto), uint8(which), uint16(1))
			}
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, proto, which uint8, step uint16) {
		c := codecs[int(proto)%len(codecs)]
		if which %= uint8(len(fuzzCalls)); (which == 11) != (c == codec(binaryCodec{})) && which >= 10 {
			return
		}
		in = in[:min(len(in), 20_000)] // more finds no more, and byte by byte takes its square
		whole, pieces := fuzzCalls[which](), fuzzCalls[which]()
		whole.opaque, pieces.opaque = 7, 7
		want := decode(t, c, whole, in, len(in))
		if got := decode(t, c, pieces, in, int(step)); got != want {
			t.Fatalf("pieces of %d: got %s, want %s", step, got, want)
		}
		for _, it := range whole.items {
			if it.Key != "key" && it.Key != "b" {
				t.Fatalf("a value of %q", it.Key)
			}
		}
		if len(whole.items) > 3 || len(whole.item.Value) > 100+mostBeside {
			t.Fatalf("%d items, a value of %d bytes", len(whole.items), len(whole.item.Value))
		}
	})
}
