package binary_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol"
	. "github.com/hearthcache/hearth/protocol/binary"
)

// maxValue is that of all parsers under test.
const maxValue = 64

// packet is a request that can be made wrong: lengths, where not -1, stand in the
// header in place of the true ones.
type packet struct {
	op                 Opcode
	extras, key, value string
	cas                uint64
	keyLen, body       int
	extrasLen          int
	magic              byte
}

func req(op Opcode, extras, key, value string) packet {
	return packet{op: op, extras: extras, key: key, value: value, keyLen: -1, body: -1, extrasLen: -1, magic: 0x80}
}

func (p packet) withCAS(cas uint64) packet   { p.cas = cas; return p }
func (p packet) withBody(n int) packet       { p.body = n; return p }
func (p packet) withKeyLen(n int) packet     { p.keyLen = n; return p }
func (p packet) withExtrasLen(n int) packet  { p.extrasLen = n; return p }
func (p packet) withMagic(magic byte) packet { p.magic = magic; return p }
func (p packet) or(n, actual int) int {
	if n >= 0 {
		return n
	}
	return actual
}

// opaque is that of all packets under test.
const opaque = 0xdeadbeef

func (p packet) bytes() []byte {
	b := []byte{p.magic, byte(p.op)}
	b = binary.BigEndian.AppendUint16(b, uint16(p.or(p.keyLen, len(p.key))))
	b = append(b, byte(p.or(p.extrasLen, len(p.extras))), 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(p.or(p.body, len(p.extras)+len(p.key)+len(p.value))))
	b = binary.BigEndian.AppendUint32(b, opaque)
	b = binary.BigEndian.AppendUint64(b, p.cas)
	return append(b, p.extras+p.key+p.value...)
}

func join(packets ...packet) (b []byte) {
	for _, p := range packets {
		b = append(b, p.bytes()...)
	}
	return b
}

// reader is a connection's end of a Parser, which writes down what it yields.
type reader struct {
	testing.TB
	parser Parser
	in     []byte
	log    strings.Builder
	closed bool
	hungry bool // waits for parser.Need
}

func (d *reader) feed(data []byte) {
	d.in = append(d.in, data...)
	for !d.closed && !(d.hungry && len(d.in) < d.parser.Need) {
		// A copy that ends where the input does: reading on is a panic.
		in := append(make([]byte, 0, len(d.in)), d.in...)
		var r protocol.Request
		n, status := d.parser.Next(in, &r)
		d.hungry = status == protocol.Incomplete
		if n < 0 || n > len(in) {
			d.Fatalf("%d bytes of %d are done with", n, len(in))
		}
		switch status {
		case protocol.Incomplete:
			if d.in = d.in[n:]; d.parser.Need != 0 && d.parser.Need <= len(d.in) {
				d.Fatalf("needs %d bytes and has %d", d.parser.Need, len(d.in))
			}
			if d.parser.Need > protocol.BinaryHeader+255+protocol.MaxKey+max(maxValue, 4096) {
				d.Fatalf("needs %d bytes", d.parser.Need)
			}
			return
		case protocol.Close:
			fmt.Fprintln(&d.log, "close")
			d.closed = true
		case protocol.Invalid:
			fmt.Fprintf(&d.log, "! %v %v\n", Opcode(r.Opcode), d.parser.Refusal)
			d.check(&r)
		case protocol.Complete:
			fmt.Fprintln(&d.log, told(&r))
			d.check(&r)
		default:
			d.Fatalf("status %d", status)
		}
		d.in = d.in[n:]
	}
}

func (d *reader) check(r *protocol.Request) {
	if r.Proto != protocol.Binary || len(r.Key) > protocol.MaxKey || len(r.Value) > max(maxValue, 4096) {
		d.Fatalf("%+v", r)
	}
}

