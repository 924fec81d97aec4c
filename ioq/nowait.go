package ioq

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxInline is the longest read tried within Submit: the copy holds the
	// processor, and the garbage collector waits for it.
	maxInline = 128 << 10
	// cacheWindow is how many tries are judged together.
	cacheWindow = 32
	// cacheEvery is how many reads pass, while the cache misses, to one try.
	cacheEvery = 64
	// poolHits and ringHits are how many tries of a window must hit for the
	// next to be worth it. The read that a miss has started is not lost: the
	// ring goes on with it for about what it would have cost anyway, but a
	// worker of the pool pays for the same blocks again.
	poolHits = cacheWindow * 7 / 8
	ringHits = cacheWindow / 2
)

// cacheProbe serves reads from the page cache with RWF_NOWAIT and learns whether
// that pays. A hit costs about as much as the copy; a miss costs ten times that,
// because the kernel starts the read before it answers EAGAIN. So it is tried on
// every read while enough of the last tries hit, and on one of cacheEvery
// otherwise.
type cacheProbe struct {
	enough  uint64        // poolHits or ringHits
	window  atomic.Uint64 // tries << 32 | hits
	missing atomic.Bool   // the last full window was mostly misses
	skipped atomic.Uint32
	refused atomic.Bool // the kernel or the file system has no RWF_NOWAIT
}

// worth tells whether to try the next read.
func (c *cacheProbe) worth() bool {
	if !c.missing.Load() {
		return true
	}
	return !c.refused.Load() && c.skipped.Add(1)%cacheEvery == 0
}

// saw counts one try.
func (c *cacheProbe) saw(hit bool) {
	add := uint64(1) << 32
	if hit {
		add++
	}
	w := c.window.Add(add)
	tries, hits := w>>32, w&(1<<32-1)
	if tries >= cacheWindow && c.window.CompareAndSwap(w, 0) {
		c.missing.Store(hits*cacheWindow < c.enough*tries)
	}
}

// read reads into op what the page cache holds. If that is not all of it, ok is
// false, and an engine goes on where this stopped. The call is raw: it does not
// block, so the scheduler need not be told.
func (c *cacheProbe) read(op *Op) (err error, ok bool) {
	op.sys.iov.Base = unsafe.SliceData(op.Buf)
	op.sys.iov.SetLen(len(op.Buf))
	n, _, errno := unix.RawSyscall6(unix.SYS_PREADV2, uintptr(op.sys.file.fd),
		uintptr(unsafe.Pointer(&op.sys.iov)), 1, uintptr(op.Off), 0, unix.RWF_NOWAIT)
	switch errno {
	case 0:
	case unix.EAGAIN:
		c.saw(false)
		return nil, false
	case unix.EOPNOTSUPP, unix.ENOSYS, unix.EINVAL:
		c.refused.Store(true)
		c.missing.Store(true)
		return nil, false
	default: // let the engine meet it again, and report it
		return nil, false
	}
	op.sys.moved = int(n)
	hit := op.sys.moved == len(op.Buf) || n == 0
	c.saw(hit)
	if n == 0 {
		return ErrShort, true
	}
	return nil, hit
}
