package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/text"
)

// wire is a scripted transport: what the client has sent, what it has taken.
type wire struct {
	in    []byte
	eof   bool
	out   []byte
	space int // bytes the client will still take; -1 any number
	reads int
}

func (w *wire) read(b []byte) (int, error) {
	w.reads++
	n := copy(b, w.in)
	w.in = w.in[n:]
	switch {
	case n > 0:
		return n, nil
	case w.eof:
		return 0, io.EOF
	}
	return 0, errAgain
}

func (w *wire) write(b []byte) (int, error) {
	n := len(b)
	if w.space >= 0 {
		n = min(n, w.space)
		w.space -= n
	}
	if n == 0 {
		return 0, errAgain
	}
	w.out = append(w.out, b[:n]...)
	return n, nil
}

// script is a Handler whose keys say what happens: "p..." is answered when the
// test says so, "m..." is a miss, any other is a hit with its own name. Of the
// commands, those on keys "p..." wait too.
type script struct {
	pending []*answer
	reply   string // of the pending ones; the key's own VALUE if empty
	value   func(key []byte) []byte
	noted   int
}

type answer struct {
	key     []byte // in the connection's buffer, as a Handler may keep it
	name    string
	command bool
	ready   bool
	steps   int
	done    bool
	value   []byte
}

func (a *answer) Step(dst []byte) ([]byte, bool) {
	a.steps++
	if a.done {
		panic("stepped after it was done")
	}
	if !a.ready {
		return append(dst, "half an answer"...), false
	}
	if string(a.key) != a.name {
		panic(fmt.Sprintf("the key has become %q, was %q", a.key, a.name))
	}
	a.done = true
	if a.command {
		return append(dst, protocol.Stored.Line()...), true
	}
	return protocol.AppendValue(dst, &protocol.Request{Key: a.key}, a.value, &protocol.Item{}), true
}

func (s *script) valueOf(key []byte) []byte {
	if s.value != nil {
		return s.value(key)
	}
	return key
}

func (s *script) Get(_ *Conn, r *protocol.Request, dst []byte) ([]byte, Pending) {
	switch r.Key[0] {
	case 'm':
		return dst, nil
	case 'p':
		a := &answer{key: r.Key, name: string(r.Key), value: s.valueOf(r.Key)}
		s.pending = append(s.pending, a)
		return dst, a
	}
	return protocol.AppendValue(dst, r, s.valueOf(r.Key), &protocol.Item{}), nil
}

func (s *script) Do(_ *Conn, r *protocol.Request, dst []byte) ([]byte, Pending) {
	switch {
	case r.TooLarge:
		return append(dst, protocol.TooLarge.Line()...), nil
	case r.Op == protocol.OpSet && r.Key[0] == 'p':
		a := &answer{key: r.Key, name: string(r.Key), command: true}
		s.pending = append(s.pending, a)
		return append(dst, "to be dropped"...), a
	case r.Op == protocol.OpSet:
		return append(dst, protocol.Stored.Line()...), nil
	}
	return protocol.AppendVersion(dst, r, "test"), nil
}

func (s *script) notified(*Conn) { s.noted++ }

// value is what a hit of key looks like.
func value(key string) string {
	return fmt.Sprintf("VALUE %s 0 %d\r\n%s\r\n", key, len(key), key)
}

type bench struct {
	*testing.T
	*Conn
	w *wire
	s *script
}

func newBench(t *testing.T) *bench {
	s := &script{}
	w := &wire{space: -1}
	c := &Conn{host: s, wire: w, pool: new(pool), count: new(counters), handler: s,
		limits: &limits{requests: 20, highWater: highWater, parser: text.Parser{MaxValue: 1 << 20}}}
	c.reset()
	return &bench{t, c, w, s}
}

// send has the client send b, and serves until nothing more can be done.
func (b *bench) send(in string) verdict {
	b.w.in = append(b.w.in, in...)
	b.readable = true
	return b.settled()
}

func (b *bench) settled() verdict {
	for {
		if v := b.serve(); v != yielded {
			return v
		}
	}
}

func (b *bench) want(out string) {
	b.Helper()
	if got := string(b.w.out); got != out {
		b.Fatalf("got  %.300q\nwant %.300q", got, out)
	}
}

