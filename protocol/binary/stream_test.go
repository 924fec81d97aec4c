package binary

import (
	"testing"

	"github.com/hearthcache/hearth/protocol"
)

// TestStream: the value of a command that stores a whole one, and is at least so
// long, is left to the caller, wherever the input was split; but not if it is there.
func TestStream(t *testing.T) {
	for op, streams := range map[Opcode]bool{Set: true, SetQ: true, Add: true, Replace: true, Append: false, Prepend: false} {
		packet := Packet{Magic: protocol.MagicRequest, Opcode: op, Key: []byte("key"), Value: []byte("0123456789")}
		if streams {
			packet.Extras = make([]byte, 8)
		}
		in := packet.Append(nil)
		head := len(in) - len(packet.Value)
		for split := 0; split <= len(in); split++ {
			p := Parser{MaxValue: 100, Stream: 10}
			var r protocol.Request
			n, st := p.Next(in[:split], &r)
			if body := st == protocol.Body; body != (streams && split >= head && split < len(in)) {
				t.Fatalf("%v split at %d: %v", op, split, st)
			} else if body && (n != head || p.Size != 10 || p.Need != 0 || string(r.Key) != "key" || len(r.Value) != 0) {
				t.Errorf("%v split at %d: %d bytes, %+v", op, split, n, r)
			}
			if split == len(in) && (st != protocol.Complete || string(r.Value) != "0123456789") {
				t.Errorf("%v: %v, %+v", op, st, r)
			}
		}
	}
}
