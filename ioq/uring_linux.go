package ioq

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// uring is the engine of one io_uring owned by one goroutine. Submitters push
// onto a stack without a lock; while the owner is at work it finds them there,
// many at a time, and only when it sleeps in the kernel is it woken, by an
// eventfd that the ring itself reads.
//
// The owner is not locked to a thread. Locked, each read woke two threads; free,
// it yields after completing, the readers go on in its place, and what they
// submit next is in the inbox when it comes back: a third less time for a lone
// read, a quarter to a third less CPU under load. So the ring is made without
// the kernel's single-issuer modes.
type uring struct {
	q      *queue
	inbox  atomic.Pointer[Op] // last in first, through Op.next
	asleep atomic.Bool        // set by the owner before it sleeps; who clears it wakes the owner
	over   atomic.Bool        // stop was called
	event  int                // the eventfd
	ended  chan struct{}

	// The owner's.
	ring    *ring
	waiting opList // in order of arrival, until slots are free
	slots   []*Op  // with the kernel, by user data; keeps the Op and its Buf alive
	free    []uint32
	counter [8]byte // the eventfd is read into this
}

// wakeSlot is the user data of the read of the eventfd.
const wakeSlot = ^uint64(0)

// wakeOne is what rouse writes to the eventfd: any number but 0, as a word.
var wakeOne = [8]byte{1}

func newUring(q *queue, depth int) (*uring, error) {
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	u := &uring{q: q, event: event, ended: make(chan struct{})}
	u.slots = make([]*Op, depth)
	for i := range depth {
		u.free = append(u.free, uint32(depth-1-i))
	}
	// One place more than operations, for the read of the eventfd.
	if u.ring, err = newRing(depth + 1); err != nil {
		unix.Close(event)
		return nil, err
	}
	go u.own()
	return u, nil
}

func (u *uring) push(l opList, n int) {
	// Turn the list round: the inbox has its last operation on top.
	last := l.head
	var top *Op
	for op := l.pop(); op != nil; op = l.pop() {
		op.next = top
		top = op
	}
	for {
		old := u.inbox.Load()
		last.next = old
		if u.inbox.CompareAndSwap(old, top) {
			break
		}
	}
	u.rouse()
}

// rouse wakes the owner if it sleeps. Either the caller sees asleep set, or the
// owner, which sets it before its last look at the inbox, sees what the caller
// put there.
func (u *uring) rouse() {
	if !u.asleep.Load() || !u.asleep.CompareAndSwap(true, false) {
		return
	}
	if _, err := unix.Write(u.event, wakeOne[:]); err != nil {
		panic(fmt.Sprintf("ioq: write to eventfd: %v", err))
	}
}

func (u *uring) stop() {
	u.over.Store(true)
	u.rouse()
	<-u.ended
	unix.Close(u.event)
}

// own is the owner's goroutine.
func (u *uring) own() {
	defer close(u.ended)
	defer u.ring.close()
	u.listen()
	for u.step() {
	}
}

// step moves operations from the inbox to the ring, sleeps if there is nothing
// else to do, and completes what the kernel is done with.
func (u *uring) step() bool {
	u.collect()
	u.fill()
	wait := 0
	if u.maySleep() {
		if u.over.Load() {
			return false
		}
		wait = 1
	}
	if err := u.ring.enter(wait); err != nil {
		panic("ioq: " + err.Error()) // only a bug of ours can cause it
	}
	u.asleep.Store(false)
	if u.reap() {
		runtime.Gosched() // to the readers just woken; see uring
	}
	return true
}

// maySleep announces that the owner is going to sleep, unless its last look finds
// something in the inbox. The order matters; see rouse.
func (u *uring) maySleep() bool {
	u.asleep.Store(true)
	if u.inbox.Load() == nil {
		return true
	}
	u.asleep.Store(false)
	return false
}

// reap completes all that the kernel is done with.
func (u *uring) reap() (some bool) {
	for {
		userData, res, ok := u.ring.completion()
		if !ok {
			return some
		}
		some = true
		u.completed(userData, res)
	}
}

// collect moves the inbox, turned round, to the end of waiting.
func (u *uring) collect() {
	var l opList
	for op := u.inbox.Swap(nil); op != nil; {
		next := op.next
		if op.next = l.head; l.head == nil {
			l.tail = op
		}
		l.head = op
		op = next
	}
	u.waiting.take(&l)
}

// fill gives waiting operations to the ring while slots are free.
func (u *uring) fill() {
	for len(u.free) > 0 {
		op := u.waiting.pop()
		if op == nil {
			return
		}
		slot := u.free[len(u.free)-1]
		u.free = u.free[:len(u.free)-1]
		u.slots[slot] = op
		describe(u.ring.sqe(), op, slot)
	}
}

func describe(e *ringSqe, op *Op, slot uint32) {
	e.fd = int32(op.sys.file.fd)
	e.userData = uint64(slot)
	if op.Kind == Sync {
		e.opcode, e.opFlags = ringOpFsync, ringFsyncDatasync
		return
	}
	e.opcode = ringOpRead
	if op.Kind == Write {
		e.opcode = ringOpWrite
	}
	if op.sys.again {
		e.flags = ringSqeAsync
	}
	rest := op.Buf[op.sys.moved:]
	e.off = uint64(op.Off) + uint64(op.sys.moved)
	e.addr = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(rest))))
	e.len = uint32(min(len(rest), 1<<30))
}

// listen reads the eventfd through the ring, so that rouse ends a sleep.
func (u *uring) listen() {
	e := u.ring.sqe()
	e.opcode, e.fd, e.userData = ringOpRead, int32(u.event), wakeSlot
	e.addr = uint64(uintptr(unsafe.Pointer(&u.counter[0])))
	e.len = uint32(len(u.counter))
}

// completed takes one completion. An operation with more to move goes to the
// front of those that wait, and keeps its turn.
func (u *uring) completed(userData uint64, res int32) {
	if userData == wakeSlot {
		u.listen()
		return
	}
	slot := uint32(userData)
	op := u.slots[slot]
	u.slots[slot] = nil
	u.free = append(u.free, slot)
	var err error
	switch {
	case res == -int32(unix.EAGAIN) || res == -int32(unix.EINTR) || res == -int32(unix.ECANCELED):
		// The last is what a request gets whose submitting thread has ended.
		op.sys.again = true
		u.waiting.pushFront(op)
		return
	case res < 0:
		err = unix.Errno(-res)
	case op.Kind != Sync:
		var done bool
		if done, err = op.advance(int(res), u.q.direct); !done {
			u.waiting.pushFront(op)
			return
		}
	}
	u.q.finish(op, err)
}
