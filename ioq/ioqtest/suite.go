package ioqtest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/hearthcache/hearth/ioq"
)

// Run checks that the queues open makes do what the contract of ioq says. Each
// subtest opens a queue of its own, and closes it.
func Run(t *testing.T, open func(t *testing.T) ioq.Queue) {
	for _, c := range []struct {
		name string
		test func(*fixture)
	}{
		{"transfer", testTransfer},
		{"end of file", testEndOfFile},
		{"open", testOpen},
		{"remove", testRemove},
		{"sync", testSync},
		{"many at once", testManyAtOnce},
		{"one batch", testOneBatch},
		{"notify", testNotify},
		{"close waits", testCloseWaits},
		{"closed", testClosed},
		{"misuse", testMisuse},
		{"stats", testStats},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fixture{T: t, queue: open(t), dir: t.TempDir()}
			f.seed = uint64(time.Now().UnixNano())
			f.rng = rand.New(rand.NewPCG(f.seed, 3))
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("ioqtest: suite seed %d", f.seed)
				}
			})
			c.test(f)
			f.check(f.queue.Close())
		})
	}
}

// fixture is a queue under test and what a subtest needs around it.
type fixture struct {
	*testing.T
	queue ioq.Queue
	dir   string
	seed  uint64
	rng   *rand.Rand
}