// wantNoBuffers checks that a waiting connection holds no memory and that the
// pool knows of every byte.
func (b *bench) wantNoBuffers() {
	b.Helper()
	if b.in != nil || b.out != nil || b.tail != nil || b.lent != 0 {
		b.Errorf("buffers are held: in %d out %d tail %d lent %d", cap(b.in), cap(b.out), cap(b.tail), b.lent)
	}
	free := b.pool.kept
	for _, s := range b.pool.small {
		free += cap(s)
	}
	if total := b.pool.total.Load(); total != int64(free) {
		b.Errorf("%d bytes are counted, %d are free", total, free)
	}
}

func TestEverySplitOfAStream(t *testing.T) {
	in := "get a m b\r\nset k 0 0 3\r\nabc\r\nbad\r\nset k 0 0 1 noreply\r\nx\r\nget c\r\nset k 0 0 9\r\nnot right\nversion\r\nquit\r\nget z\r\n"
	want := value("a") + value("b") + "END\r\nSTORED\r\nERROR\r\n" + value("c") + "END\r\n" + protocol.BadChunk
	for at := range len(in) {
		b := newBench(t)
		b.send(in[:at])
		if v := b.send(in[at:]); v != ended {
			t.Fatalf("cut at %d: verdict %d after quit", at, v)
		}
		// The bad chunk takes the '\n' and the 'v' of version.
		b.want(want + "ERROR\r\n")
		b.release()
		b.wantNoBuffers()
	}
}

func TestPendingKeepsOrder(t *testing.T) {
	b := newBench(t)
	b.send("get a p1 b p2\r\nget c\r\nbad\r\nget p3\r\nversion\r\nget d\r\n")
	b.want(value("a"))
	b.s.pending[1].ready = true
	b.settled()
	b.want(value("a"))
	b.s.pending[0].ready = true
	b.settled()
	b.want(value("a") + value("p1") + value("b") + value("p2") + "END\r\n" + value("c") + "END\r\nERROR\r\n")
	b.s.pending[2].ready = true
	b.settled()
	b.want(value("a") + value("p1") + value("b") + value("p2") + "END\r\n" + value("c") + "END\r\nERROR\r\n" +
		value("p3") + "END\r\nVERSION test\r\n" + value("d") + "END\r\n")
	b.wantNoBuffers()
}

// TestPendingCommand: nothing runs beside it, and its request stays as it is.
func TestPendingCommand(t *testing.T) {
	for _, noreply := range []string{"", " noreply"} {
		b := newBench(t)
		b.send("get p0\r\nset p1 0 0 3" + noreply + "\r\nabc\r\nget p2 x\r\n")
		if len(b.s.pending) != 1 {
			t.Fatal("the set did not wait for the get")
		}
		b.s.pending[0].ready = true
		b.settled()
		if len(b.s.pending) != 2 {
			t.Fatal("the set did not run, or the get did not wait for it")
		}
		b.send("get y\r\n")
		b.want(value("p0") + "END\r\n")
		b.s.pending[1].ready = true
		b.settled()
		b.s.pending[2].ready = true
		b.settled()
		stored := "STORED\r\n"
		if noreply != "" {
			stored = ""
		}
		b.want(value("p0") + "END\r\n" + stored + value("p2") + value("x") + "END\r\n" + value("y") + "END\r\n")
		b.wantNoBuffers()
	}
}

// TestRandomCompletion runs long pipelines whose answers come in any order,
// fed in pieces to a client that reads in pieces.
func TestRandomCompletion(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	b := newBench(t)
	b.s.value = func(key []byte) []byte { return bytes.Repeat(key, 1+int(key[len(key)-1]-'0')*60) }
	var in, want []byte
	for i := range 10000 {
		key := fmt.Sprintf("%c%d", "pmkp"[rng.IntN(4)], i)
		switch rng.IntN(12) {
		case 0:
			in = append(in, "bad\r\n"...)
			want = append(want, protocol.Error...)
		case 1:
			in = fmt.Appendf(in, "set %s 0 0 5\r\nvalue\r\n", key)
			want = append(want, protocol.Stored.Line()...)
		case 2:
			in = fmt.Appendf(in, "get %s %s\r\n", key, key)
		default:
			in = fmt.Appendf(in, "get %s\r\n", key)
		}
		if in[len(in)-len("\r\n")-1] == key[len(key)-1] {
			for range bytes.Count(in[bytes.LastIndexByte(in[:len(in)-2], '\n')+1:], []byte(key)) {
				if key[0] != 'm' {
					want = protocol.AppendValue(want, &protocol.Request{Key: []byte(key)}, b.s.valueOf([]byte(key)), &protocol.Item{})
				}
			}
			want = append(want, protocol.End...)
		}
	}
	checked := 0
	for b.w.space = 0; len(in) > 0 || len(b.w.out) < len(want); {
		n := min(rng.IntN(3000), len(in))
		b.w.in = append(b.w.in, in[:n]...)
		in = in[n:]
		b.w.space += rng.IntN(20000)
		b.readable, b.blocked = true, false
		if open := b.s.open(); len(open) > 0 {
			open[rng.IntN(len(open))].ready = true
		}
		if b.serve() == ended {
			t.Fatal("the connection ended")
		}
		if held := len(b.s.open()); held > ringSize {
			t.Fatalf("%d are pending", held)
		}
		if to := len(b.w.out); !bytes.Equal(want[checked:to], b.w.out[checked:]) {
			t.Fatalf("wrong between %d and %d: %.100q", checked, to, b.w.out[checked:])
		}
		checked = len(b.w.out)
	}
	b.w.space = -1
	b.blocked = false
	b.settled()
	b.wantNoBuffers()
}

