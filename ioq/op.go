package ioq

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

// Notifier is told that an operation is done. Notify is called from the queue's
// own goroutines; it must return at once.
type Notifier interface {
	Notify(tag uint64)
}

// Op is one operation. The caller fills the first group of fields, submits the
// Op, and may look at the second group once Done reports true. An Op may be
// used again after Reset. It must not be copied.
type Op struct {
	File File
	Kind Kind
	Off  int64  // bytes from the start of the file
	Buf  []byte // read into, or written from; exactly len(Buf) bytes are moved
	// Notifier, if not nil, gets Tag exactly once, after the operation is
	// done, unless Submit itself completed it (see Inline): then never. So a
	// caller that finds Done false after Submit will be notified. One that
	// finds Done true and Inline false has been, or will be: Notify comes after
	// Done turns true, so it may arrive late, even when the Op has already been
	// reset. Take it as a hint to look, and let Tag name what to look at.
	Notifier Notifier
	Tag      uint64

	// Err is nil, the device's error, ErrShort or ErrClosed.
	Err error

	// state orders the rest: what the queue wrote before it stored stateDone
	// or stateInline is seen by whoever loads that.
	state atomic.Uint32
	wake  chan struct{} // made by the first Wait that has to sleep, then kept
	next  *Op           // the queue's while the state is pending
	self  [1]*Op        // SubmitTo's argument list
	sys   sysOp
}

// The states of an Op. Accept takes idle to pending, Wait may take pending to
// waited, completion ends in done or inline, Reset goes back to idle. No other
// edges exist.
const (
	stateIdle uint32 = iota
	statePending
	stateWaited // pending, and a goroutine sleeps on wake
	stateDone
	stateInline // done, by Submit itself
)

// SubmitTo submits the one operation to q, without allocating.
func (o *Op) SubmitTo(q Queue) {
	o.self[0] = o
	q.Submit(o.self[:]...)
}

// Done tells whether the operation is complete; then Err and Buf are the
// caller's to look at.
func (o *Op) Done() bool { return o.state.Load() >= stateDone }

// Ready is Done, by the name the layers above use for it.
func (o *Op) Ready() bool { return o.Done() }

// Inline tells whether Submit itself completed the operation, so that Notifier
// is not called. It holds once that Submit has returned.
func (o *Op) Inline() bool { return o.state.Load() == stateInline }

// Wait returns when the operation is done. One goroutine may wait at a time.
func (o *Op) Wait() {
	if o.Done() {
		return
	}
	if o.wake == nil {
		o.wake = make(chan struct{}, 1)
	}
	if o.state.CompareAndSwap(statePending, stateWaited) {
		<-o.wake
		return
	}
	if !o.Done() {
		panic(fmt.Sprintf("ioq: Wait on an Op that is idle or has a waiter (state %d)", o.state.Load()))
	}
}

// Reset makes a done Op fit to be submitted again. It clears Err and leaves the
// caller's fields as they are.
func (o *Op) Reset() {
	s := o.state.Load()
	if s == statePending || s == stateWaited {
		panic("ioq: Reset of an Op in flight")
	}
	o.Err, o.sys = nil, sysOp{}
	o.state.Store(stateIdle)
}

// Accept is called by a Queue for each Op given to Submit: from here on the Op
// is in flight. It panics on what only a bug of the caller can cause.
func (o *Op) Accept(direct bool) {
	if !o.state.CompareAndSwap(stateIdle, statePending) {
		panic(fmt.Sprintf("ioq: Op submitted twice without Reset (state %d)", o.state.Load()))
	}
	if o.Kind < Read || o.Kind > Sync || o.File == nil || o.Off < 0 {
		panic(fmt.Sprintf("ioq: bad Op: kind %d, file %v, offset %d", o.Kind, o.File, o.Off))
	}
	if direct && o.Kind != Sync && !aligned(o.Off, o.Buf) {
		panic(fmt.Sprintf("ioq: unaligned direct IO: offset %d, length %d, buffer %p", o.Off, len(o.Buf), o.Buf))
	}
}

func aligned(off int64, buf []byte) bool {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(buf)))
	return (uintptr(off)|uintptr(len(buf))|at)%Align == 0
}

// Complete is called by a Queue, exactly once, when the operation is done and
// the Queue will not touch the Op again. It wakes the waiter and calls Notifier.
func (o *Op) Complete(err error) {
	// Once the state says done the Op may be in other hands: read all first.
	notifier, tag := o.Notifier, o.Tag
	o.Err = err
	if o.state.Swap(stateDone) == stateWaited {
		o.wake <- struct{}{}
	}
	if notifier != nil {
		notifier.Notify(tag)
	}
}

// CompleteInline is Complete for a Queue that finishes the operation within
// Submit, on the submitter's goroutine: Notifier is not called.
func (o *Op) CompleteInline(err error) {
	o.Err = err
	if o.state.Swap(stateInline) == stateWaited {
		o.wake <- struct{}{}
	}
}

// opList is a first-in, first-out list threaded through Op.next.
type opList struct{ head, tail *Op }

func (l *opList) push(o *Op) {
	o.next = nil
	if l.head == nil {
		l.head = o
	} else {
		l.tail.next = o
	}
	l.tail = o
}

func (l *opList) pushFront(o *Op) {
	if l.head == nil {
		l.tail = o
	}
	o.next, l.head = l.head, o
}

func (l *opList) pop() *Op {
	o := l.head
	if o != nil {
		l.head, o.next = o.next, nil
	}
	return o
}

// take moves all of m to the end of l.
func (l *opList) take(m *opList) {
	if m.head == nil {
		return
	}
	if l.head == nil {
		l.head = m.head
	} else {
		l.tail.next = m.head
	}
	l.tail = m.tail
	*m = opList{}
}
