package server

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol"
)

// store is a Handler of binary requests. What the first byte of a key says of it
// is as in script.
type store struct{ open []*packetAnswer }

type packetAnswer struct {
	r     protocol.Request
	name  string
	ready bool
	done  bool
}

func (a *packetAnswer) Step(dst []byte) ([]byte, bool) {
	switch {
	case a.done:
		panic("stepped after it was done")
	case !a.ready:
		return append(dst, "half an answer"...), false
	case string(a.r.Key) != a.name:
		panic(fmt.Sprintf("the key has become %q, was %q", a.r.Key, a.name))
	}
	a.done = true
	return answered(dst, &a.r), true
}

func answered(dst []byte, r *protocol.Request) []byte {
	switch {
	case r.TooLarge:
		return protocol.AppendOutcome(dst, r, protocol.TooLarge)
	case r.Op.Retrieval() && (len(r.Key) == 0 || strings.HasPrefix(string(r.Key[1:]), "m")):
		return protocol.AppendOutcome(dst, r, protocol.Miss)
	case r.Op.Retrieval():
		return protocol.AppendValue(dst, r, []byte(string(r.Key)+"'s value"), &protocol.Item{Flags: 1, CAS: 2})
	case r.Op == protocol.OpNoop:
		return protocol.AppendOutcome(dst, r, protocol.Done)
	case len(r.Key) > 0 && strings.HasPrefix(string(r.Key[1:]), "m"):
		return protocol.AppendOutcome(dst, r, protocol.NotStored)
	}
	return protocol.AppendOutcome(dst, r, protocol.Stored)
}

func (s *store) Get(_ *Conn, r *protocol.Request, dst []byte) ([]byte, Pending) {
	return s.Do(nil, r, dst)
}

func (s *store) Do(_ *Conn, r *protocol.Request, dst []byte) ([]byte, Pending) {
	if len(r.Key) > 0 && r.Key[0] == 'p' && !r.TooLarge {
		a := &packetAnswer{r: *r, name: string(r.Key)}
		s.open = append(s.open, a)
		return dst, a
	}
	return answered(dst, r), nil
}

// answer has one of the Pendings answered.
func (s *store) answer(rng *rand.Rand) bool {
	for i := 0; i < len(s.open); {
		if s.open[i].done {
			s.open = append(s.open[:i], s.open[i+1:]...)
		} else {
			i++
		}
	}
	if len(s.open) == 0 {
		return false
	}
	s.open[rng.IntN(len(s.open))].ready = true
	return true
}

// The opcodes of the tests.
const (
	opGet, opSet, opQuit, opGetQ, opNoop, opGetK, opGetKQ, opSetQ, opQuitQ, opGATQ = 0, 1, 7, 9, 10, 12, 13, 0x11, 0x17, 0x1e
)

func requestPacket(opcode, opaque int, extras, key, value string) []byte {
	b := []byte{protocol.MagicRequest, byte(opcode)}
	b = binary.BigEndian.AppendUint16(b, uint16(len(key)))
	b = append(b, byte(len(extras)), 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(extras)+len(key)+len(value)))
	b = binary.BigEndian.AppendUint32(b, uint32(opaque))
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	return append(b, extras+key+value...)
}

func newBinaryBench(t *testing.T) (*bench, *store) {
	b, s := newBench(t), &store{}
	b.Conn.handler = s
	return b, s
}