// open returns the answers not yet called for.
func (s *script) open() []*answer {
	live := s.pending[:0]
	for _, a := range s.pending {
		if !a.done {
			live = append(live, a)
		}
	}
	s.pending = live
	return live
}

// TestSlowReader: a client that does not read is not served any more, and what
// it makes us hold has a bound.
func TestSlowReader(t *testing.T) {
	b := newBench(t)
	b.s.value = func([]byte) []byte { return make([]byte, 1000) }
	b.w.space = 0
	for range 100 {
		b.send(strings.Repeat("get a b c\r\n", 100))
	}
	if held := b.pool.total.Load(); held > 2*highWater+2*bufferSize {
		t.Errorf("%d bytes are held", held)
	}
	if got := len(b.w.in); got < 90*1100 {
		t.Errorf("all but %d bytes have been read", got)
	}
	one := len(protocol.AppendValue(nil, &protocol.Request{Key: []byte("a")}, make([]byte, 1000), &protocol.Item{}))
	want := 100 * 100 * (3*one + len(protocol.End))
	for rounds := 0; len(b.w.out) < want; rounds++ {
		b.w.space = 100000
		b.readable, b.blocked = true, false
		if b.serve(); rounds > 10000 {
			t.Fatalf("%d bytes came, %d should have", len(b.w.out), want)
		}
	}
	b.w.space = 100000
	if b.settled(); len(b.w.out) != want {
		t.Errorf("%d bytes came, %d should have", len(b.w.out), want)
	}
}

// TestSlowReaderOf: the same for other requests with much to say.
func TestSlowReaderOf(t *testing.T) {
	for _, in := range []string{
		"get" + strings.Repeat(" a", 5000) + "\r\n",
		strings.Repeat("bad\r\n", 200000),
		strings.Repeat("version\r\n", 200000),
		"get p1\r\n" + strings.Repeat("get a a a a a a a\r\n", 5000),
		"get p1\r\n" + strings.Repeat("bad\r\n", 200000),
	} {
		b := newBench(t)
		b.s.value = func([]byte) []byte { return make([]byte, 1000) }
		b.w.space = 0
		b.send(in)
		if held := b.pool.total.Load(); held > 3*highWater {
			t.Errorf("%d bytes are held of %.20q", held, in)
		}
		if len(b.out)+len(b.tail) < highWater && len(b.w.in) == 0 {
			t.Errorf("too little was asked for: %.20q", in)
		}
		b.w.space, b.blocked = -1, false
		for _, a := range b.s.pending {
			a.ready = true
		}
		for b.readable = true; len(b.w.in) > 0; b.readable = true {
			b.settled()
		}
		if b.settled(); b.out != nil || !b.hungry {
			t.Errorf("it has not come to its end: %.20q", in)
		}
	}
}

func TestHalfClosedClientGetsItsAnswers(t *testing.T) {
	b := newBench(t)
	b.w.eof = true
	b.peerDone = true
	if v := b.send("get a p1\r\nget b\r\nget half"); v != waiting {
		t.Fatalf("verdict %d", v)
	}
	b.s.pending[0].ready = true
	if v := b.settled(); v != ended {
		t.Fatalf("verdict %d", v)
	}
	b.want(value("a") + value("p1") + "END\r\n" + value("b") + "END\r\n")
}

