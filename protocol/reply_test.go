package protocol_test

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"github.com/hearthcache/hearth/protocol"
)

func TestValueReply(t *testing.T) {
	for _, size := range []int{0, 1, 9, 10, 100, 70000} {
		for _, flags := range []uint32{0, 7, math.MaxUint32} {
			for _, cas := range []uint64{0, math.MaxUint64} {
				value := bytes.Repeat([]byte("v"), size)
				want := fmt.Sprintf("before VALUE key %d %d\r\n%s\r\n", flags, size, value)
				if got := protocol.AppendValue([]byte("before "), &protocol.Request{Op: protocol.OpGet, Key: []byte("key")}, value, &protocol.Item{Flags: flags, CAS: cas}); string(got) != want {
					t.Errorf("got %.60q, want %.60q", got, want)
				}
				want = fmt.Sprintf("before VALUE key %d %d %d\r\n%s\r\n", flags, size, cas, value)
				if got := protocol.AppendValue([]byte("before "), &protocol.Request{Op: protocol.OpGats, Key: []byte("key")}, value, &protocol.Item{Flags: flags, CAS: cas}); string(got) != want {
					t.Errorf("got %.60q, want %.60q", got, want)
				}
			}
		}
	}
}

// TestEndValueNeverGrows: the longest header fits into the gap.
func TestEndValueNeverGrows(t *testing.T) {
	r := &protocol.Request{Op: protocol.OpGets, Key: []byte("key")}
	dst, mark := protocol.BeginValue(make([]byte, 0, 200), r)
	dst = dst[:len(dst):len(dst)]
	out := protocol.EndValue(dst, mark, r, &protocol.Item{Flags: math.MaxUint32, CAS: math.MaxUint64})
	if &out[0] != &dst[0] {
		t.Error("the buffer was copied")
	}
}

func TestLines(t *testing.T) {
	var b []byte
	b = protocol.AppendNumber(b, math.MaxUint64)
	r := &protocol.Request{}
	b = protocol.AppendStat(b, r, "version", "1.6.18")
	b = protocol.AppendStatEnd(b, r)
	b = protocol.AppendVersion(b, r, "1.6.18")
	want := "18446744073709551615\r\nSTAT version 1.6.18\r\nEND\r\nVERSION 1.6.18\r\n"
	if string(b) != want {
		t.Errorf("got %q", b)
	}
}

func TestNoAllocations(t *testing.T) {
	dst, value := make([]byte, 0, 1000), make([]byte, 100)
	r, it := &protocol.Request{Op: protocol.OpGets, Key: []byte("key")}, &protocol.Item{Flags: 5, CAS: 9}
	if n := testing.AllocsPerRun(100, func() { protocol.AppendValue(dst, r, value, it) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
