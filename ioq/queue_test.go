package ioq

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// gate is a pool's transfer that waits until the test opens it, and knows how
// many are inside.
type gate struct {
	mu          sync.Mutex
	changed     sync.Cond
	inside, max int
	passes      int // how many may go on
	left        int // how many have
}

func newGate() *gate {
	g := &gate{}
	g.changed.L = &g.mu
	return g
}

func (g *gate) move(op *Op, direct bool) error {
	g.mu.Lock()
	g.inside++
	g.max = max(g.max, g.inside)
	g.changed.Broadcast()
	for g.passes == 0 {
		g.changed.Wait()
	}
	g.passes--
	g.inside--
	g.left++
	g.mu.Unlock()
	return transfer(op, direct)
}

// await returns when n are inside and left have gone on.
func (g *gate) await(n, left int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.inside < n || g.left < left {
		g.changed.Wait()
	}
}

func (g *gate) pass(n int) {
	g.mu.Lock()
	g.passes += n
	g.mu.Unlock()
	g.changed.Broadcast()
}

// gatedPool is a queue whose pool of three workers waits at the gate.
func gatedPool(t *testing.T) (*queue, *gate, *file) {
	q := &queue{name: "pread", drained: make(chan struct{}, 1)}
	q.cache.refused.Store(true)
	q.cache.missing.Store(true)
	g := newGate()
	p := startPool(q, 3, g.move)
	q.engine = p
	f, err := openFile(filepath.Join(t.TempDir(), "a"), 1<<20, false)
	if err != nil {
		t.Fatal(err)
	}
	return q, g, f
}

func reads(f File, n int) []*Op {
	ops := make([]*Op, n)
	for i := range ops {
		ops[i] = &Op{File: f, Kind: Read, Off: int64(i) * 4096, Buf: make([]byte, 4096)}
	}
	return ops
}

func TestPoolKeepsItsBound(t *testing.T) {
	q, g, f := gatedPool(t)
	ops := reads(f, 50)
	q.Submit(ops...)
	g.await(3, 0)
	if n := q.Stats().InFlight; n != 50 {
		t.Errorf("%d in flight, want 50", n)
	}
	for i := range 47 { // one by one, so that a fourth worker has time to come
		g.await(3, i)
		g.pass(1)
	}
	g.pass(3)
	for _, op := range ops {
		op.Wait()
	}
	if g.max != 3 {
		t.Errorf("%d reads at once from 3 workers", g.max)
	}
	q.Close()
	f.Close()
}

// TestRingServesMoreThanItsDepth has 20 reads of an empty pipe wait for 4 slots,
// so that the ring is full and sleeps before the first byte comes.
func TestRingServesMoreThanItsDepth(t *testing.T) {
	const depth, ops, size = 4, 20, 16
	q := &queue{name: "uring", drained: make(chan struct{}, 1)}
	q.cache.refused.Store(true)
	q.cache.missing.Store(true)
	u, err := newUring(q, depth)
	if err != nil {
		t.Skip(err)
	}
	q.engine = u
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	f := &file{path: "pipe", fd: int(r.Fd())} // Fd makes it blocking, as files are
	all := make([]*Op, ops)
	for i := range all {
		all[i] = &Op{File: f, Kind: Read, Buf: make([]byte, size)}
	}
	q.Submit(all...)
	for range 2 * ops {
		if _, err := w.WriteString("abcdefgh"); err != nil {
			t.Fatal(err)
		}
	}
	for i, op := range all {
		op.Wait()
		if op.Err != nil || string(op.Buf) != "abcdefghabcdefgh" {
			t.Errorf("read %d: %v, %q", i, op.Err, op.Buf)
		}
	}
	last := &Op{File: f, Kind: Read, Buf: make([]byte, size)}
	q.Submit(last)
	w.WriteString("tail")
	w.Close()
	last.Wait()
	if last.Err != ErrShort || string(last.Buf[:4]) != "tail" {
		t.Errorf("at the end of the pipe: %v, %q", last.Err, last.Buf)
	}
	q.Close()
	if len(u.free) != depth {
		t.Errorf("%d of %d slots are free", len(u.free), depth)
	}
}