// told is a request in words.
func told(r *protocol.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v op%d %q", Opcode(r.Opcode), r.Op, r.Key)
	for _, f := range []struct {
		name string
		set  bool
		v    any
	}{
		{"args", r.Args != nil, string(r.Args)}, {"value", r.Value != nil, string(r.Value)},
		{"too large", r.TooLarge, ""}, {"flags", r.Flags != 0, r.Flags}, {"exp", r.HasExp, r.Exptime},
		{"cas", r.CAS != 0, r.CAS}, {"compare", r.Compare, ""}, {"delta", r.Delta != 0, r.Delta},
		{"initial", r.Vivify, r.Initial}, {"for", r.Vivify, r.VivifyExptime}, {"quiet", r.Quiet, ""},
		{"noreply", r.Noreply, ""}, {"opaque", r.Opaque != opaque, r.Opaque},
	} {
		if f.set {
			b.WriteString(strings.TrimRight(fmt.Sprintf(" %s %v", f.name, f.v), " "))
		}
	}
	return b.String()
}

// transcript parses data, cut in pieces by cut, which gives the length of each.
func transcript(t testing.TB, data []byte, cut func(left int) int) string {
	d := &reader{TB: t, parser: Parser{MaxValue: maxValue}}
	for len(data) > 0 {
		n := min(max(cut(len(data)), 1), len(data))
		d.feed(data[:n])
		data = data[n:]
	}
	return d.log.String()
}

func whole(left int) int { return left }

const (
	flags7exp9 = "\x00\x00\x00\x07\x00\x00\x00\x09"
	exp9       = "\x00\x00\x00\x09"
	by5from6   = "\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x06"
	forever    = "\x00\x00\x00\x00"
	never      = "\xff\xff\xff\xff"
)

var (
	k250 = strings.Repeat("k", 250)
	k251 = strings.Repeat("k", 251)
	v64  = strings.Repeat("v", 64)
	v65  = strings.Repeat("v", 65)
	noop = req(Noop, "", "", "")
	// alive is what a parser says of noop: it is still in step.
	alive = fmt.Sprintf("NOOP op%d \"\"\n", protocol.OpNoop)
)

// refused is what a parser says of a packet that ends the connection.
func refused(op Opcode, why string) string { return fmt.Sprintf("! %v %s\nclose\n", op, why) }

var einval = func(op Opcode) string { return refused(op, "EINVAL") }

type row struct {
	in   []byte
	want string
}

