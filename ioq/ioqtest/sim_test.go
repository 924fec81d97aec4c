package ioqtest_test

import (
	"bytes"
	"errors"
	"math/bits"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hearthcache/hearth/ioq"
	"github.com/hearthcache/hearth/ioq/ioqtest"
)

func TestDiskConforms(t *testing.T) {
	for name, o := range map[string]ioqtest.DiskOptions{
		"buffered": {},
		"direct":   {Direct: true},
		"delayed":  {MaxDelay: time.Microsecond},
	} {
		t.Run(name, func(t *testing.T) {
			ioqtest.Run(t, func(t *testing.T) ioq.Queue { return ioqtest.NewDisk(t, o) })
		})
	}
}

func TestWrapConforms(t *testing.T) {
	ioqtest.Run(t, func(t *testing.T) ioq.Queue { return ioqtest.Wrap(t, pread(t, "pread"), 0) })
}

func pread(t *testing.T, engine string) ioq.Queue {
	t.Helper()
	q, err := ioq.New(ioq.Options{Engine: engine, Dir: t.TempDir()})
	if err != nil {
		t.Skip(err)
	}
	return q
}

// injectable is what Disk and Faulty share.
type injectable interface {
	ioq.Queue
	Inject(ioqtest.Injector)
	Struck() int
}

// rig is a file on a queue with faults.
type rig struct {
	*testing.T
	injectable
	file ioq.File
}

func newRig(t *testing.T, q injectable) *rig {
	f, err := q.Open(t.TempDir()+"/a", 16*4096)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t, q, f}
}

func (r *rig) do(kind ioq.Kind, off int64, buf []byte) error {
	op := ioq.Op{File: r.file, Kind: kind, Off: off, Buf: buf}
	op.SubmitTo(r)
	op.Wait()
	return op.Err
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) read(off int64, n int) []byte {
	r.Helper()
	buf := ioqtest.AlignedBuffer(n)
	r.must(r.do(ioq.Read, off, buf))
	return buf
}

// blocks returns n 4 KiB blocks full of c.
func blocks(c byte, n int) []byte {
	b := ioqtest.AlignedBuffer(n * 4096)
	for i := range b {
		b[i] = c
	}
	return b
}

func different(a, b []byte) (n int) {
	for i := range a {
		n += bits.OnesCount8(a[i] ^ b[i])
	}
	return n
}

// TestFaults injects each fault into the simulated disk and into real queues.
func TestFaults(t *testing.T) {
	for name, make := range map[string]func(t *testing.T) injectable{
		"disk":            func(t *testing.T) injectable { return ioqtest.NewDisk(t, ioqtest.DiskOptions{}) },
		"direct disk":     func(t *testing.T) injectable { return ioqtest.NewDisk(t, ioqtest.DiskOptions{Direct: true}) },
		"wrapped":         func(t *testing.T) injectable { return ioqtest.Wrap(t, pread(t, "pread"), 0) },
		"wrapped ring":    func(t *testing.T) injectable { return ioqtest.Wrap(t, pread(t, "uring"), 0) },
		"wrapped, direct": func(t *testing.T) injectable { return ioqtest.Wrap(t, pread(t, "pread+direct"), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			for fault, test := range map[string]func(*rig){
				"fail": testFail, "calls": testCalls, "torn": testTorn, "flip": testFlip, "misdirect": testMisdirect,
			} {
				t.Run(fault, func(t *testing.T) {
					r := newRig(t, make(t))
					test(r)
					r.must(r.file.Close())
					r.must(r.Close())
				})
			}
		})
	}
}

func testFail(r *rig) {
	a, b := blocks('a', 4), blocks('b', 4)
	r.must(r.do(ioq.Write, 0, a))
	r.Inject(ioqtest.Nth(1, ioqtest.Is(ioqtest.Write), ioqtest.Fault{Err: unix.ENOSPC}))
	r.must(r.do(ioq.Write, 4*4096, b))
	if err := r.do(ioq.Write, 0, b); err != unix.ENOSPC {
		r.Errorf("second write: %v", err)
	}
	r.must(r.do(ioq.Write, 8*4096, b))
	if got := r.read(0, 4*4096); !bytes.Equal(got, a) {
		r.Error("a write that failed left bytes")
	}
	if r.Struck() != 1 {
		r.Errorf("struck %d times", r.Struck())
	}
	r.Inject(ioqtest.From(1, ioqtest.Is(ioqtest.Read, ioqtest.Sync), ioqtest.Fault{Err: unix.EIO}))
	r.must(r.do(ioq.Sync, 0, nil))
	for range 3 {
		if err := r.do(ioq.Read, 0, a); err != unix.EIO {
			r.Errorf("read: %v", err)
		}
	}
	if r.Struck() != 3 {
		r.Errorf("struck %d times", r.Struck())
	}
}