func (f *fixture) check(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// file opens a file that is closed before the queue's directory goes.
func (f *fixture) file(name string, size int64) ioq.File {
	f.Helper()
	file, err := f.queue.Open(filepath.Join(f.dir, name), size)
	f.check(err)
	return file
}

// do runs one operation and returns its error.
func (f *fixture) do(kind ioq.Kind, file ioq.File, off int64, buf []byte) error {
	op := ioq.Op{File: file, Kind: kind, Off: off, Buf: buf}
	op.SubmitTo(f.queue)
	op.Wait()
	if !op.Done() {
		f.Error("Wait returned before Done")
	}
	return op.Err
}

// random returns a buffer of seeded bytes.
func (f *fixture) random(n int) []byte {
	b := AlignedBuffer(n)
	fill(f.rng, b)
	return b
}

func fill(rng *rand.Rand, p []byte) {
	for ; len(p) >= 8; p = p[8:] {
		binary.LittleEndian.PutUint64(p, rng.Uint64())
	}
	for i := range p {
		p[i] = byte(rng.Uint32())
	}
}

func testTransfer(f *fixture) {
	file := f.file("a", 1<<20)
	sizes := []int{0, 1, 511, 4096, 4097, 12288, 128<<10 + 1, 1 << 20, 3<<20 + 4096}
	for _, n := range sizes {
		off := int64(f.rng.IntN(5000))
		if f.queue.Direct() {
			n, off = n&^(ioq.Align-1), off&^(ioq.Align-1)
		}
		want, got := f.random(n), AlignedBuffer(n)
		f.check(f.do(ioq.Write, file, off, want))
		f.check(f.do(ioq.Read, file, off, got))
		if !bytes.Equal(got, want) {
			f.Errorf("%d bytes at %d came back changed", n, off)
		}
	}
	f.check(file.Close())
}

func testEndOfFile(f *fixture) {
	file := f.file("a", 8192)
	want := f.random(8192)
	f.check(f.do(ioq.Write, file, 0, want))
	got := AlignedBuffer(8192)
	if err := f.do(ioq.Read, file, 4096, got); err != ioq.ErrShort {
		f.Errorf("read across the end: %v, not ErrShort", err)
	} else if !bytes.Equal(got[:4096], want[4096:]) {
		f.Error("what was there before the end is wrong")
	}
	if err := f.do(ioq.Read, file, 1<<20, got); err != ioq.ErrShort {
		f.Errorf("read beyond the end: %v, not ErrShort", err)
	}
	f.check(file.Truncate(5000))
	if err := f.do(ioq.Read, file, 0, got); err != ioq.ErrShort {
		f.Errorf("read across an unaligned end: %v, not ErrShort", err)
	} else if !bytes.Equal(got[:5000], want[:5000]) {
		f.Error("what was there before the unaligned end is wrong")
	}
	f.check(f.do(ioq.Write, file, 8192, want)) // a write makes the file longer
	f.check(f.do(ioq.Read, file, 8192, got))
	if !bytes.Equal(got, want) {
		f.Error("what was written behind the end came back changed")
	}
	f.check(file.Close())
}

func testOpen(f *fixture) {
	file := f.file("a", 64<<10)
	if want := filepath.Join(f.dir, "a"); file.Path() != want {
		f.Errorf("Path is %q, not %q", file.Path(), want)
	}
	got, want := f.random(64<<10), make([]byte, 64<<10)
	f.check(f.do(ioq.Read, file, 0, got))
	if !bytes.Equal(got, want) {
		f.Error("a new file is not zeroes")
	}
	block := f.random(4096)
	f.check(f.do(ioq.Write, file, 60<<10, block))
	f.check(file.Close())
	file = f.file("a", 4096) // smaller: the file stays as it is
	f.check(f.do(ioq.Read, file, 60<<10, got[:4096]))
	if !bytes.Equal(got[:4096], block) {
		f.Error("a file opened again has lost its bytes")
	}
	f.check(file.Truncate(0))
	f.check(file.Close())
	file = f.file("a", 64<<10)
	f.check(f.do(ioq.Read, file, 0, got))
	if !bytes.Equal(got, want) {
		f.Error("a file cut to nothing and grown again is not zeroes")
	}
	f.check(file.Close())
}

func testRemove(f *fixture) {
	if err := f.queue.Remove(filepath.Join(f.dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		f.Errorf("Remove of an absent file: %v", err)
	}
	old := f.file("a", 4096)
	block := f.random(4096)
	f.check(f.do(ioq.Write, old, 0, block))
	f.check(f.queue.Remove(old.Path()))
	fresh := f.file("a", 4096)
	got := AlignedBuffer(4096)
	f.check(f.do(ioq.Read, fresh, 0, got))
	if !bytes.Equal(got, make([]byte, 4096)) {
		f.Error("a file made anew has the bytes of the one removed")
	}
	f.check(f.do(ioq.Read, old, 0, got))
	if !bytes.Equal(got, block) {
		f.Error("a file removed while open has lost its bytes")
	}
	f.check(old.Close())
	f.check(fresh.Close())
}

func testSync(f *fixture) {
	file := f.file("a", 8192)
	f.check(f.do(ioq.Write, file, 0, f.random(8192)))
	f.check(f.do(ioq.Sync, file, 0, nil))
	f.check(file.Sync())
	f.check(file.Close())
}

// testManyAtOnce has goroutines write and read back regions of their own,
// waiting for each operation: a wakeup lost hangs it, a buffer or an offset
// mixed up fails it.
func testManyAtOnce(f *fixture) {
	const workers, rounds, span = 64, 60, 64 << 10
	file := f.file("a", workers*span)
	var done sync.WaitGroup
	for w := range workers {
		rng := rand.New(rand.NewPCG(f.seed, uint64(w)))
		done.Go(func() { f.churn(file, rng, int64(w)*span, span, rounds) })
	}
	done.Wait()
	f.check(file.Close())
}

// churn writes, syncs and reads blocks of a region, against a copy of it.
func (f *fixture) churn(file ioq.File, rng *rand.Rand, base, span int64, rounds int) {
	model, buf := make([]byte, span), AlignedBuffer(int(span))
	op := ioq.Op{File: file}
	for range rounds {
		off := rng.Int64N(span/4096) * 4096
		n := (rng.Int64N((span-off)/4096) + 1) * 4096
		op.Kind, op.Off, op.Buf = ioq.Read, base+off, buf[:n]
		switch k := rng.IntN(20); {
		case k == 0:
			op.Kind, op.Buf = ioq.Sync, nil
		case k < 10:
			op.Kind = ioq.Write
			fill(rng, op.Buf)
			copy(model[off:], op.Buf)
		}
		op.SubmitTo(f.queue)
		op.Wait()
		if op.Err != nil {
			f.Errorf("operation of kind %d at %d: %v", op.Kind, op.Off, op.Err)
		} else if op.Kind == ioq.Read && !bytes.Equal(op.Buf, model[off:off+n]) {
			f.Errorf("%d bytes at %d are not what was written there", n, op.Off)
		}
		op.Reset()
	}
}

// testOneBatch submits far more than any depth in one call.
func testOneBatch(f *fixture) {
	const n = 3000
	file := f.file("a", n*4096)
	want, got := f.random(n*4096), AlignedBuffer(n*4096)
	f.batch(file, ioq.Write, want)
	f.batch(file, ioq.Read, got)
	if !bytes.Equal(got, want) {
		f.Error("a batch came back changed")
	}
	f.check(file.Close())
}

func (f *fixture) batch(file ioq.File, kind ioq.Kind, buf []byte) {
	f.Helper()
	ops := make([]*ioq.Op, len(buf)/4096)
	for i := range ops {
		at := i * 4096
		ops[i] = &ioq.Op{File: file, Kind: kind, Off: int64(at), Buf: buf[at : at+4096 : at+4096]}
	}
	f.queue.Submit(ops...)
	for _, op := range ops {
		op.Wait()
		f.check(op.Err)
	}
}

// tally counts notifications by tag.
type tally struct {
	counts []atomic.Int32
	left   atomic.Int32
	all    chan struct{}
}

func (n *tally) Notify(tag uint64) {
	n.counts[tag].Add(1)
	if n.left.Add(-1) == 0 {
		close(n.all)
	}
}

// testNotify wants one notification for each operation that Submit did not
// complete itself, and none for the others.
func testNotify(f *fixture) {
	const n = 500
	file := f.file("a", n*4096)
	notes := &tally{counts: make([]atomic.Int32, n), all: make(chan struct{})}
	notes.left.Store(n + 1) // one is ours
	ops := make([]ioq.Op, n)
	for i := range ops {
		ops[i] = ioq.Op{File: file, Kind: ioq.Read, Off: int64(i) * 4096, Buf: AlignedBuffer(4096), Notifier: notes, Tag: uint64(i)}
		if i%3 == 0 {
			ops[i].Kind = ioq.Write
		}
		ops[i].SubmitTo(f.queue)
		if ops[i].Inline() {
			notes.left.Add(-1)
		}
	}
	if notes.left.Add(-1) > 0 {
		<-notes.all
	}
	f.check(f.queue.Close()) // so that a second notification would have come
	for i := range ops {
		want := int32(1)
		if ops[i].Inline() {
			want = 0
		}
		if got := notes.counts[i].Load(); got != want || !ops[i].Done() {
			f.Errorf("operation %d: %d notifications, want %d, done %v", i, got, want, ops[i].Done())
		}
	}
	f.check(file.Close())
}

func testCloseWaits(f *fixture) {
	const n = 400
	file := f.file("a", n*4096)
	ops := make([]*ioq.Op, n)
	for i := range ops {
		ops[i] = &ioq.Op{File: file, Kind: ioq.Write, Off: int64(i) * 4096, Buf: f.random(4096)}
	}
	f.queue.Submit(ops...)
	f.check(f.queue.Close())
	for i, op := range ops {
		if !op.Done() || op.Err != nil {
			f.Fatalf("after Close operation %d: done %v, %v", i, op.Done(), op.Err)
		}
	}
	f.check(file.Close())
}

func testClosed(f *fixture) {
	file := f.file("a", 4096)
	f.check(f.queue.Close())
	f.check(f.queue.Close())
	op := ioq.Op{File: file, Kind: ioq.Read, Buf: AlignedBuffer(4096)}
	op.SubmitTo(f.queue)
	if !op.Inline() || op.Err != ioq.ErrClosed {
		f.Errorf("on a closed queue: inline %v, %v", op.Inline(), op.Err)
	}
	f.check(file.Close())
}

func testMisuse(f *fixture) {
	file := f.file("a", 8192)
	block := AlignedBuffer(4096)
	f.panics("Wait on an idle Op", func() { new(ioq.Op).Wait() })
	f.panics("the zero Kind", func() { (&ioq.Op{File: file}).SubmitTo(f.queue) })
	f.panics("no file", func() { (&ioq.Op{Kind: ioq.Read}).SubmitTo(f.queue) })
	done := ioq.Op{File: file, Kind: ioq.Read, Buf: block}
	done.SubmitTo(f.queue)
	done.Wait()
	f.panics("submitting twice without Reset", func() { done.SubmitTo(f.queue) })
	done.Reset()
	done.SubmitTo(f.queue)
	done.Wait()
	f.check(done.Err)
	if f.queue.Direct() {
		f.panics("an unaligned offset", func() { f.do(ioq.Read, file, 512, block) })
		f.panics("an unaligned length", func() { f.do(ioq.Read, file, 0, block[:512]) })
		f.panics("an unaligned buffer", func() { f.do(ioq.Read, file, 0, AlignedBuffer(8192)[8:4104]) })
	}
	f.check(file.Close())
	f.panics("closing a file twice", func() { file.Close() })
}

// panics wants a panic of do, before the queue counts anything as in flight.
func (f *fixture) panics(what string, do func()) {
	f.Helper()
	defer func() {
		if recover() == nil {
			f.Errorf("%s does not panic", what)
		}
	}()
	do()
}

func testStats(f *fixture) {
	file := f.file("a", 64<<10)
	block := f.random(4096)
	for range 3 {
		f.check(f.do(ioq.Write, file, 0, block))
	}
	for range 5 {
		f.check(f.do(ioq.Read, file, 0, block))
	}
	f.check(f.do(ioq.Sync, file, 0, nil))
	if err := f.do(ioq.Read, file, 1<<20, block); err != ioq.ErrShort {
		f.Errorf("read beyond the end: %v", err)
	}
	s := f.queue.Stats()
	if s.Reads != 6 || s.Writes != 3 || s.Syncs != 1 || s.ReadBytes != 5*4096 || s.WrittenBytes != 3*4096 || s.Errors != 1 || s.InFlight != 0 {
		f.Errorf("stats are %+v", s)
	}
	f.check(file.Close())
}

// RunAllocs checks that, once warm, a read and a write on q allocate nothing.
func RunAllocs(t *testing.T, q ioq.Queue) {
	file, err := q.Open(filepath.Join(t.TempDir(), "a"), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	op := ioq.Op{File: file, Buf: AlignedBuffer(4096)}
	for _, op.Kind = range []ioq.Kind{ioq.Read, ioq.Write} {
		n := testing.AllocsPerRun(300, func() {
			op.SubmitTo(q)
			op.Wait()
			op.Reset()
		})
		if n != 0 {
			t.Errorf("%s: %v allocations for an operation of kind %d", q.Engine(), n, op.Kind)
		}
	}
}

// AlignedBuffer returns n zero bytes that start on a multiple of ioq.Align.
func AlignedBuffer(n int) []byte {
	b := make([]byte, n+ioq.Align)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (ioq.Align - 1)
	return b[skip : skip+n : skip+n]
}
