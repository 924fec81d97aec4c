package server

import (
	"strings"
	"testing"

	"github.com/hearthcache/hearth/protocol"
)

// dump is a Stream of pieces "0" to "9" over and over: it gives as many as there
// are, then waits, or comes to its end.
type dump struct {
	pieces int // still to be given
	size   int // of one
	last   bool
	given  int
	ended  bool
	gone   bool
}

func (d *dump) Step(dst []byte) ([]byte, bool) {
	if d.gone {
		return dst, true
	}
	if d.pieces > 0 {
		d.pieces--
		dst = append(dst, strings.Repeat(string(rune('0'+d.given%10)), d.size)...)
		d.given++
	} else if d.ended || d.last {
		return append(dst, protocol.End...), true
	}
	return dst, false
}

func (d *dump) Ended(gone bool) { d.ended, d.gone = true, d.gone || gone }

// streams is a script that answers stats with a dump.
type streams struct {
	*script
	d *dump
}

func (s *streams) Do(c *Conn, r *protocol.Request, dst []byte) ([]byte, Pending) {
	if r.Op == protocol.OpStats || r.Op == protocol.OpSet && r.Key[0] == 'd' {
		return dst, s.d
	}
	return s.script.Do(c, r, dst)
}

// followed is a Pending that waits until it is ready and has a stream give its answer.
type followed struct {
	c     *Conn
	d     *dump
	ready bool
	steps int
}

func (f *followed) Step(dst []byte) ([]byte, bool) {
	if f.steps++; f.ready {
		f.c.Follow(f.d)
	}
	return dst, false
}

// follows is a script that answers a get of a key with f with a followed.
type follows struct {
	*script
	f *followed
}

func (s *follows) Get(c *Conn, r *protocol.Request, dst []byte) ([]byte, Pending) {
	if r.Key[0] == 'f' {
		s.f.c = c
		return dst, s.f
	}
	return s.script.Get(c, r, dst)
}

func newStreamBench(t *testing.T, d *dump) *bench {
	b := newBench(t)
	b.handler = &streams{b.s, d}
	return b
}

func TestStreamGoesOutInPieces(t *testing.T) {
	d := &dump{pieces: 3, size: 2}
	b := newStreamBench(t, d)
	if v := b.send("get a\r\nstats\r\nget b\r\n"); v != waiting {
		t.Fatalf("verdict %d", v)
	}
	b.want(value("a") + "END\r\n" + "001122")
	d.pieces, d.last = 1, true
	b.settled()
	b.want(value("a") + "END\r\n" + "00112233END\r\n" + value("b") + "END\r\n")
	b.wantNoBuffers()
}

// TestStreamYields: a stream that always has more lets others have their turn.
func TestStreamYields(t *testing.T) {
	d := &dump{pieces: 1000, size: 1, last: true}
	b := newStreamBench(t, d)
	b.w.in, b.readable = []byte("stats\r\n"), true
	if v := b.serve(); v != yielded || d.given != 1 {
		t.Fatalf("verdict %d after %d pieces", v, d.given)
	}
	if b.settled(); d.given != 1000 {
		t.Errorf("%d pieces were given", d.given)
	}
}

// TestStreamWaitsForItsReader: one that does not read has a piece or two in memory,
// and the stream goes on when it reads.
func TestStreamWaitsForItsReader(t *testing.T) {
	const size, pieces = 10_000, 1000
	d := &dump{pieces: pieces, size: size, last: true}
	b := newStreamBench(t, d)
	b.w.space = 0
	for range 100 {
		b.send("stats\r\n")
	}
	if d.given > 2 || cap(b.out) > 4*size {
		t.Fatalf("%d pieces were given, %d bytes are held", d.given, cap(b.out))
	}
	for want := size*pieces + len(protocol.End); len(b.w.out) < want; {
		b.w.space, b.blocked = 70_000, false
		before := len(b.w.out)
		if b.settled(); len(b.w.out) == before || cap(b.out) > 4*size {
			t.Fatalf("%d bytes came of %d, %d are held", len(b.w.out), want, cap(b.out))
		}
	}
}

func TestStreamIsToldOfTheEnd(t *testing.T) {
	for name, end := range map[string]func(*bench){
		"half closed":   func(b *bench) { b.peerDone, b.w.eof = true, true },
		"shutting down": func(b *bench) { b.draining = true },
		"half closed and not reading": func(b *bench) {
			b.peerDone, b.w.eof, b.w.space = true, true, 0
		},
	} {
		d := &dump{pieces: 1, size: 1}
		b := newStreamBench(t, d)
		b.send("stats\r\n")
		end(b)
		d.pieces = 1
		b.readable = true
		b.settled()
		if !d.ended || d.gone {
			t.Errorf("%s: ended %v, gone %v", name, d.ended, d.gone)
		}
		b.w.space, b.blocked = -1, false
		if v := b.settled(); v != ended {
			t.Errorf("%s: verdict %d", name, v)
		}
		b.want("01END\r\n")
	}
}

func TestStreamOfGoneClient(t *testing.T) {
	d := &dump{pieces: 1 << 30, size: 1000}
	b := newStreamBench(t, d)
	b.w.space = 0
	b.send("stats\r\n")
	if b.lose(); !b.discard() || !d.gone {
		t.Fatal("the stream goes on")
	}
	b.release()
	b.wantNoBuffers()
}

func TestStreamOfNoreply(t *testing.T) {
	d := &dump{pieces: 100, size: 1000, last: true}
	b := newStreamBench(t, d)
	b.send("set d 0 0 1 noreply\r\nx\r\nget a\r\n")
	b.settled()
	b.want(value("a") + "END\r\n")
	if d.given != 100 {
		t.Errorf("%d pieces were given", d.given)
	}
}

// TestStreamFollows: what was looked up like any other may turn out to be a stream:
// its answer keeps its place, and what comes after it waits until it has ended.
func TestStreamFollows(t *testing.T) {
	f := &followed{d: &dump{pieces: 3, size: 2}}
	b := newBench(t)
	b.handler = &follows{b.s, f}
	if v := b.send("get a f b\r\nmg c v\r\n"); v != waiting {
		t.Fatalf("verdict %d", v)
	}
	if b.ring.n != 1 || len(b.tail) == 0 {
		t.Errorf("%d are under way, %d bytes behind them", b.ring.n, len(b.tail))
	}
	b.want(value("a"))
	f.ready, f.steps = true, 0
	b.settled()
	b.want(value("a") + "001122")
	behind := len(b.tail)
	if b.send("get d\r\n"); len(b.tail) != behind {
		t.Error("another key is looked up beside a stream")
	}
	f.d.pieces, f.d.last = 1, true
	b.settled()
	b.want(value("a") + "00112233END\r\n" + value("b") + "END\r\n" + "VA 1\r\nc\r\n" + value("d") + "END\r\n")
	if f.steps != 1 {
		t.Errorf("stepped %d times, once is enough", f.steps)
	}
	b.wantNoBuffers()
}

// TestStreamFollowsForNobody: it is told that nobody reads, also where its client
// left before it began.
func TestStreamFollowsForNobody(t *testing.T) {
	for _, early := range []bool{true, false} {
		f := &followed{d: &dump{pieces: 1 << 30, size: 1000}}
		b := newBench(t)
		b.handler = &follows{b.s, f}
		b.w.space = 0
		f.ready = !early
		b.send("get f\r\n")
		f.ready = true
		if b.lose(); !b.discard() || !f.d.gone || early && f.d.given > 0 {
			t.Fatalf("the stream goes on, after %d pieces", f.d.given)
		}
		b.release()
		b.wantNoBuffers()
	}
}