// stream is a pipeline of n requests and the replies it is to get. Opaques count
// the requests.
func stream(rng *rand.Rand, n int) (in, want []byte) {
	for i := range n {
		key := "hpmp"[rng.IntN(4):][:1] + "hm"[rng.IntN(2):][:1] + fmt.Sprint(i)
		r := protocol.Request{Proto: protocol.Binary, Opaque: uint32(i), Key: []byte(key)}
		packet := func(opcode int, extras, value string) {
			r.Opcode = uint8(opcode)
			in = append(in, requestPacket(opcode, i, extras, key, value)...)
		}
		switch rng.IntN(10) {
		case 0, 1:
			r.Op = protocol.OpGet
			packet(opGet, "", "")
		case 2, 3:
			r.Op, r.Quiet = protocol.OpGet, true
			packet(opGetQ, "", "")
		case 4, 5:
			r.Op, r.Quiet = protocol.OpGet, true
			packet(opGetKQ, "", "")
		case 6:
			r.Op, r.Quiet = protocol.OpSet, true
			packet(opSetQ, "flagsexp", strings.Repeat("v", rng.IntN(300)))
		case 7:
			r.Op, r.Quiet = protocol.OpGat, true
			packet(opGATQ, "expt", "")
		case 8:
			key, r.Op, r.Key = "", protocol.OpNoop, nil
			packet(opNoop, "", "")
		default:
			packet(0x99, "", "unknown") // in step only if its body is passed over
			want = protocol.AppendStatus(want, &r, protocol.StatusUnknownCommand, "")
			continue
		}
		want = answered(want, &r)
	}
	return in, want
}

// TestBinaryOrder: replies come in the order of the requests, in whatever order
// the answers come, however the bytes are split.
func TestBinaryOrder(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 30 {
		b, s := newBinaryBench(t)
		in, want := stream(rng, 400)
		b.w.space = 0
		for step := 1 + rng.IntN(3000); len(in) > 0 || len(b.w.out) < len(want); {
			n := min(rng.IntN(step), len(in))
			b.w.in = append(b.w.in, in[:n]...)
			in = in[n:]
			b.w.space += rng.IntN(5000)
			b.readable, b.blocked = true, false
			moved := len(b.w.out)
			if b.serve() == ended {
				t.Fatal("the connection ended")
			}
			if !s.answer(rng) && len(in) == 0 && len(b.w.in) == 0 && len(b.w.out) == moved && b.w.space > 0 && len(want) != moved {
				t.Fatalf("%d bytes came, %d should have", moved, len(want))
			}
			if got := b.w.out; string(got) != string(want[:len(got)]) {
				t.Fatalf("wrong within the first %d bytes", len(got))
			}
		}
		for s.answer(rng) { // quiet ones that nobody waits for
			b.settled()
		}
		b.want(string(want))
		b.wantNoBuffers()
	}
}

// TestBinaryGetsAreInFlightTogether: single-key gets do not wait for each other.
func TestBinaryGetsAreInFlightTogether(t *testing.T) {
	b, s := newBinaryBench(t)
	var in, want []byte
	for i := range 20 {
		key := fmt.Sprintf("ph%d", i)
		in = append(in, requestPacket(opGetKQ, i, "", key, "")...)
		want = answered(want, &protocol.Request{Proto: protocol.Binary, Op: protocol.OpGet, Opcode: opGetKQ, Opaque: uint32(i), Key: []byte(key), Quiet: true})
	}
	in = append(in, requestPacket(opNoop, 99, "", "", "")...)
	b.send(string(in))
	if len(s.open) != 20 {
		t.Fatalf("%d gets are in flight", len(s.open))
	}
	for i := range s.open {
		b.want("")
		s.open[len(s.open)-1-i].ready = true
		b.settled()
	}
	want = protocol.AppendOutcome(want, &protocol.Request{Proto: protocol.Binary, Op: protocol.OpNoop, Opcode: opNoop, Opaque: 99}, protocol.Done)
	b.want(string(want))
}

