package ioq

import (
	"sync"

	"golang.org/x/sys/unix"
)

// pool is the engine of goroutines with pread and pwrite. A goroutine blocked
// in a read holds its P until the runtime takes it back, so it has few more
// reads with the kernel than GOMAXPROCS, whatever the number of workers.
type pool struct {
	q       *queue
	move    func(op *Op, direct bool) error // transfer; a test puts a gate here
	workers sync.WaitGroup

	mu      sync.Mutex
	wake    sync.Cond
	waiting opList
	stopped bool
}

func newPool(q *queue, threads int) *pool { return startPool(q, threads, transfer) }

func startPool(q *queue, threads int, move func(op *Op, direct bool) error) *pool {
	p := &pool{q: q, move: move}
	p.wake.L = &p.mu
	for range threads {
		p.workers.Go(p.work)
	}
	return p
}

func (p *pool) push(l opList, n int) {
	p.mu.Lock()
	p.waiting.take(&l)
	p.mu.Unlock()
	for range n {
		p.wake.Signal()
	}
}

func (p *pool) stop() {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	p.wake.Broadcast()
	p.workers.Wait()
}

func (p *pool) work() {
	for {
		op := p.next()
		if op == nil {
			return
		}
		p.q.finish(op, p.move(op, p.q.direct))
	}
}

func (p *pool) next() *Op {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.waiting.head == nil {
		if p.stopped {
			return nil
		}
		p.wake.Wait()
	}
	return p.waiting.pop()
}

// transfer does op with blocking calls.
func transfer(op *Op, direct bool) error {
	if op.Kind == Sync {
		return retry(func() error { return unix.Fdatasync(op.sys.file.fd) })
	}
	for {
		var n int
		var err error
		rest, off := op.Buf[op.sys.moved:], op.Off+int64(op.sys.moved)
		if op.Kind == Read {
			n, err = unix.Pread(op.sys.file.fd, rest, off)
		} else {
			n, err = unix.Pwrite(op.sys.file.fd, rest, off)
		}
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if err != nil {
			return err
		}
		if done, err := op.advance(n, direct); done {
			return err
		}
	}
}

// advance counts n more bytes moved and tells whether that is the end of op.
func (o *Op) advance(n int, direct bool) (done bool, err error) {
	o.sys.moved += n
	switch {
	case o.sys.moved == len(o.Buf):
		return true, nil
	case n == 0:
		return true, ErrShort
	case direct && n%Align != 0:
		// Only the end of the file stops direct IO within a block, and the
		// rest could not be asked for: it is not aligned.
		return true, ErrShort
	}
	return false, nil
}
