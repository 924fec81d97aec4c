package protocol_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/hearthcache/hearth/protocol"
)

// packet is a reply to opcode as its parts.
func packet(opcode uint8, status uint16, cas uint64, extras, key, value string) string {
	b := []byte{0x81, opcode}
	b = binary.BigEndian.AppendUint16(b, uint16(len(key)))
	b = append(b, byte(len(extras)), 0)
	b = binary.BigEndian.AppendUint16(b, status)
	b = binary.BigEndian.AppendUint32(b, uint32(len(extras)+len(key)+len(value)))
	b = append(b, 0xca, 0xfe, 0xba, 0xbe)
	b = binary.BigEndian.AppendUint64(b, cas)
	return string(b) + extras + key + value
}

func binaryRequest(op protocol.Op, opcode uint8, quiet bool) *protocol.Request {
	return &protocol.Request{Op: op, Proto: protocol.Binary, Opcode: opcode, Opaque: 0xcafebabe, Quiet: quiet, Key: []byte("key")}
}

// The opcodes of the tests.
const (
	opGet, opSet, opAdd, opReplace, opDelete, opIncr, opNoop, opVersion = 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x0a, 0x0b
	opGetQ, opGetK, opGetKQ, opAppend, opStat, opSetQ                   = 0x09, 0x0c, 0x0d, 0x0e, 0x10, 0x11
	opTouch, opGAT, opGATQ, opGATK, opGATKQ                             = 0x1c, 0x1d, 0x1e, 0x23, 0x24
)

// TestBinaryHit: a hit has flags and value, is told by quiet commands too, and
// repeats the key if the command has a K.
func TestBinaryHit(t *testing.T) {
	for opcode, key := range map[uint8]string{
		opGet: "", opGetQ: "", opGetK: "key", opGetKQ: "key", opGAT: "", opGATQ: "", opGATK: "key", opGATKQ: "key",
	} {
		for _, size := range []int{0, 1, 70000} {
			value := bytes.Repeat([]byte("v"), size)
			r := binaryRequest(protocol.OpGet, opcode, opcode == opGetQ || opcode == opGetKQ || opcode == opGATQ || opcode == opGATKQ)
			got := protocol.AppendValue([]byte("before "), r, value, &protocol.Item{Flags: 0x01020304, CAS: math.MaxUint64 - 1})
			want := "before " + packet(opcode, 0, math.MaxUint64-1, "\x01\x02\x03\x04", key, string(value))
			if string(got) != want {
				t.Errorf("opcode %#x: got %.100q, want %.100q", opcode, got, want)
			}
		}
	}
}

// TestBinaryValueStays: the value is not moved, and the buffer does not grow.
func TestBinaryValueStays(t *testing.T) {
	r := binaryRequest(protocol.OpGet, opGetKQ, true)
	dst, mark := protocol.BeginValue(make([]byte, 0, 200), r)
	at := len(dst)
	dst = append(dst, "value"...)
	out := protocol.EndValue(dst[:len(dst):len(dst)], mark, r, &protocol.Item{})
	if &out[at] != &dst[at] || len(out) != len(dst) {
		t.Error("the value was moved")
	}
}

