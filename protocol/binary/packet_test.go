package binary_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol"
	. "github.com/hearthcache/hearth/protocol/binary"
)

const maxBody = 1000

// packets is what a PacketParser makes of data, cut in pieces by cut.
func packets(t testing.TB, magic byte, data []byte, cut func(left int) int) string {
	d := PacketParser{Magic: magic, MaxBody: maxBody}
	var log strings.Builder
	var in []byte
	for len(data) > 0 {
		n := min(max(cut(len(data)), 1), len(data))
		in, data = append(in, data[:n]...), data[n:]
		for {
			var p Packet
			n, status := d.Next(append(make([]byte, 0, len(in)), in...), &p)
			if status == protocol.Close {
				return log.String() + "close\n"
			}
			if status == protocol.Incomplete {
				if n != 0 || d.Need <= len(in) && len(in) > 0 || d.Need > protocol.BinaryHeader+maxBody {
					t.Fatalf("needs %d and has %d", d.Need, len(in))
				}
				break
			}
			if again := p.Append(nil); string(again) != string(in[:n]) {
				t.Fatalf("%q became %q", in[:n], again)
			}
			fmt.Fprintf(&log, "%v %q\n", &p, p.Value)
			in = in[n:]
		}
	}
	return log.String()
}

// replies are packets as a server sends them, and what is said of them.
var replies = []struct {
	p    Packet
	want string
}{
	{Packet{Opcode: Get, Extras: []byte("\x00\x00\x00\x07"), Value: []byte("value"), CAS: 9, Opaque: 1}, `GET reply SUCCESS key "" extras 00000007 value 5 bytes opaque 0x1 cas 9 "value"`},
	{Packet{Opcode: GetKQ, Extras: []byte("\x00\x00\x00\x07"), Key: []byte("key"), Value: []byte("value")}, `GETKQ reply SUCCESS key "key" extras 00000007 value 5 bytes opaque 0x0 cas 0 "value"`},
	{Packet{Opcode: Get, Status: protocol.StatusKeyNotFound, Value: []byte("Not found")}, `GET reply KEY_ENOENT key "" extras  value 9 bytes opaque 0x0 cas 0 "Not found"`},
	{Packet{Opcode: Increment, Value: []byte("\x00\x00\x00\x00\x00\x00\x01\x02")}, `INCREMENT reply SUCCESS key "" extras  value 8 bytes opaque 0x0 cas 0 "\x00\x00\x00\x00\x00\x00\x01\x02"`},
	{Packet{Opcode: Noop}, `NOOP reply SUCCESS key "" extras  value 0 bytes opaque 0x0 cas 0 ""`},
	{Packet{Opcode: UPRMutation, Status: 0x999, DataType: 1}, `UPR_MUTATION reply 0x999 key "" extras  value 0 bytes opaque 0x0 cas 0 ""`},
	{Packet{Opcode: 0xfe, Value: make([]byte, maxBody)}, `0xfe reply SUCCESS key "" extras  value 1000 bytes opaque 0x0 cas 0 `},
}

func TestPackets(t *testing.T) {
	var in []byte
	var want string
	for _, r := range replies {
		r.p.Magic = protocol.MagicResponse
		b := r.p.Append(nil)
		got := packets(t, protocol.MagicResponse, b, whole)
		if !strings.HasPrefix(got, r.want) {
			t.Errorf("got %q, want %q", got, r.want)
		}
		in, want = append(in, b...), want+got
	}
	for step := 1; step < 60; step++ {
		if got := packets(t, protocol.MagicResponse, in, func(int) int { return step }); got != want {
			t.Fatalf("pieces of %d: got %s\nwant %s", step, got, want)
		}
	}
}