// good are the requests as they should be.
func good() (rows []row) {
	add := func(p packet, op protocol.Op, rest string) {
		quiet := ""
		if p.op.Quiet() {
			quiet = " quiet"
		}
		key := p.key
		if op == protocol.OpStats {
			key = ""
		}
		rows = append(rows, row{join(p, noop), fmt.Sprintf("%v op%d %q%s%s\n%s", p.op, op, key, rest, quiet, alive)})
	}
	for _, op := range []Opcode{Get, GetQ, GetK, GetKQ} {
		add(req(op, "", "a", ""), protocol.OpGet, "")
		add(req(op, "", k250, "").withCAS(5), protocol.OpGet, "")
		add(req(op, "", "a \r\n\x00\xff", ""), protocol.OpGet, "")
	}
	for _, op := range []Opcode{GAT, GATQ, GATK, GATKQ} {
		add(req(op, exp9, "a", ""), protocol.OpGat, " exp 9")
		add(req(op, never, "a", ""), protocol.OpGat, " exp 4294967295")
	}
	add(req(Touch, forever, "a", ""), protocol.OpTouch, " exp 0")
	for op, is := range map[Opcode]protocol.Op{
		Set: protocol.OpSet, Add: protocol.OpAdd, Replace: protocol.OpReplace,
		SetQ: protocol.OpSet, AddQ: protocol.OpAdd, ReplaceQ: protocol.OpReplace,
	} {
		add(req(op, flags7exp9, "a", "xyz"), is, " value xyz flags 7 exp 9")
		add(req(op, forever+forever, "a", ""), is, " value exp 0")
		add(req(op, flags7exp9, "a", v64), is, " value "+v64+" flags 7 exp 9")
		add(req(op, flags7exp9, "a", v65), is, " too large flags 7 exp 9")
		add(req(op, flags7exp9, "a", "xyz").withCAS(5), protocol.OpCAS, " value xyz flags 7 exp 9 cas 5")
		add(req(op, flags7exp9, "a", v65).withCAS(5), is, " too large flags 7 exp 9")
	}
	for op, is := range map[Opcode]protocol.Op{
		Append: protocol.OpAppend, Prepend: protocol.OpPrepend, AppendQ: protocol.OpAppend, PrependQ: protocol.OpPrepend,
	} {
		add(req(op, "", "a", "xyz"), is, " value xyz")
		add(req(op, "", "a", ""), is, " value")
		add(req(op, "", "a", v65), is, " too large")
		add(req(op, "", "a", "xyz").withCAS(5), is, " value xyz cas 5 compare")
	}
	for op, is := range map[Opcode]protocol.Op{
		Increment: protocol.OpIncr, Decrement: protocol.OpDecr, IncrementQ: protocol.OpIncr, DecrementQ: protocol.OpDecr,
	} {
		add(req(op, by5from6+exp9, "a", ""), is, " delta 5 initial 6 for 9")
		add(req(op, by5from6+forever, "a", "").withCAS(8), is, " cas 8 compare delta 5 initial 6 for 0")
		add(req(op, by5from6+never, "a", ""), is, " delta 5")
	}
	for _, op := range []Opcode{Delete, DeleteQ} {
		add(req(op, "", "a", ""), protocol.OpDelete, "")
		add(req(op, "", "a", "").withCAS(5), protocol.OpDelete, " cas 5 compare")
	}
	for _, op := range []Opcode{Flush, FlushQ} {
		add(req(op, "", "", ""), protocol.OpFlushAll, "")
		add(req(op, exp9, "", ""), protocol.OpFlushAll, " exp 9")
	}
	add(req(Quit, "", "", ""), protocol.OpQuit, "")
	add(req(QuitQ, "", "", ""), protocol.OpQuit, "")
	add(req(Noop, "", "", "").withCAS(1), protocol.OpNoop, "")
	add(req(Version, "", "", ""), protocol.OpVersion, "")
	add(req(Verbosity, exp9, "", ""), protocol.OpVerbosity, " delta 9")
	add(req(Stat, "", "", ""), protocol.OpStats, " args")
	add(req(Stat, "", "detail on", ""), protocol.OpStats, " args detail on")
	add(req(SASLListMech, "", "", ""), protocol.OpSASLList, "")
	add(req(SASLAuth, "", "PLAIN", "\x00u\x00p"), protocol.OpSASLAuth, " value \x00u\x00p")
	add(req(SASLAuth, "", "PLAIN", v65), protocol.OpSASLAuth, " value "+v65)
	add(req(SASLStep, "", "PLAIN", ""), protocol.OpSASLStep, " value")
	return rows
}