func TestCloseOfBusyFilePanics(t *testing.T) {
	q, g, f := gatedPool(t)
	op := reads(f, 1)[0]
	q.Submit(op)
	g.await(1, 0)
	mustPanic(t, "Close of a file in use", func() { f.Close() })
	mustPanic(t, "Reset of an Op in flight", op.Reset)
	mustPanic(t, "Submit of an Op in flight", func() { q.Submit(op) })
	g.pass(1)
	op.Wait()
	q.Close()
}

func TestSecondWaiterPanics(t *testing.T) {
	var op Op
	op.state.Store(stateWaited)
	op.wake = make(chan struct{}, 1)
	mustPanic(t, "a second waiter", op.Wait)
}

func TestUseOfClosedFilePanics(t *testing.T) {
	q, g, f := gatedPool(t)
	g.pass(1)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	mustPanic(t, "an operation on a closed file", func() { q.Submit(reads(f, 1)...) })
}

func mustPanic(t *testing.T, what string, do func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s does not panic", what)
		}
	}()
	do()
}

// TestCloseRacesSubmit closes a queue under submitters: each operation is either
// served or refused, and Close comes back.
func TestCloseRacesSubmit(t *testing.T) {
	for _, engine := range []string{"pread", "uring"} {
		for range 50 {
			q, err := New(Options{Engine: engine, Dir: t.TempDir()})
			if err != nil {
				t.Skip(err)
			}
			f, err := q.Open(filepath.Join(t.TempDir(), "a"), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			var done sync.WaitGroup
			for range 4 {
				done.Go(func() {
					for _, op := range reads(f, 20) {
						op.SubmitTo(q)
						op.Wait()
						if op.Err != nil && op.Err != ErrClosed {
							t.Error(op.Err)
						}
					}
				})
			}
			q.Close()
			done.Wait()
			if n := q.Stats().InFlight; n != 0 {
				t.Errorf("%s: %d in flight after Close", engine, n)
			}
			f.Close()
		}
	}
}

// TestDeviceErrorsAreReported reads and writes a file that refuses both.
func TestDeviceErrorsAreReported(t *testing.T) {
	for _, engine := range []string{"pread", "uring"} {
		q, err := New(Options{Engine: engine})
		if err != nil {
			t.Skip(err)
		}
		fd, err := unix.Open(t.TempDir(), unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f := &file{path: "directory", fd: fd}
		for kind, want := range map[Kind]error{Read: unix.EISDIR, Write: unix.EBADF} {
			op := Op{File: f, Kind: kind, Buf: make([]byte, 4096)}
			op.SubmitTo(q)
			op.Wait()
			if op.Err != want {
				t.Errorf("%s: kind %d: %v, want %v", engine, kind, op.Err, want)
			}
		}
		if s := q.Stats(); s.Errors != 2 {
			t.Errorf("%s: %+v", engine, s)
		}
		q.Close()
		f.Close()
	}
}

func TestOpenErrors(t *testing.T) {
	q, err := New(Options{Engine: "pread"})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	f, err := q.Open(filepath.Join(t.TempDir(), "absent", "a"), 4096)
	if f != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open in an absent directory: %v, %v", f, err)
	}
	path := filepath.Join(t.TempDir(), "a")
	if f, err := q.Open(path, 1<<60); f != nil || err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Open of a file no disk can hold: %v, %v", f, err)
	}
}

func TestOptionsErrors(t *testing.T) {
	for _, o := range []Options{
		{Engine: "floppy"}, {Depth: -1}, {Depth: 4097}, {Threads: -1},
		{Engine: "pread+direct", Dir: "/proc"}, {Engine: "uring+direct", Dir: "/absent"},
	} {
		if q, err := New(o); err == nil || q != nil {
			t.Errorf("%+v: %v, %v", o, q, err)
		}
	}
}

func TestAdvance(t *testing.T) {
	for _, c := range []struct {
		moved, n int
		direct   bool
		done     bool
		err      error
	}{
		{0, 8192, true, true, nil},
		{4096, 4096, true, true, nil},
		{0, 4096, true, false, nil},
		{0, 1000, false, false, nil},
		{0, 1000, true, true, ErrShort},
		{4096, 0, false, true, ErrShort},
	} {
		op := Op{Buf: make([]byte, 8192)}
		op.sys.moved = c.moved
		if done, err := op.advance(c.n, c.direct); done != c.done || err != c.err {
			t.Errorf("%+v: %v, %v", c, done, err)
		}
	}
}

