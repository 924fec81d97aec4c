package text

import (
	"fmt"
	"testing"

	"github.com/hearthcache/hearth/protocol"
)

// TestStream: the value of a command that stores a whole one, and is at least so
// long, is left to the caller, wherever the input was split; but not if it is there.
func TestStream(t *testing.T) {
	for line, streams := range map[string]bool{
		"set key 1 2 10\r\n": true, "add key 1 2 10\r\n": true, "replace key 1 2 10\r\n": true,
		"cas key 1 2 10 4\r\n": true, "ms key 10 T0 F1\r\n": true, "ms a2V5 10 b\r\n": true,
		"append key 1 2 10\r\n": false, "prepend key 1 2 10\r\n": false, "ms key 10 MA\r\n": false,
		"set key 1 2 9\r\n": false,
	} {
		in := fmt.Appendf(nil, "%s0123456789\r\n", line)
		for split := 0; split < len(in); split++ {
			p := Parser{MaxValue: 100, Stream: 10}
			var r protocol.Request
			n, st := p.Next(append([]byte(nil), in[:split]...), &r)
			if body := st == protocol.Body; body != (streams && split >= len(line)) {
				t.Fatalf("%q split at %d: %v", line, split, st)
			} else if body && (n != len(line) || p.Size != 10 || string(r.Key) != "key") {
				t.Errorf("%q split at %d: %d bytes of %+v", line, split, n, r)
			}
		}
		p := Parser{MaxValue: 100, Stream: 10}
		var r protocol.Request
		if n, st := p.Next(in, &r); streams && (st != protocol.Complete || n != len(in) || string(r.Value) != "0123456789") {
			t.Errorf("%q: %v, %d bytes", line, st, n)
		}
	}
	p := Parser{MaxValue: 9, Stream: 5}
	var r protocol.Request
	if _, st := p.Next([]byte("set key 0 0 10\r\n"), &r); st != protocol.Complete || !r.TooLarge {
		t.Errorf("too large: %v", st)
	}
}