// TestNoPacket: what nothing can be read behind.
func TestNoPacket(t *testing.T) {
	reply := Packet{Magic: protocol.MagicResponse, Opcode: Noop}
	ok := reply.Append(nil)
	said := packets(t, protocol.MagicResponse, ok, whole)
	for name, bad := range map[string][]byte{
		"a request":  noop.bytes(),
		"text":       []byte("VALUE "),
		"long":       (&Packet{Magic: protocol.MagicResponse, Value: make([]byte, maxBody+1)}).Append(nil),
		"key":        req(Get, "", "key", "").withMagic(0x81).withBody(2).bytes(),
		"extras":     req(Get, "1234", "key", "").withMagic(0x81).withBody(6).bytes(),
		"4 GiB less": req(Get, "", "", "").withMagic(0x81).withBody(1<<32 - 1).bytes(),
	} {
		if got := packets(t, protocol.MagicResponse, append(ok[:len(ok):len(ok)], bad...), whole); got != said+"close\n" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func FuzzReply(f *testing.F) {
	for _, r := range replies {
		r.p.Magic = protocol.MagicResponse
		f.Add(r.p.Append(nil), uint16(3))
	}
	f.Add(req(Get, "1234", "key", "").withMagic(0x81).withBody(6).bytes(), uint16(1))
	f.Fuzz(func(t *testing.T, in []byte, step uint16) {
		want := packets(t, protocol.MagicResponse, in, whole)
		if got := packets(t, protocol.MagicResponse, in, func(int) int { return int(step) }); got != want {
			t.Fatalf("pieces of %d: got %s\nwant %s", step, got, want)
		}
		// What a server sends may ask for a TAP stream as well: no panic.
		var p Packet
		d := PacketParser{Magic: protocol.MagicResponse, MaxBody: maxBody}
		if _, status := d.Next(in, &p); status == protocol.Complete {
			ParseTapConnect(&p)
			p.Flags()
			p.Number()
		}
	})
}

func TestFlagsAndNumber(t *testing.T) {
	hit := Packet{Extras: []byte("\x01\x02\x03\x04"), Value: []byte("\x00\x00\x00\x00\x00\x00\x01\x02")}
	if hit.Flags() != 0x01020304 || hit.Number() != 0x102 {
		t.Errorf("flags %x number %x", hit.Flags(), hit.Number())
	}
	if p := (Packet{Extras: []byte("123"), Value: []byte("1234567")}); p.Flags() != 0 || p.Number() != 0 {
		t.Errorf("flags %x number %x", p.Flags(), p.Number())
	}
}

// random is a request of any opcode, as a Parser would yield it.
func random(rng *rand.Rand) *protocol.Request {
	var code Opcode
	for code = Opcode(rng.IntN(256)); code.Op() == 0; code = Opcode(rng.IntN(256)) {
	}
	bytes := func(least, most int) []byte {
		b := make([]byte, least+rng.IntN(most-least+1))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	r := &protocol.Request{Proto: protocol.Binary, Op: code.Op(), Opcode: uint8(code), Quiet: code.Quiet(), Opaque: rng.Uint32(), Key: bytes(1, 32)}
	compare := func() {
		if r.Compare = rng.IntN(2) == 0; r.Compare {
			r.CAS = 1 + rng.Uint64N(1<<63)
		}
	}
	switch r.Op {
	case protocol.OpSet, protocol.OpAdd, protocol.OpReplace:
		r.Flags, r.Exptime, r.HasExp, r.Value = rng.Uint32(), int64(rng.Uint32()), true, bytes(0, maxValue)
		if rng.IntN(2) == 0 {
			r.Op, r.CAS = protocol.OpCAS, 1+rng.Uint64N(1<<63)
		}
	case protocol.OpAppend, protocol.OpPrepend:
		r.Value = bytes(0, maxValue)
		compare()
	case protocol.OpSASLAuth, protocol.OpSASLStep:
		r.Value = bytes(0, maxValue)
	case protocol.OpDelete:
		compare()
	case protocol.OpIncr, protocol.OpDecr:
		r.Delta, r.Initial, r.VivifyExptime = rng.Uint64(), rng.Uint64(), int64(rng.Uint32N(1<<32-1))
		if r.Vivify = rng.IntN(2) == 0; !r.Vivify {
			r.VivifyExptime = 1<<32 - 1
		}
		compare()
	case protocol.OpGat, protocol.OpTouch:
		r.Exptime, r.HasExp = int64(rng.Uint32()), true
	case protocol.OpFlushAll:
		if r.HasExp = rng.IntN(2) == 0; r.HasExp {
			r.Exptime = int64(rng.Uint32())
		}
		r.Key = []byte{}
	case protocol.OpVerbosity:
		r.Delta, r.Key = uint64(rng.Uint32()), []byte{}
	case protocol.OpStats:
		r.Args, r.Key = bytes(0, 20), nil
	case protocol.OpGet, protocol.OpGats:
	default:
		r.Key = []byte{}
	}
	return r
}

// TestRequestsRoundTrip: what is appended is parsed as what it was.
func TestRequestsRoundTrip(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 20000 {
		want := random(rng)
		var got protocol.Request
		p := Parser{MaxValue: maxValue}
		in := AppendRequest(nil, want)
		if n, status := p.Next(in, &got); n != len(in) || status != protocol.Complete {
			t.Fatalf("%+v: %d of %d bytes, status %d, %v", want, n, len(in), status, p.Refusal)
		}
		if !reflect.DeepEqual(&got, want) {
			t.Fatalf("got  %+v\nwant %+v", &got, want)
		}
	}
}

// TestOpcodes: which one a request is sent with.
func TestOpcodes(t *testing.T) {
	for _, test := range []struct {
		r    protocol.Request
		want Opcode
	}{
		{protocol.Request{Op: protocol.OpGet}, Get},
		{protocol.Request{Op: protocol.OpGets}, Get},
		{protocol.Request{Op: protocol.OpGet, Quiet: true}, GetQ},
		{protocol.Request{Op: protocol.OpGet, Quiet: true, Opcode: uint8(GetKQ)}, GetKQ},
		{protocol.Request{Op: protocol.OpGet, Opcode: uint8(GetK)}, GetK},
		{protocol.Request{Op: protocol.OpGets, Opcode: uint8(GetK)}, GetK},
		{protocol.Request{Op: protocol.OpGats, Opcode: uint8(GATK)}, GATK},
		{protocol.Request{Op: protocol.OpGet, Opcode: uint8(GetKQ)}, Get},
		{protocol.Request{Op: protocol.OpSet}, Set},
		{protocol.Request{Op: protocol.OpSet, Opcode: uint8(GetK)}, Set},
		{protocol.Request{Op: protocol.OpCAS, Quiet: true}, SetQ},
		{protocol.Request{Op: protocol.OpCAS, Opcode: uint8(Replace)}, Replace},
		{protocol.Request{Op: protocol.OpDecr, Quiet: true}, DecrementQ},
		{protocol.Request{Op: protocol.OpTouch, Quiet: true}, Touch},
	} {
		if got := Opcode(AppendRequest(nil, &test.r)[1]); got != test.want {
			t.Errorf("%+v is sent as %v, want %v", test.r, got, test.want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("an Op that there is not does not panic")
		}
	}()
	AppendRequest(nil, &protocol.Request{Op: protocol.OpWatch})
}

// TestExptimes: those that binary packets cannot hold.
func TestExptimes(t *testing.T) {
	for exptime, want := range map[int64]string{
		-1: "\x00\x27\x8d\x01", -1 << 60: "\x00\x27\x8d\x01", 0: forever, 9: exp9, 1<<32 - 1: never, 1 << 40: never,
	} {
		b := AppendRequest(nil, &protocol.Request{Op: protocol.OpTouch, Exptime: exptime})
		if got := string(b[protocol.BinaryHeader:]); got != want {
			t.Errorf("%d is sent as %x", exptime, got)
		}
	}
	b := AppendRequest(nil, &protocol.Request{Op: protocol.OpIncr, Vivify: true, VivifyExptime: 1 << 40})
	if got := string(b[len(b)-4:]); got != "\xff\xff\xff\xfe" {
		t.Errorf("an item that is to be made has exptime %x", got)
	}
}

// TestOutcome: who reads the status of a reply gets the outcome it was made of.
func TestOutcome(t *testing.T) {
	change := []protocol.Outcome{protocol.Stored, protocol.NotStored, protocol.TooLarge, protocol.NoMemory, protocol.Unknown}
	for op, outcomes := range map[protocol.Op][]protocol.Outcome{
		protocol.OpGet: {protocol.Miss}, protocol.OpGats: {protocol.Miss},
		protocol.OpSet: change[:1], protocol.OpAdd: change, protocol.OpReplace: change, protocol.OpAppend: append(change, protocol.Exists),
		protocol.OpCAS:    {protocol.Stored, protocol.Exists, protocol.NotFound},
		protocol.OpIncr:   {protocol.Stored, protocol.NotFound, protocol.NonNumeric, protocol.Exists, protocol.NoMemory},
		protocol.OpTouch:  {protocol.Touched, protocol.NotFound},
		protocol.OpDelete: {protocol.Deleted, protocol.NotFound, protocol.Exists},
		protocol.OpNoop:   {protocol.Done}, protocol.OpFlushAll: {protocol.Done}, protocol.OpSASLAuth: {protocol.Done, protocol.Unknown},
	} {
		for _, want := range outcomes {
			r := &protocol.Request{Proto: protocol.Binary, Op: op}
			var p Packet
			d := PacketParser{Magic: protocol.MagicResponse, MaxBody: maxBody}
			d.Next(protocol.AppendOutcome(nil, r, want), &p)
			if got, ok := Outcome(r, p.Status); got != want || !ok {
				t.Errorf("op %d: outcome %d came as %v, read as %d %v", op, want, p.Status, got, ok)
			}
		}
	}
	r := &protocol.Request{Op: protocol.OpGet}
	if got, ok := Outcome(r, protocol.StatusOK); got != protocol.Hit || !ok {
		t.Errorf("a hit is %d %v", got, ok)
	}
	for _, s := range []protocol.BinaryStatus{protocol.StatusAuthError, protocol.StatusInvalidArguments, 0x999} {
		if _, ok := Outcome(r, s); ok {
			t.Errorf("%v is an outcome", s)
		}
	}
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for i := range 256 {
		o := Opcode(i)
		if o.String() == "" || seen[o.String()] || o.Op() != 0 && strings.HasPrefix(o.String(), "0x") {
			t.Errorf("opcode %d is %q", i, o)
		}
		seen[o.String()] = true
	}
	for o, want := range map[Opcode]string{Get: "GET", GATKQ: "GATKQ", TapConnect: "TAP_CONNECT", UPRStreamReq: "UPR_STREAMREQ", RDecrQ: "RDECRQ", 0xff: "0xff"} {
		if o.String() != want {
			t.Errorf("%q, want %q", o, want)
		}
	}
	// Names that the server has no command for.
	for _, o := range []Opcode{RGet, SetVBucket, TapConnect, TapCheckpointEnd, UPROpen, UPRControl, GetReplica, SelectBucket, Observe} {
		if o.Op() != 0 {
			t.Errorf("%v is a command", o)
		}
	}
}

func TestTapConnect(t *testing.T) {
	packet := func(extras, value string) *Packet {
		return &Packet{Opcode: TapConnect, Key: []byte("name"), Extras: []byte(extras), Value: []byte(value)}
	}
	c, err := ParseTapConnect(packet("\x00\x00\x00\x27", "\x00\x00\x00\x00\x00\x00\x00\x05\x00\x02\x00\x07\x01\x00rest"))
	if err != nil || string(c.Name) != "name" || c.Backfill != 5 || !reflect.DeepEqual(c.VBuckets, []uint16{7, 256}) || string(c.Rest) != "rest" {
		t.Errorf("%+v, %v", c, err)
	}
	if want := "BACKFILL|DUMP|LIST_VBUCKETS|REQUEST_KEYS_ONLY"; c.Flags.String() != want {
		t.Errorf("flags %v, want %s", c.Flags, want)
	}
	if got := (TapFixFlagByteOrder | TapSupportAck | 1<<31).String(); got != "SUPPORT_ACK|FIX_FLAG_BYTEORDER|0x80000000" {
		t.Errorf("flags %v", got)
	}
	if c, err := ParseTapConnect(packet("\x00\x00\x00\x00", "x")); err != nil || string(c.Rest) != "x" || c.VBuckets != nil {
		t.Errorf("%+v, %v", c, err)
	}
	for _, p := range []*Packet{
		packet("\x00\x00\x00", ""), packet("\x00\x00\x00\x01", "1234567"), packet("\x00\x00\x00\x04", "\x00"),
		packet("\x00\x00\x00\x04", "\xff\xff\x00\x01"), packet("\x00\x00\x00\x05", "12345678\x00\x01\x00"),
	} {
		if c, err := ParseTapConnect(p); err != ErrTapConnect {
			t.Errorf("%v: %+v, %v", p, c, err)
		}
	}
}

func TestEncodingDoesNotAllocate(t *testing.T) {
	r := &protocol.Request{Op: protocol.OpSet, Key: []byte("key"), Value: []byte("value"), Quiet: true}
	dst := make([]byte, 0, 1000)
	var p Packet
	d := PacketParser{Magic: protocol.MagicRequest, MaxBody: maxBody}
	got := testing.AllocsPerRun(100, func() {
		b := AppendRequest(dst, r)
		if _, status := d.Next(b, &p); status != protocol.Complete {
			t.Fatal(status)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}