// testCalls fails each kind of call that is not an operation.
func testCalls(r *rig) {
	for verb, call := range map[ioqtest.Verb]func() error{
		ioqtest.Open:     func() error { _, err := r.Open(r.file.Path(), 0); return err },
		ioqtest.Remove:   func() error { return r.Remove(r.file.Path()) },
		ioqtest.Truncate: func() error { return r.file.Truncate(4096) },
		ioqtest.Sync:     func() error { return r.file.Sync() },
	} {
		r.Inject(ioqtest.Each(
			ioqtest.Nth(5, ioqtest.Any, ioqtest.Fault{Err: unix.ENXIO}),
			ioqtest.Nth(0, ioqtest.Is(verb), ioqtest.Fault{Err: unix.EIO})))
		if err := call(); !errors.Is(err, unix.EIO) || r.Struck() != 1 {
			r.Errorf("%s: %v, struck %d", verb, err, r.Struck())
		}
	}
	r.Inject(nil)
	r.read(15*4096, 4096)
}

func testTorn(r *rig) {
	for range 20 {
		a, b := blocks('a', 4), blocks('b', 4)
		r.Inject(nil)
		r.must(r.do(ioq.Write, 0, a))
		r.Inject(ioqtest.Nth(0, ioqtest.Is(ioqtest.Write), ioqtest.Fault{Torn: true, Err: unix.EIO}))
		if err := r.do(ioq.Write, 0, b); err != unix.EIO {
			r.Errorf("torn write: %v", err)
		}
		got := r.read(0, 4*4096)
		n := bytes.IndexByte(got, 'a')
		if n < 0 || n%512 != 0 || !bytes.Equal(got[:n], b[:n]) || !bytes.Equal(got[n:], a[n:]) {
			r.Fatalf("torn at %d, or not at all", n)
		}
	}
}

func testFlip(r *rig) {
	a := blocks('a', 2)
	r.must(r.do(ioq.Write, 0, a))
	r.Inject(ioqtest.Nth(1, ioqtest.Is(ioqtest.Read), ioqtest.Fault{Flip: true}))
	for i, want := range []int{0, 1, 0} {
		if n := different(r.read(0, 2*4096), a); n != want {
			r.Errorf("read %d: %d bits differ, want %d", i, n, want)
		}
	}
	r.Inject(ioqtest.Nth(0, ioqtest.Is(ioqtest.Write), ioqtest.Fault{Flip: true}))
	r.must(r.do(ioq.Write, 0, a))
	if n := different(a, blocks('a', 2)); n != 0 {
		r.Error("the writer's own buffer was changed")
	}
	if n := different(r.read(0, 2*4096), a); n != 1 {
		r.Errorf("%d bits differ on the disk", n)
	}
}

func testMisdirect(r *rig) {
	r.Inject(ioqtest.Nth(0, ioqtest.Is(ioqtest.Write), ioqtest.Fault{Shift: 4096}))
	r.must(r.do(ioq.Write, 4096, blocks('b', 1)))
	if got := r.read(0, 3*4096); different(got[:2*4096], blocks(0, 2)) != 0 || different(got[2*4096:], blocks('b', 1)) != 0 {
		r.Error("the write is not one block too far")
	}
}

