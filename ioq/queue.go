package ioq

import (
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Options choose an engine and bound it. The zero value works.
type Options struct {
	// Engine is "pread", "pread+direct", "uring", "uring+direct" or "auto"
	// (the default, also ""), which probes Dir and takes one of them.
	Engine string
	// Dir is a directory on the file system that the files will be on, for
	// the probes of "auto" and of the direct engines. Default: the current one.
	Dir string
	// Threads is the number of pread workers, at most Depth. Default 16. The
	// ring has one goroutine and ignores it.
	Threads int
	// Depth is how many operations may be with the kernel at a time, 1 to
	// 4096. Default 128.
	Depth int
}

func (o *Options) validate() error {
	if o.Depth == 0 {
		o.Depth = 128
	}
	if o.Threads == 0 {
		o.Threads = 16
	}
	if o.Dir == "" {
		o.Dir = "."
	}
	if o.Depth < 1 || o.Depth > 4096 {
		return fmt.Errorf("ioq: depth %d is not within 1 to 4096", o.Depth)
	}
	if o.Threads < 1 {
		return fmt.Errorf("ioq: %d threads", o.Threads)
	}
	o.Threads = min(o.Threads, o.Depth)
	return nil
}

// engine moves the bytes of operations that could not be served within Submit.
type engine interface {
	// push takes over a list of accepted operations; the engine calls
	// queue.finish for each when it is done.
	push(l opList, n int)
	// stop ends the engine's goroutines and waits for them. Nothing is in
	// flight by then.
	stop()
}

// sysOp is what the engines keep in an Op.
type sysOp struct {
	file  *file
	iov   unix.Iovec // for preadv2: in the Op, so that no call allocates it
	moved int        // bytes of Buf that are done
	again bool       // the kernel said EAGAIN: next time let it block
}

// queue is what all engines share.
type queue struct {
	name   string
	direct bool
	engine engine
	cache  cacheProbe
	// busy counts operations submitted and not finished; closedQueue is added
	// by Close, so that one atomic decides between a Submit and a Close.
	busy    atomic.Int64
	drained chan struct{} // signalled when busy falls to closedQueue
	closing sync.Once

	reads, writes, syncs    atomic.Uint64
	readBytes, writtenBytes atomic.Uint64
	errors, inline          atomic.Uint64
}

const closedQueue = int64(1) << 40

// New starts a queue. The caller must Close it.
func New(o Options) (Queue, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	var q *queue
	var err error
	switch o.Engine {
	case "", "auto":
		q, err = choose(o)
	case "pread", "uring":
		q, err = newQueue(o, o.Engine, false)
	case "pread+direct", "uring+direct":
		q, err = newProbed(o, o.Engine, true)
	default:
		err = fmt.Errorf("ioq: unknown engine %q: use auto, pread, pread+direct, uring or uring+direct", o.Engine)
	}
	if err != nil {
		return nil, err // not q: a nil *queue in a Queue would not be nil
	}
	return q, nil
}

func newQueue(o Options, name string, direct bool) (*queue, error) {
	q := &queue{name: name, direct: direct, drained: make(chan struct{}, 1)}
	if strings.HasPrefix(name, "pread") {
		q.cache.enough = poolHits
		q.engine = newPool(q, o.Threads)
		return q, nil
	}
	u, err := newUring(q, o.Depth)
	if err != nil {
		return nil, fmt.Errorf("ioq: start io_uring: %w", err)
	}
	q.cache.enough = ringHits
	q.engine = u
	return q, nil
}

func (q *queue) Open(path string, size int64) (File, error) {
	f, err := openFile(path, size, q.direct)
	if err != nil {
		return nil, err // not f: a nil *file in a File would not be nil
	}
	return f, nil
}

func (q *queue) Remove(path string) error {
	if err := retry(func() error { return unix.Unlink(path) }); err != nil {
		return &fs.PathError{Op: "remove", Path: path, Err: err}
	}
	return nil
}

func (q *queue) Engine() string { return q.name }
func (q *queue) Direct() bool   { return q.direct }

func (q *queue) Submit(ops ...*Op) {
	for _, op := range ops {
		op.Accept(q.direct)
		op.sys.file = op.File.(*file)
		op.sys.file.acquire()
	}
	n := int64(len(ops))
	if q.busy.Add(n) >= closedQueue {
		q.refuse(ops)
		return
	}
	var rest opList
	left := 0
	for _, op := range ops {
		if err, ok := q.tryInline(op); ok {
			q.settle(op, err)
			op.CompleteInline(err)
			continue
		}
		rest.push(op)
		left++
	}
	if left > 0 {
		q.engine.push(rest, left)
	}
}

// refuse ends accepted operations on a closed queue.
func (q *queue) refuse(ops []*Op) {
	q.leave(int64(len(ops)))
	for _, op := range ops {
		op.sys.file.release()
		op.CompleteInline(ErrClosed)
	}
}

// tryInline serves op at once if that needs no device: ok tells that it did.
func (q *queue) tryInline(op *Op) (err error, ok bool) {
	if op.Kind == Sync {
		return nil, false
	}
	if len(op.Buf) == 0 {
		return nil, true
	}
	if op.Kind != Read || q.direct || len(op.Buf) > maxInline || !q.cache.worth() {
		return nil, false
	}
	err, ok = q.cache.read(op)
	if ok {
		q.inline.Add(1)
	}
	return err, ok
}

// finish is called by an engine when op is done.
func (q *queue) finish(op *Op, err error) {
	q.settle(op, err)
	op.Complete(err)
}

// settle counts op out. It comes before the Op is marked done: whoever sees it
// done may close the file, and finds the counters right.
func (q *queue) settle(op *Op, err error) {
	switch op.Kind {
	case Read:
		q.reads.Add(1)
		q.readBytes.Add(uint64(op.sys.moved))
	case Write:
		q.writes.Add(1)
		q.writtenBytes.Add(uint64(op.sys.moved))
	case Sync:
		q.syncs.Add(1)
	}
	if err != nil {
		q.errors.Add(1)
	}
	op.sys.file.release()
	op.sys.file = nil
	q.leave(1)
}

func (q *queue) leave(n int64) {
	if q.busy.Add(-n) == closedQueue {
		select {
		case q.drained <- struct{}{}:
		default: // a Submit after Close went in and out again
		}
	}
}

func (q *queue) Stats() Stats {
	return Stats{
		Reads: q.reads.Load(), Writes: q.writes.Load(), Syncs: q.syncs.Load(),
		ReadBytes: q.readBytes.Load(), WrittenBytes: q.writtenBytes.Load(),
		Errors: q.errors.Load(), Inline: q.inline.Load(),
		InFlight: q.busy.Load() &^ closedQueue,
	}
}

func (q *queue) Close() error {
	q.closing.Do(func() {
		if q.busy.Add(closedQueue) != closedQueue {
			for range q.drained {
				if q.busy.Load() == closedQueue {
					break
				}
			}
		}
		q.engine.stop()
	})
	return nil
}
