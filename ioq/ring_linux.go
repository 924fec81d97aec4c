package ioq

import (
	"fmt"
	"math/bits"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The part of linux/io_uring.h that is used here. The structs are the kernel's
// ABI: their sizes are asserted below.
const (
	ringFeatSingleMmap = 1 << 0
	ringFeatNoDrop     = 1 << 1
	ringFeatRWCurPos   = 1 << 3 // came with IORING_OP_READ and WRITE
	ringEnterGetEvents = 1 << 0
	ringOpFsync        = 3
	ringOpRead         = 22
	ringOpWrite        = 23
	ringFsyncDatasync  = 1 << 0
	ringSqeAsync       = 1 << 4
	ringOffSqes        = 0x10000000
)

type ringSqe struct {
	opcode   uint8
	flags    uint8
	ioprio   uint16
	fd       int32
	off      uint64
	addr     uint64
	len      uint32
	opFlags  uint32
	userData uint64
	_        [3]uint64
}

type ringCqe struct {
	userData uint64
	res      int32
	flags    uint32
}

type ringParams struct {
	sqEntries, cqEntries, flags uint32
	sqThreadCPU, sqThreadIdle   uint32
	features, wqFd              uint32
	_                           [3]uint32
	sqHead, sqTail, sqMask      uint32
	sqRingEntries, sqFlags      uint32
	sqDropped, sqArray, _       uint32
	_                           uint64
	cqHead, cqTail, cqMask      uint32
	cqRingEntries, cqOverflow   uint32
	cqCqes, cqFlags, _          uint32
	_                           uint64
}

var (
	_ = [1]struct{}{}[64-unsafe.Sizeof(ringSqe{})]
	_ = [1]struct{}{}[16-unsafe.Sizeof(ringCqe{})]
	_ = [1]struct{}{}[120-unsafe.Sizeof(ringParams{})]
)

// ring is the memory shared with the kernel. One goroutine at a time may use it.
// Ordering: the kernel reads entries up to sqTail and we write them
// before we store it; we read completions up to cqTail after we load it, and
// store cqHead after we have read them. Go's atomics are at least the
// acquire and release that the ABI asks for.
type ring struct {
	fd             int
	shared, sqeMem []byte
	sqHead, sqTail *uint32
	cqHead, cqTail *uint32
	sqMask, cqMask uint32
	sqes           []ringSqe
	cqes           []ringCqe
	tail           uint32 // ours; what the kernel has seen is in *sqTail
}

// newRing makes a ring for entries operations at a time. The kernel gives the
// completion side twice as many places, so with no more than that in flight it
// cannot overflow.
func newRing(entries int) (*ring, error) {
	n := uint32(1) << bits.Len32(uint32(entries-1))
	var p ringParams
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(n), uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, os.NewSyscallError("io_uring_setup", errno)
	}
	r := &ring{fd: int(fd)}
	if err := r.mmap(&p, entries); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *ring) mmap(p *ringParams, entries int) error {
	const need = ringFeatSingleMmap | ringFeatNoDrop | ringFeatRWCurPos
	if p.features&need != need || int(p.sqEntries) < entries {
		return fmt.Errorf("io_uring too old or too small: features %#x, %d entries", p.features, p.sqEntries)
	}
	size := max(p.sqArray+p.sqEntries*4, p.cqCqes+p.cqEntries*uint32(unsafe.Sizeof(ringCqe{})))
	var err error
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	if r.shared, err = unix.Mmap(r.fd, 0, int(size), prot, flags); err != nil {
		return os.NewSyscallError("mmap ring", err)
	}
	sqeSize := int(p.sqEntries) * int(unsafe.Sizeof(ringSqe{}))
	if r.sqeMem, err = unix.Mmap(r.fd, ringOffSqes, sqeSize, prot, flags); err != nil {
		return os.NewSyscallError("mmap ring entries", err)
	}
	word := func(off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.shared[off])) }
	r.sqHead, r.sqTail, r.sqMask = word(p.sqHead), word(p.sqTail), *word(p.sqMask)
	r.cqHead, r.cqTail, r.cqMask = word(p.cqHead), word(p.cqTail), *word(p.cqMask)
	r.sqes = unsafe.Slice((*ringSqe)(unsafe.Pointer(&r.sqeMem[0])), p.sqEntries)
	r.cqes = unsafe.Slice((*ringCqe)(unsafe.Pointer(&r.shared[p.cqCqes])), p.cqEntries)
	// Entry i of the index array always names entry i.
	for i := range p.sqEntries {
		*word(p.sqArray + i*4) = i
	}
	return nil
}

func (r *ring) close() {
	if r.sqeMem != nil {
		unix.Munmap(r.sqeMem)
	}
	if r.shared != nil {
		unix.Munmap(r.shared)
	}
	unix.Close(r.fd)
}

// sqe returns the next free submission entry, cleared. The caller knows that
// there is one: it bounds what is in flight.
func (r *ring) sqe() *ringSqe {
	if r.tail-atomic.LoadUint32(r.sqHead) > r.sqMask {
		panic("ioq: submission ring is full")
	}
	e := &r.sqes[r.tail&r.sqMask]
	*e = ringSqe{}
	r.tail++
	return e
}

// enter submits what sqe gave out, lets the kernel post completions, and sleeps
// until wait of them are there.
func (r *ring) enter(wait int) error {
	atomic.StoreUint32(r.sqTail, r.tail)
	submit := r.tail - atomic.LoadUint32(r.sqHead)
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(submit), uintptr(wait), ringEnterGetEvents, 0, 0)
	switch errno {
	case 0, unix.EINTR, unix.EAGAIN, unix.EBUSY:
		return nil // what was not taken is still in the ring, for the next call
	}
	return os.NewSyscallError("io_uring_enter", errno)
}

// completion takes the next completion, if there is one.
func (r *ring) completion() (userData uint64, res int32, ok bool) {
	head := *r.cqHead // only we write it
	if head == atomic.LoadUint32(r.cqTail) {
		return 0, 0, false
	}
	c := r.cqes[head&r.cqMask]
	atomic.StoreUint32(r.cqHead, head+1)
	return c.userData, c.res, true
}