// bad are those that are refused.
func bad() (rows []row) {
	add := func(p packet, want string) { rows = append(rows, row{join(p, noop), want}) }
	// Keys and extras where there should be none, and none where some should be.
	for op := range 256 {
		op := Opcode(op)
		if op.Op() == 0 {
			add(req(op, "", "", ""), "! "+op.String()+" UNKNOWN_COMMAND\n"+alive)
			add(req(op, "123", "key", "value"), "! "+op.String()+" UNKNOWN_COMMAND\n"+alive)
			add(req(op, "123", "key", strings.Repeat("x", 100_000)), "! "+op.String()+" UNKNOWN_COMMAND\n"+alive)
			add(req(op, "", k251, ""), einval(op))
			continue
		}
		extras := strings.Repeat("\x00", []int{0, 4, 8, 20}[extrasOf(op)])
		add(req(op, extras+"x", "key", ""), einval(op))
		if extras != "" {
			add(req(op, extras[1:], "key", ""), einval(op))
		}
		add(req(op, extras, k251, ""), einval(op))
		add(req(op, extras, strings.Repeat("k", 65535), ""), einval(op))
		add(req(op, extras, "key", "").withBody(len(extras)+2), refused(op, "UNKNOWN_COMMAND"))
		add(req(op, extras, "key", "").withKeyLen(4), refused(op, "UNKNOWN_COMMAND"))
		add(req(op, extras, "key", "").withExtrasLen(len(extras)+1), refused(op, "UNKNOWN_COMMAND"))
		switch op {
		case Quit, QuitQ, Flush, FlushQ, Noop, Version, Verbosity, SASLListMech:
			add(req(op, extras, "k", ""), einval(op))
			add(req(op, extras, "", "v"), einval(op))
		case Stat:
			add(req(op, extras, "", "v"), einval(op))
		default:
			add(req(op, extras, "", ""), einval(op))
			add(req(op, extras, "", "v"), einval(op))
		}
		switch op {
		case Set, SetQ, Add, AddQ, Replace, ReplaceQ, Append, AppendQ, Prepend, PrependQ, SASLAuth, SASLStep:
		default:
			add(req(op, extras, "k", "v"), einval(op))
		}
	}
	for _, op := range []Opcode{SASLAuth, SASLStep} {
		add(req(op, "", strings.Repeat("M", 32), ""), fmt.Sprintf("%v op%d %q value\n%s", op, op.Op(), strings.Repeat("M", 32), alive))
		add(req(op, "", strings.Repeat("M", 33), "v"), "! "+op.String()+" EINVAL\n"+alive)
		add(req(op, "", "PLAIN", strings.Repeat("v", 4097)), "! "+op.String()+" ENOMEM\n"+alive)
	}
	add(noop.withMagic(0x81), "close\n")
	add(noop.withMagic('g'), "close\n")
	rows = append(rows,
		row{join(noop, noop.withMagic(0)), alive + "close\n"},
		row{[]byte("get a\r\n"), "close\n"},
		row{[]byte{0x80}, ""},
		row{req(Get, "", "abc", "").bytes()[:26], ""},
		row{req(Set, flags7exp9, "abc", "xyz").bytes()[:37], ""},
		row{req(Set, flags7exp9, "a", v65).bytes()[:90], fmt.Sprintf("SET op%d \"a\" too large flags 7 exp 9\n", protocol.OpSet)},
		row{join(req(Set, flags7exp9, "a", "x").withBody(1<<32-1), noop, noop), fmt.Sprintf("SET op%d \"a\" too large flags 7 exp 9\n", protocol.OpSet)},
		row{join(req(0x99, "", "", "x").withBody(1<<32-1), noop, noop), "! 0x99 UNKNOWN_COMMAND\n"},
	)
	return rows
}

// extrasOf is which of the lengths of extras there are belongs to op.
func extrasOf(op Opcode) int {
	switch op {
	case GAT, GATQ, GATK, GATKQ, Touch, Flush, FlushQ, Verbosity:
		return 1
	case Set, SetQ, Add, AddQ, Replace, ReplaceQ:
		return 2
	case Increment, IncrementQ, Decrement, DecrementQ:
		return 3
	}
	return 0
}

func TestRequests(t *testing.T) {
	for _, r := range append(good(), bad()...) {
		if got := transcript(t, r.in, whole); got != r.want {
			t.Errorf("%.80q\n got %.300s\nwant %.300s", r.in, got, r.want)
		}
	}
}

// TestEverySplit: where the bytes are cut must not matter.
func TestEverySplit(t *testing.T) {
	for _, r := range append(good(), bad()...) {
		if len(r.in) > 400 {
			continue
		}
		if got := transcript(t, r.in, func(int) int { return 1 }); got != r.want {
			t.Errorf("byte by byte %.80q\n got %.300s\nwant %.300s", r.in, got, r.want)
		}
		for at := 1; at < len(r.in); at++ {
			got := transcript(t, r.in, func(left int) int { return left - (len(r.in) - at) })
			if got != r.want {
				t.Errorf("cut at %d %.80q\n got %.300s\nwant %.300s", at, r.in, got, r.want)
			}
		}
	}
}