func TestEverySplitOfABinaryStream(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	in, want := stream(rng, 12)
	tooLarge := requestPacket(opSet, 1, "flagsexp", "h", strings.Repeat("v", 1<<20+1))
	refused := answered(nil, &protocol.Request{Proto: protocol.Binary, Op: protocol.OpSet, Opcode: opSet, Opaque: 1, TooLarge: true})
	in = append(in, requestPacket(opQuit, 77, "", "", "")...)
	want = protocol.AppendOutcome(want, &protocol.Request{Proto: protocol.Binary, Opcode: opQuit, Opaque: 77}, protocol.Done)
	in = append(in, requestPacket(opGet, 78, "", "hh", "")...)
	for at := range len(in) {
		b, s := newBinaryBench(t)
		if at%64 == 0 {
			b.send(string(tooLarge[:1000]))
			b.send(string(tooLarge[1000:]))
			b.want(string(refused))
			b.w.out = nil
		}
		b.send(string(in[:at]))
		v := b.send(string(in[at:]))
		for s.answer(rng) {
			v = b.settled()
		}
		if v != ended {
			t.Fatalf("cut at %d: verdict %d after quit", at, v)
		}
		b.want(string(want))
		b.release()
		b.wantNoBuffers()
	}
}

// TestBinaryEnds: what ends a connection, and what is said before.
func TestBinaryEnds(t *testing.T) {
	said := func(opcode uint8, status protocol.BinaryStatus) string {
		return string(protocol.AppendStatus(nil, &protocol.Request{Opcode: opcode, Opaque: 5}, status, ""))
	}
	noop := string(requestPacket(opNoop, 5, "", "", ""))
	for name, test := range map[string]struct{ in, want string }{
		"quitq":     {noop + string(requestPacket(opQuitQ, 5, "", "", "")) + noop, said(opNoop, protocol.StatusOK)},
		"quit":      {string(requestPacket(opQuit, 5, "", "", "")) + noop, said(opQuit, protocol.StatusOK)},
		"no key":    {string(requestPacket(opGet, 5, "", "", "")) + noop, said(opGet, protocol.StatusInvalidArguments)},
		"long key":  {string(requestPacket(opGetQ, 5, "", strings.Repeat("k", 251), "")) + noop, said(opGetQ, protocol.StatusInvalidArguments)},
		"bad magic": {noop + "get a\r\n", said(opNoop, protocol.StatusOK)},
	} {
		b, _ := newBinaryBench(t)
		if v := b.send(test.in); v != ended {
			t.Errorf("%s: verdict %d", name, v)
		}
		b.want(test.want)
	}
}

// TestProtocols: the first byte tells the protocol, unless one is prescribed.
func TestProtocols(t *testing.T) {
	packet := string(requestPacket(opGet, 5, "", "hh", ""))
	hit := string(answered(nil, &protocol.Request{Proto: protocol.Binary, Op: protocol.OpGet, Opcode: opGet, Opaque: 5, Key: []byte("hh")}))
	line := "get hh\r\n"
	textHit := "VALUE hh 1 10\r\nhh's value\r\nEND\r\n"
	for _, test := range []struct {
		protocols Protocols
		in, want  string
		verdict   verdict
	}{
		{AnyProtocol, packet, hit, waiting},
		{AnyProtocol, line, textHit, waiting},
		{AnyProtocol, line + packet + "\r\n", textHit + protocol.Error, waiting},
		{AnyProtocol, packet + line, hit, ended},
		{TextProtocol, line, textHit, waiting},
		{TextProtocol, packet + "\r\n" + line, protocol.Error + textHit, waiting},
		{BinaryProtocol, packet, hit, waiting},
		{BinaryProtocol, line, "", ended},
		{BinaryProtocol, "g", "", ended},
	} {
		b, _ := newBinaryBench(t)
		b.limits.protocols = test.protocols
		if v := b.send(test.in); v != test.verdict {
			t.Errorf("%d, %q: verdict %d", test.protocols, test.in, v)
		}
		b.want(test.want)
	}
}

// TestBinaryThenText: a Conn that is used again has forgotten its last client.
func TestBinaryThenText(t *testing.T) {
	b, _ := newBinaryBench(t)
	b.send(string(requestPacket(opGet, 5, "", strings.Repeat("k", 300), "")))
	b.w.out = nil
	b.release()
	b.reset()
	b.send("get hm\r\n")
	b.want("END\r\n")
	b.release()
	b.reset()
	b.w.out = nil
	b.send(string(requestPacket(opNoop, 5, "", "", "")))
	b.want(string(protocol.AppendStatus(nil, &protocol.Request{Opcode: opNoop, Opaque: 5}, protocol.StatusOK, "")))
}