// TestGoneClient: what is pending is stepped to its end all the same.
func TestGoneClient(t *testing.T) {
	b := newBench(t)
	b.send("get p1 a p2\r\n")
	if b.discard() {
		t.Fatal("discarded with answers pending")
	}
	b.s.pending[1].ready = true
	if b.discard() {
		t.Fatal("discarded with an answer pending")
	}
	b.s.pending[0].ready = true
	if !b.discard() || !b.s.pending[0].done || !b.s.pending[1].done {
		t.Fatal("answers were left behind")
	}
	b.release()
	b.wantNoBuffers()
}

func TestFloodEndsTheConnection(t *testing.T) {
	b := newBench(t)
	if v := b.send("get a\r\n" + strings.Repeat("x", 1<<20)); v != ended {
		t.Fatalf("verdict %d", v)
	}
	b.want(value("a") + "END\r\n")
	if b.w.reads > 3 {
		t.Errorf("%d reads", b.w.reads)
	}
}

// TestLargeValueTakesWhatItNeeds: and no more than twice what has come of it.
func TestLargeValueTakesWhatItNeeds(t *testing.T) {
	b := newBench(t)
	line := "set a 0 0 1000000\r\n"
	b.send(line + strings.Repeat("v", 300000))
	if cap(b.in) > 600100 {
		t.Errorf("a buffer of %d for 300000", cap(b.in))
	}
	b.send(strings.Repeat("v", 600000))
	if want := len(line) + 1000000 + 2; cap(b.in) != want {
		t.Errorf("a buffer of %d, %d are needed", cap(b.in), want)
	}
	b.send(strings.Repeat("v", 100000) + "\r\nget a\r\n")
	b.want("STORED\r\n" + value("a") + "END\r\n")
	b.wantNoBuffers()
}

func TestTooLargeValueIsPassedOver(t *testing.T) {
	b := newBench(t)
	b.send("set a 0 0 1500000\r\n")
	for range 15 {
		b.send(strings.Repeat("v", 100000))
		if held := b.pool.total.Load(); held > 2*bufferSize {
			t.Fatalf("%d bytes are held", held)
		}
	}
	b.send("\r\nget a\r\n")
	b.want(protocol.TooLarge.Line() + value("a") + "END\r\n")
	b.wantNoBuffers()
}

func TestLongMultigetHasBoundedMemory(t *testing.T) {
	b := newBench(t)
	b.send("get ")
	for range 300 {
		b.send(strings.Repeat("mkey0123456789 ", 1000))
		if held := b.pool.total.Load(); held > 3*text.MaxLine {
			t.Fatalf("%d bytes are held", held)
		}
	}
	b.send("a\r\n")
	b.want(value("a") + "END\r\n")
}

// TestYield: a connection that has had its share lets others go first.
func TestYield(t *testing.T) {
	b := newBench(t)
	b.w.in = []byte(strings.Repeat("get a\r\n", 45))
	for i, want := range []verdict{yielded, yielded, waiting} {
		if v := b.serve(); v != want {
			t.Errorf("round %d: verdict %d, want %d", i, v, want)
		}
	}
	b.want(strings.Repeat(value("a")+"END\r\n", 45))
}

func TestDrainEndsWithWhatWasReceived(t *testing.T) {
	b := newBench(t)
	b.send("get p1 a\r\n")
	b.w.in = []byte("get b\r\nget half")
	b.draining, b.readable = true, true
	if v := b.settled(); v != waiting {
		t.Fatalf("verdict %d", v)
	}
	b.s.pending[0].ready = true
	if v := b.settled(); v != ended {
		t.Fatalf("verdict %d", v)
	}
	b.want(value("p1") + value("a") + "END\r\n" + value("b") + "END\r\n")
}

// TestOneReadOneWrite: at depth 1 a request costs two system calls.
func TestOneReadOneWrite(t *testing.T) {
	b := newBench(t)
	b.send("get a\r\n")
	reads := b.w.reads
	if b.send("get a\r\n"); b.w.reads != reads+1 {
		t.Errorf("%d reads", b.w.reads-reads)
	}
}

func TestNoAllocations(t *testing.T) {
	b := newBench(t)
	in := []byte("get a b m\r\nset k 0 0 3\r\nabc\r\n")
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

func TestFailedWriteEnds(t *testing.T) {
	b := newBench(t)
	b.wire = broken{b.w}
	if v := b.send("get a\r\n"); v != ended {
		t.Fatalf("verdict %d", v)
	}
}

type broken struct{ *wire }

func (broken) write([]byte) (int, error) { return 0, errors.New("gone") }