// TestRandomStreams runs pipelines of good, bad and mangled requests.
func TestRandomStreams(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	rows := append(append(good(), good()...), bad()...)
	for range 2000 {
		var in []byte
		for range 20 {
			if r := rows[rng.IntN(len(rows))]; len(r.in) < 600 {
				in = append(in, r.in...)
			}
		}
		for range rng.IntN(3) {
			in[rng.IntN(len(in))] = byte(rng.IntN(256))
		}
		want := transcript(t, in, whole)
		if got := transcript(t, in, func(int) int { return 1 + rng.IntN(60) }); got != want {
			t.Fatalf("got %s\nwant %s\nin %q", got, want, in)
		}
	}
}

// TestPassedOverNotHeld: what is passed over is never asked for as a whole.
func TestPassedOverNotHeld(t *testing.T) {
	for _, p := range []packet{
		req(Set, flags7exp9, "a", strings.Repeat("v", 1<<20)), req(0x50, "", "", strings.Repeat("v", 1<<20)),
		req(SASLAuth, "", "PLAIN", strings.Repeat("v", 1<<20)), req(Get, "", k251, strings.Repeat("v", 1<<20)),
	} {
		d := &reader{TB: t, parser: Parser{MaxValue: maxValue}}
		for in := p.bytes(); len(in) > 0; in = in[min(1000, len(in)):] {
			if d.feed(in[:min(1000, len(in))]); len(d.in) > 1000 && !d.closed {
				t.Fatalf("%v: %d bytes are held", p.op, len(d.in))
			}
		}
	}
}

func FuzzRequest(f *testing.F) {
	for _, r := range append(good(), bad()...) {
		if len(r.in) < 1000 {
			f.Add(r.in, uint16(3))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint16) {
		want := transcript(t, in, whole)
		if got := transcript(t, in, func(int) int { return int(step) }); got != want {
			t.Fatalf("pieces of %d: got %s\nwant %s", step, got, want)
		}
	})
}

func TestNoAllocations(t *testing.T) {
	in := join(req(GetKQ, "", "abc", ""), req(SetQ, flags7exp9, "abc", "xyz"), req(Increment, by5from6+exp9, "n", ""),
		req(0x99, "", "abc", ""), req(Set, flags7exp9, "a", v65), req(Stat, "", "items", ""), noop)
	p := Parser{MaxValue: maxValue}
	var r protocol.Request
	got := testing.AllocsPerRun(100, func() {
		for rest := in; len(rest) > 0; {
			n, status := p.Next(rest, &r)
			if status == protocol.Incomplete || status == protocol.Close {
				t.Fatal(status)
			}
			rest = rest[n:]
		}
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkGetKQ(b *testing.B) {
	in := req(GetKQ, "", "key_0001234", "").bytes()
	p := Parser{MaxValue: maxValue}
	value, dst := bytes.Repeat([]byte("v"), 100), make([]byte, 0, 1000)
	var r protocol.Request
	it := &protocol.Item{Flags: 5, CAS: 9}
	b.Run("parse", func(b *testing.B) {
		b.SetBytes(int64(len(in)))
		b.ReportAllocs()
		for b.Loop() {
			p.Next(in, &r)
		}
	})
	b.Run("parse+encode", func(b *testing.B) {
		p.Next(in, &r)
		b.SetBytes(int64(len(in) + len(protocol.AppendValue(dst, &r, value, it))))
		b.ReportAllocs()
		for b.Loop() {
			p.Next(in, &r)
			protocol.AppendValue(dst, &r, value, it)
		}
	})
}

func BenchmarkSet(b *testing.B) {
	in := req(Set, flags7exp9, "key_0001234", strings.Repeat("v", 100)).bytes()
	p := Parser{MaxValue: 1 << 20}
	var r protocol.Request
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		p.Next(in, &r)
	}
}