func TestBinaryOutcomes(t *testing.T) {
	const cas = 0x1122334455667788
	for _, test := range []struct {
		op      protocol.Op
		opcode  uint8
		outcome protocol.Outcome
		want    string // of the command that is not quiet
		hidden  bool   // from who is quiet
	}{
		{protocol.OpGet, opGet, protocol.Miss, packet(opGet, 1, 0, "", "", "Not found"), true},
		{protocol.OpGet, opGetK, protocol.Miss, packet(opGetK, 1, 0, "", "key", ""), true},
		{protocol.OpGat, opGAT, protocol.Miss, packet(opGAT, 1, 0, "", "", "Not found"), true},
		{protocol.OpGat, opGATK, protocol.Miss, packet(opGATK, 1, 0, "", "key", ""), true},
		{protocol.OpTouch, opTouch, protocol.NotFound, packet(opTouch, 1, 0, "", "", "Not found"), false},
		{protocol.OpTouch, opTouch, protocol.Touched, packet(opTouch, 0, cas, "\x00\x00\x00\x07", "", ""), true},
		{protocol.OpSet, opSet, protocol.Stored, packet(opSet, 0, cas, "", "", ""), true},
		{protocol.OpSet, opSet, protocol.TooLarge, packet(opSet, 3, 0, "", "", "Too large."), false},
		{protocol.OpSet, opSet, protocol.NoMemory, packet(opSet, 0x82, 0, "", "", "Out of memory allocating item"), false},
		{protocol.OpCAS, opSet, protocol.Exists, packet(opSet, 2, 0, "", "", "Data exists for key."), false},
		{protocol.OpCAS, opSet, protocol.NotFound, packet(opSet, 1, 0, "", "", "Not found"), false},
		{protocol.OpAdd, opAdd, protocol.NotStored, packet(opAdd, 2, 0, "", "", "Data exists for key."), false},
		{protocol.OpReplace, opReplace, protocol.NotStored, packet(opReplace, 1, 0, "", "", "Not found"), false},
		{protocol.OpAppend, opAppend, protocol.NotStored, packet(opAppend, 5, 0, "", "", "Not stored."), false},
		{protocol.OpAppend, opAppend, protocol.Stored, packet(opAppend, 0, cas, "", "", ""), true},
		{protocol.OpDelete, opDelete, protocol.Deleted, packet(opDelete, 0, 0, "", "", ""), true},
		{protocol.OpDelete, opDelete, protocol.NotFound, packet(opDelete, 1, 0, "", "", "Not found"), false},
		{protocol.OpDelete, opDelete, protocol.Exists, packet(opDelete, 2, 0, "", "", "Data exists for key."), false},
		{protocol.OpIncr, opIncr, protocol.Stored, packet(opIncr, 0, cas, "", "", "\x00\x00\x00\x00\x00\x00\x01\x02"), true},
		{protocol.OpIncr, opIncr, protocol.NotFound, packet(opIncr, 1, 0, "", "", "Not found"), false},
		{protocol.OpIncr, opIncr, protocol.NonNumeric, packet(opIncr, 6, 0, "", "", "Non-numeric server-side value for incr or decr"), false},
		{protocol.OpIncr, opIncr, protocol.NoMemory, packet(opIncr, 0x82, 0, "", "", "Out of memory incrementing value"), false},
		{protocol.OpNoop, opNoop, protocol.Done, packet(opNoop, 0, 0, "", "", ""), true},
		{protocol.OpSASLAuth, 0x21, protocol.Unknown, packet(0x21, 0x81, 0, "", "", "Unknown command"), false},
	} {
		res := &protocol.Result{Outcome: test.outcome, Item: protocol.Item{Flags: 7, CAS: cas}, Number: 0x102}
		if got := protocol.AppendResult([]byte("x"), binaryRequest(test.op, test.opcode, false), res); string(got) != "x"+test.want {
			t.Errorf("opcode %#x, %v: got %q, want %q", test.opcode, test.outcome, got[1:], test.want)
		}
		if test.hidden {
			test.want = ""
		}
		if got := protocol.AppendResult([]byte("x"), binaryRequest(test.op, test.opcode, true), res); string(got) != "x"+test.want {
			t.Errorf("opcode %#x, %v, quiet: got %q, want %q", test.opcode, test.outcome, got[1:], test.want)
		}
	}
}

// TestBinaryOutcomesAreAll: an outcome that is new has a status.
func TestBinaryOutcomesAreAll(t *testing.T) {
	for o := protocol.Unknown; o <= protocol.Done; o++ {
		r := binaryRequest(protocol.OpSet, opSet, false)
		if got := protocol.AppendOutcome(nil, r, o); len(got) < protocol.BinaryHeader || got[7] != 0 && len(got) == protocol.BinaryHeader {
			t.Errorf("outcome %d: %q", o, got)
		}
	}
}

func TestBinaryTexts(t *testing.T) {
	r := binaryRequest(protocol.OpStats, opStat, false)
	b := protocol.AppendStat(nil, r, "version", "1.6")
	b = protocol.AppendStatEnd(b, r)
	b = protocol.AppendVersion(b, binaryRequest(protocol.OpVersion, opVersion, false), "1.6")
	b = protocol.AppendClientError(b, r, "what")
	b = protocol.AppendServerError(b, r, "why")
	b = protocol.AppendStatus(b, binaryRequest(protocol.OpSASLAuth, 0x21, true), protocol.StatusAuthError, "")
	want := packet(opStat, 0, 0, "", "version", "1.6") + packet(opStat, 0, 0, "", "", "") +
		packet(opVersion, 0, 0, "", "", "1.6") + packet(opStat, 4, 0, "", "", "what") +
		packet(opStat, 0x84, 0, "", "", "why") + packet(0x21, 0x20, 0, "", "", "Auth failure.")
	if string(b) != want {
		t.Errorf("got %q\nwant %q", b, want)
	}
}

func TestBinaryStatusNames(t *testing.T) {
	for s, want := range map[protocol.BinaryStatus]string{
		0: "SUCCESS", 1: "KEY_ENOENT", 0x82: "ENOMEM", 0x86: "TMPFAIL", 0x30: "0x30", 0x87: "0x87", 0xffff: "0xffff",
	} {
		if got := s.String(); got != want || fmt.Sprint(s) != want {
			t.Errorf("status %#x is %q, want %q", uint16(s), got, want)
		}
	}
	if s := protocol.BinaryStatus(0xffff); s.Text() != "" {
		t.Errorf("%q", s.Text())
	}
}

func TestBinaryRepliesDoNotAllocate(t *testing.T) {
	dst, value := make([]byte, 0, 1000), make([]byte, 100)
	r, it := binaryRequest(protocol.OpGet, opGetK, false), &protocol.Item{Flags: 5, CAS: 9}
	got := testing.AllocsPerRun(100, func() {
		protocol.AppendValue(dst, r, value, it)
		protocol.AppendOutcome(dst, r, protocol.Miss)
		protocol.AppendOutcome(dst, r, protocol.Stored)
		protocol.AppendOutcome(dst, r, protocol.TooLarge)
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}