// TestRingLooksBeforeItSleeps is the one order of events in which a wakeup could
// be lost: a submitter that found the owner awake, and the owner going to sleep.
func TestRingLooksBeforeItSleeps(t *testing.T) {
	u := &uring{}
	if !u.maySleep() || !u.asleep.Load() {
		t.Error("with an empty inbox the owner does not announce its sleep")
	}
	u.asleep.Store(false)
	var l opList
	l.push(&Op{})
	u.push(l, 1) // writes to no eventfd, as the owner is awake
	if u.maySleep() || u.asleep.Load() {
		t.Error("the owner sleeps over a full inbox")
	}
}

// TestRingRetries feeds completions that ask for another try.
func TestRingRetries(t *testing.T) {
	q := &queue{name: "uring", drained: make(chan struct{}, 1)}
	for _, errno := range []unix.Errno{unix.EAGAIN, unix.EINTR, unix.ECANCELED} {
		op := reads(&file{}, 1)[0]
		u := &uring{q: q, slots: []*Op{op}}
		u.completed(0, -int32(errno))
		if u.waiting.head != op || !op.sys.again || op.Done() || len(u.free) != 1 {
			t.Errorf("%v: not tried again", errno)
		}
	}
}

// TestRingGoesOnAfterShortTransfer wants the rest asked for, and only that.
func TestRingGoesOnAfterShortTransfer(t *testing.T) {
	op := reads(&file{fd: 7}, 3)[2]
	op.sys.file = op.File.(*file)
	u := &uring{q: &queue{}, slots: []*Op{op}}
	u.completed(0, 1000)
	if u.waiting.pop() != op || op.Done() {
		t.Fatal("a short transfer is taken for the end")
	}
	var e ringSqe
	describe(&e, op, 0)
	at := uint64(uintptr(unsafe.Pointer(&op.Buf[1000])))
	if e.opcode != ringOpRead || e.fd != 7 || e.off != 2*4096+1000 || e.len != 3096 || e.addr != at {
		t.Errorf("the rest is %+v", e)
	}
}

// TestCacheProbe wants reads tried while the cache hits, hardly any while it
// misses, and all again soon after it hits again.
func TestCacheProbe(t *testing.T) {
	testCacheProbe(t, poolHits)
	testCacheProbe(t, ringHits)
}

func testCacheProbe(t *testing.T, enough uint64) {
	c := cacheProbe{enough: enough}
	tries := func(reads int, hit bool) (n int) {
		for range reads {
			if c.worth() {
				n++
				c.saw(hit)
			}
		}
		return n
	}
	if n := tries(10000, true); n != 10000 {
		t.Errorf("%d of 10000 hits tried", n)
	}
	if n := tries(10000, false); n > 2*cacheWindow+10000/cacheEvery+1 {
		t.Errorf("%d of 10000 misses tried", n)
	}
	if n := tries(10000, true); n < 10000-2*cacheWindow*cacheEvery {
		t.Errorf("%d of 10000 hits tried after the misses", n)
	}
	for range cacheWindow { // three of four: enough for the ring only
		for i := range 4 {
			c.saw(i != 0)
		}
	}
	if c.missing.Load() != (c.enough == poolHits) {
		t.Errorf("three hits of four, %d enough: missing %v", c.enough, c.missing.Load())
	}
	c.refused.Store(true)
	c.missing.Store(true)
	if n := tries(1000, true); n != 0 {
		t.Errorf("%d tried though refused", n)
	}
}

// TestCachedReadIsInline wants a read of what was just written served within
// Submit by either buffered engine.
func TestCachedReadIsInline(t *testing.T) {
	for _, engine := range []string{"pread", "uring"} {
		q, err := New(Options{Engine: engine})
		if err != nil {
			t.Skip(err)
		}
		f, err := q.Open(filepath.Join(t.TempDir(), "a"), 8192)
		if err != nil {
			t.Fatal(err)
		}
		op := Op{File: f, Kind: Write, Buf: []byte(strings.Repeat("x", 4096))}
		op.SubmitTo(q)
		op.Wait()
		op.Reset()
		op.Kind, op.Buf = Read, make([]byte, 4096)
		op.SubmitTo(q)
		if !op.Inline() || op.Err != nil || op.Buf[4095] != 'x' || q.Stats().Inline != 1 {
			t.Errorf("%s: inline %v, %v, %+v", engine, op.Inline(), op.Err, q.Stats())
		}
		q.Close()
		f.Close()
	}
}