// TestLargeBinaryValue: one takes the buffer that it needs and no more; one that is
// too large takes none.
func TestLargeBinaryValue(t *testing.T) {
	b, _ := newBinaryBench(t)
	const n = 1000000
	packet := string(requestPacket(opSetQ, 1, "flagsexp", "h", strings.Repeat("v", n)))
	b.send(packet[:30])
	if cap(b.in) > eagerSize {
		t.Errorf("a buffer of %d for what is only announced", cap(b.in))
	}
	b.send(packet[30:900000])
	if cap(b.in) != len(packet) {
		t.Errorf("a buffer of %d, %d are needed", cap(b.in), len(packet))
	}
	b.send(packet[900000:])
	b.want("")
	packet = string(requestPacket(opSetQ, 1, "flagsexp", "h", strings.Repeat("v", 2*n)))
	for at := 0; at < len(packet); at += 100000 {
		b.send(packet[at:min(at+100000, len(packet))])
		if cap(b.in) > bufferSize {
			t.Fatalf("a buffer of %d", cap(b.in))
		}
	}
	b.want(string(protocol.AppendStatus(nil, &protocol.Request{Opcode: opSetQ, Opaque: 1}, protocol.StatusTooLarge, "")))
	b.wantNoBuffers()
}

// FuzzConnection: the replies to any bytes, in any protocol, do not depend on how
// they were split, nor on when the answers came.
func FuzzConnection(f *testing.F) {
	rng := rand.New(rand.NewPCG(5, 5))
	for range 20 {
		in, _ := stream(rng, 1+rng.IntN(10))
		f.Add(in, uint16(rng.Uint32N(100)))
	}
	f.Add([]byte("get hm ph hh\r\nset p 0 0 1\r\nx\r\nget ph\r\nquit\r\n"), uint16(3))
	f.Add(append(requestPacket(opQuit, 1, "", "", ""), 0x80), uint16(1))
	f.Fuzz(func(t *testing.T, in []byte, step uint16) {
		want := conversation(t, in, len(in), false)
		for _, late := range []bool{false, true} {
			if got := conversation(t, in, int(step), late); got != want {
				t.Fatalf("pieces of %d, late %v: got %q\nwant %q", step, late, got, want)
			}
		}
	})
}

// conversation is what a client reads that sends in in pieces and then nothing
// more. Pendings are answered after each piece, or all at the end.
func conversation(t *testing.T, in []byte, step int, late bool) string {
	b, s := newBinaryBench(t)
	rng := rand.New(rand.NewPCG(uint64(step), 0))
	answerAll := func() {
		for s.answer(rng) {
			b.settled()
		}
	}
	for step = max(step, 1); len(in) > 0; in = in[min(step, len(in)):] {
		if b.send(string(in[:min(step, len(in))])) == ended {
			break
		}
		if held := b.pool.total.Load(); held > 8<<20 {
			t.Fatalf("%d bytes are held", held)
		}
		if !late {
			answerAll()
		}
	}
	b.w.eof, b.peerDone, b.readable = true, true, true
	b.settled()
	answerAll()
	if b.settled() != ended {
		t.Fatal("the connection does not end")
	}
	b.release()
	b.wantNoBuffers()
	return string(b.w.out)
}

func TestBinaryDoesNotAllocate(t *testing.T) {
	b := newBench(t)
	in := append(requestPacket(opGetKQ, 1, "", "a", ""), requestPacket(opSetQ, 2, "flagsexp", "k", "abc")...)
	in = append(in, requestPacket(0x99, 3, "", "a", "body")...)
	in = append(in, requestPacket(opNoop, 4, "", "", "")...)
	got := testing.AllocsPerRun(100, func() {
		b.w.in = in
		b.w.out = b.w.out[:0]
		b.readable = true
		b.serve()
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}