// TestEveryCallFails is the loop that reaches every error path of a script.
func TestEveryCallFails(t *testing.T) {
	script := func(d *ioqtest.Disk) error {
		f, err := d.Open("a", 4096)
		if err != nil {
			return err
		}
		defer f.Close()
		op := ioq.Op{File: f, Kind: ioq.Write, Buf: blocks('x', 1)}
		op.SubmitTo(d)
		if op.Wait(); op.Err != nil {
			return op.Err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		return d.Remove("a")
	}
	n := 0
	for ; ; n++ {
		d := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
		d.Inject(ioqtest.Nth(n, ioqtest.Any, ioqtest.Fault{Err: unix.EIO}))
		err := script(d)
		if (d.Struck() > 0) != errors.Is(err, unix.EIO) {
			t.Fatalf("call %d: struck %d, %v", n, d.Struck(), err)
		}
		if d.Struck() == 0 {
			break
		}
	}
	if n != 4 {
		t.Errorf("%d calls failed in turn, want 4", n)
	}
}

// manual is a disk that the test steps, and a file of 16 blocks on it.
func manual(t *testing.T, seed uint64) (*ioqtest.Disk, ioq.File) {
	d := ioqtest.NewDisk(t, ioqtest.DiskOptions{Manual: true, Seed: seed})
	f, err := d.Open("a", 16*4096)
	if err != nil {
		t.Fatal(err)
	}
	return d, f
}

func TestManualOrder(t *testing.T) {
	d, f := manual(t, 0)
	ops := []*ioq.Op{
		{File: f, Kind: ioq.Write, Buf: blocks('a', 1)},
		{File: f, Kind: ioq.Write, Buf: blocks('b', 1)},
		{File: f, Kind: ioq.Read, Buf: blocks(0, 1)},
	}
	d.Submit(ops...)
	if p := d.Pending(); len(p) != 3 || p[2].Verb != ioqtest.Read || ops[0].Done() {
		t.Fatalf("pending: %+v", p)
	}
	d.Complete(1)
	d.Complete(1)
	if ops[0].Done() || !ops[1].Done() || !ops[2].Done() || ops[2].Buf[0] != 'b' {
		t.Error("not completed in the order asked for")
	}
	d.Drain()
	if d.Image("a")[0] != 'a' || d.Stats().InFlight != 0 || d.Step() {
		t.Error("not drained")
	}
	go d.Submit(&ioq.Op{File: f, Kind: ioq.Sync})
	d.AwaitPending(1)
	d.Release()
	d.Close() // waits for the sync, which now completes by itself
	if d.Stats().Syncs != 1 {
		t.Error("Close did not wait")
	}
}

// TestSameSeedSameOrder replays a manual disk.
func TestSameSeedSameOrder(t *testing.T) {
	order := func(seed uint64) (tags []uint64) {
		d, f := manual(t, seed)
		for i := range 30 {
			d.Submit(&ioq.Op{File: f, Kind: ioq.Read, Buf: blocks(0, 1), Tag: uint64(i), Notifier: notes(func(tag uint64) { tags = append(tags, tag) })})
		}
		d.Drain()
		return tags
	}
	a, b, c := order(7), order(7), order(8)
	if len(a) != 30 || !equal(a, b) || equal(a, c) {
		t.Errorf("orders %v, %v, %v", a, b, c)
	}
}

type notes func(uint64)

func (n notes) Notify(tag uint64) { n(tag) }

func equal(a, b []uint64) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

// TestMisuseIsSeen plants each bug of a caller that a real queue would answer
// with quiet corruption.
func TestMisuseIsSeen(t *testing.T) {
	for name, c := range map[string]struct {
		want string
		bug  func(*ioqtest.Disk, ioq.File)
	}{
		"write buffer changed": {"touched", func(d *ioqtest.Disk, f ioq.File) {
			op := ioq.Op{File: f, Kind: ioq.Write, Buf: blocks('a', 1)}
			d.Submit(&op)
			op.Buf[100] = 'b'
			d.Drain()
		}},
		"read buffer written": {"touched", func(d *ioqtest.Disk, f ioq.File) {
			op := ioq.Op{File: f, Kind: ioq.Read, Buf: blocks('a', 1)}
			d.Submit(&op)
			op.Buf[4095]++
			d.Drain()
		}},
		"buffer shared": {"in use", func(d *ioqtest.Disk, f ioq.File) {
			b := blocks('a', 2)
			d.Submit(&ioq.Op{File: f, Kind: ioq.Read, Buf: b[:4097]}, &ioq.Op{File: f, Kind: ioq.Read, Buf: b[4096:]})
		}},
		"file closed in use": {"in flight", func(d *ioqtest.Disk, f ioq.File) {
			d.Submit(&ioq.Op{File: f, Kind: ioq.Sync})
			f.Close()
		}},
		"closed file used": {"closed file", func(d *ioqtest.Disk, f ioq.File) {
			f.Close()
			d.Submit(&ioq.Op{File: f, Kind: ioq.Sync})
		}},
		"file of another disk": {"another queue", func(d *ioqtest.Disk, f ioq.File) {
			_, other := manual(t, 0)
			d.Submit(&ioq.Op{File: other, Kind: ioq.Sync})
		}},
		"submitted in flight": {"submitted twice", func(d *ioqtest.Disk, f ioq.File) {
			op := ioq.Op{File: f, Kind: ioq.Sync}
			d.Submit(&op)
			d.Submit(&op)
		}},
		"reset in flight": {"Reset", func(d *ioqtest.Disk, f ioq.File) {
			op := ioq.Op{File: f, Kind: ioq.Sync}
			d.Submit(&op)
			op.Reset()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d, f := manual(t, 0)
			defer func() {
				if msg, _ := recover().(string); !strings.Contains(msg, c.want) {
					t.Errorf("panic %q, want one about %q", msg, c.want)
				}
			}()
			c.bug(d, f)
		})
	}
}

// TestReadBufferIsPoisoned wants a look before completion to find garbage.
func TestReadBufferIsPoisoned(t *testing.T) {
	d, f := manual(t, 0)
	op := ioq.Op{File: f, Kind: ioq.Read, Buf: blocks(0, 1)}
	d.Submit(&op)
	if op.Buf[0] == 0 || op.Buf[4095] == 0 {
		t.Error("a read's buffer looks untouched before the read is done")
	}
	d.Drain()
	if op.Buf[0] != 0 {
		t.Error("poison left")
	}
}

func TestAtRest(t *testing.T) {
	d, _ := manual(t, 0)
	d.Overwrite("a", 4090, []byte("across the edge"))
	d.FlipBit("a", 4090, 1)
	if got := string(d.Image("a")[4090:4105]); got != "ccross the edge" {
		t.Errorf("image has %q", got)
	}
	if p := d.Paths(); len(p) != 1 || p[0] != "a" {
		t.Errorf("paths %v", p)
	}
}
