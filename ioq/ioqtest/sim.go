// Package ioqtest tests what is built on ioq, and ioq itself: a disk in memory
// that fails, tears, corrupts, misdirects, delays and crashes from a seed (Disk),
// the same faults on a real queue (Wrap), and what every queue must do (Run).
package ioqtest

import (
	"fmt"
	"hash/maphash"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/hearthcache/hearth/ioq"
)

// DiskOptions shape a Disk. The zero value works.
type DiskOptions struct {
	// Seed decides all that is random. 0 takes one from the clock. A test that
	// fails prints it.
	Seed uint64
	// Direct makes the disk demand alignment.
	Direct bool
	// Manual leaves every operation pending until Step, Complete or Drain.
	// Otherwise a goroutine completes them in a seeded order, and some reads
	// are done within Submit.
	Manual bool
	// MaxDelay bounds a seeded wait before one in eight completions. Default:
	// none.
	MaxDelay time.Duration
}

// Disk is a seeded disk in memory, an ioq.Queue. It panics at what a real queue
// would answer with quiet corruption: a buffer touched or shared while in
// flight, an Op of another disk, a file closed under its operations.
type Disk struct {
	striker
	opts DiskOptions
	t    testing.TB

	mu      sync.Mutex
	changed sync.Cond // any change of the fields below
	rng     *rand.Rand
	files   map[string]*inode
	removed map[string]*inode // by a Remove that a power loss may undo
	pending []*flight         // in order of arrival
	stats   ioq.Stats
	manual  bool
	closed  bool
	running sync.WaitGroup
}

// flight is an operation between Submit and completion.
type flight struct {
	op     *ioq.Op
	call   Call
	file   *simFile
	check  uint64 // of the buffer as it must stay until completion
	writes uint64 // of the inode, at submission
}

// NewDisk makes an empty disk. It is stopped when the test ends.
func NewDisk(t testing.TB, o DiskOptions) *Disk {
	if o.Seed == 0 {
		o.Seed = uint64(time.Now().UnixNano())
	}
	d := &Disk{opts: o, t: t, files: map[string]*inode{}, removed: map[string]*inode{}, manual: o.Manual}
	d.changed.L = &d.mu
	d.rng = rand.New(rand.NewPCG(o.Seed, 1))
	d.running.Go(d.run)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("ioqtest: disk seed %d", o.Seed)
		}
		d.mu.Lock()
		d.closed = true
		d.pending = nil
		d.mu.Unlock()
		d.changed.Broadcast()
	})
	return d
}

// Seed is what the disk's randomness comes from.
func (d *Disk) Seed() uint64 { return d.opts.Seed }

func (d *Disk) panicf(format string, args ...any) {
	panic(fmt.Sprintf("ioqtest: "+format+" (disk seed %d)", append(args, d.opts.Seed)...))
}

// Open opens a file of the disk; any path will do.
func (d *Disk) Open(path string, size int64) (ioq.File, error) {
	if f := d.strike(Call{Verb: Open, Path: path, Len: int(size)}); f.Err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: f.Err}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	node := d.files[path]
	if node == nil {
		node = newInode()
		d.files[path] = node
		delete(d.removed, path)
	}
	// As in ioq, a new file's name and length are durable once Open returns.
	if node.size < size {
		node.size, node.durableSize = size, size
	}
	return &simFile{disk: d, path: path, inode: node}, nil
}

// Remove unlinks a file. Files open on it keep it.
func (d *Disk) Remove(path string) error {
	if f := d.strike(Call{Verb: Remove, Path: path}); f.Err != nil {
		return &fs.PathError{Op: "remove", Path: path, Err: f.Err}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	node := d.files[path]
	if node == nil {
		return &fs.PathError{Op: "remove", Path: path, Err: fs.ErrNotExist}
	}
	delete(d.files, path)
	d.removed[path] = node
	return nil
}

// Engine is "sim" or "sim+direct".
func (d *Disk) Engine() string {
	if d.opts.Direct {
		return "sim+direct"
	}
	return "sim"
}

// Direct is DiskOptions.Direct.
func (d *Disk) Direct() bool { return d.opts.Direct }

// Stats counts like a real queue.
func (d *Disk) Stats() ioq.Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.stats
	s.InFlight = int64(len(d.pending))
	return s
}

// Close waits until nothing is pending; on a manual disk someone must step it.
func (d *Disk) Close() error {
	d.mu.Lock()
	d.closed = true
	d.changed.Broadcast()
	d.mu.Unlock()
	d.running.Wait()
	return nil
}

// Submit takes operations; see DiskOptions.Manual for when they are done.
func (d *Disk) Submit(ops ...*ioq.Op) {
	for _, op := range ops {
		op.Accept(d.opts.Direct)
		if err, inline := d.launch(op); inline {
			op.CompleteInline(err)
		}
	}
}

// launch puts op among the pending, or does it at once.
func (d *Disk) launch(op *ioq.Op) (err error, inline bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return ioq.ErrClosed, true
	}
	fl := d.trapLocked(op)
	d.pending = append(d.pending, fl)
	d.changed.Broadcast()
	if d.manual || op.Kind != ioq.Read || d.rng.IntN(4) != 0 {
		return nil, false
	}
	d.stats.Inline++
	return d.landLocked(fl), true
}

// trapLocked checks an accepted op and makes its buffer a trap.
func (d *Disk) trapLocked(op *ioq.Op) *flight {
	file, ok := op.File.(*simFile)
	if !ok || file.disk != d {
		d.panicf("operation on a file of another queue: %v", op.File)
	}
	if file.closed {
		d.panicf("operation on the closed file %s", file.path)
	}
	for _, fl := range d.pending {
		if overlap(fl.op.Buf, op.Buf) && (fl.op.Kind == ioq.Read || op.Kind == ioq.Read) {
			d.panicf("buffer of a %s of %s is in use by a %s of %s", verbs[op.Kind], file.path, fl.call.Verb, fl.call.Path)
		}
	}
	file.users++
	fl := &flight{op: op, file: file, writes: file.inode.writes}
	fl.call = Call{Verb: verbs[op.Kind], Path: file.path, Off: op.Off, Len: len(op.Buf)}
	if op.Kind == ioq.Read {
		poison := byte(d.rng.Uint32() | 1)
		for i := range op.Buf {
			op.Buf[i] = poison
		}
	}
	fl.check = maphash.Bytes(checkSeed, op.Buf)
	return fl
}

var (
	checkSeed = maphash.MakeSeed()
	verbs     = [...]Verb{ioq.Read: Read, ioq.Write: Write, ioq.Sync: Sync}
)

func overlap(a, b []byte) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	at := func(p *byte) uintptr { return uintptr(unsafe.Pointer(p)) }
	return at(&a[0]) <= at(&b[len(b)-1]) && at(&b[0]) <= at(&a[len(a)-1])
}

// landLocked takes fl off the list, does it, and returns its error.
func (d *Disk) landLocked(fl *flight) error {
	d.pending = slices.DeleteFunc(d.pending, func(o *flight) bool { return o == fl })
	fl.file.users--
	d.changed.Broadcast()
	if maphash.Bytes(checkSeed, fl.op.Buf) != fl.check {
		d.panicf("buffer touched while its %s of %s at %d was in flight", fl.call.Verb, fl.call.Path, fl.call.Off)
	}
	n, err := d.transferLocked(fl, d.strike(fl.call))
	switch fl.op.Kind {
	case ioq.Read:
		d.stats.Reads++
		d.stats.ReadBytes += uint64(n)
	case ioq.Write:
		d.stats.Writes++
		d.stats.WrittenBytes += uint64(n)
	case ioq.Sync:
		d.stats.Syncs++
	}
	if err != nil {
		d.stats.Errors++
	}
	return err
}

// transferLocked does the operation as far as fault f lets it.
func (d *Disk) transferLocked(fl *flight, f Fault) (n int, err error) {
	buf, off, node := fl.op.Buf, max(0, fl.call.Off+f.Shift), fl.file.inode
	switch {
	case fl.op.Kind == ioq.Write:
		if f.Err != nil && !f.Torn {
			return 0, f.Err
		}
		node.write(spoil(d.rng, f, buf, d.opts.Direct), off)
		return len(buf), f.Err
	case f.Err != nil:
		return 0, f.Err
	case fl.op.Kind == ioq.Sync:
		node.sync(fl.writes)
		return 0, nil
	}
	if n = node.read(buf, off); n < len(buf) {
		err = ioq.ErrShort
	}
	if f.Flip {
		flip(d.rng, buf[:n])
	}
	return n, err
}

// spoil returns what of a write reaches the disk under fault f.
func spoil(rng *rand.Rand, f Fault, buf []byte, direct bool) []byte {
	if f.Torn {
		unit := 512
		if direct {
			unit = ioq.Align
		}
		buf = buf[:rng.IntN(max(1, (len(buf)+unit-1)/unit))*unit]
	}
	if f.Flip {
		buf = slices.Clone(buf)
		flip(rng, buf)
	}
	return buf
}

func flip(rng *rand.Rand, p []byte) {
	if len(p) > 0 {
		p[rng.IntN(len(p))] ^= 1 << rng.IntN(8)
	}
}

// run completes operations unless the disk is manual.
func (d *Disk) run() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		switch {
		case len(d.pending) == 0 && d.closed:
			return
		case len(d.pending) == 0 || d.manual:
			d.changed.Wait()
			continue
		}
		if d.opts.MaxDelay > 0 && d.rng.IntN(8) == 0 {
			wait := time.Duration(d.rng.Int64N(int64(d.opts.MaxDelay)))
			d.mu.Unlock()
			time.Sleep(wait)
			d.mu.Lock()
			if len(d.pending) == 0 || d.manual {
				continue
			}
		}
		d.completeLocked(d.rng.IntN(len(d.pending)))
	}
}

// completeLocked finishes the ith pending operation. It lets go of mu while it
// tells the waiter.
func (d *Disk) completeLocked(i int) {
	fl := d.pending[i]
	err := d.landLocked(fl)
	d.mu.Unlock()
	fl.op.Complete(err)
	d.mu.Lock()
}

func sortedKeys[K int64 | string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
