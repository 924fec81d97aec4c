package flashtier

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// Read buffers come in powers of two from one block to a whole page, which is
// what an address with a wrong class may ask for.
const (
	readClasses  = 19
	smallestRead = blockSize
)

// readClass is the smallest class of buffer that holds n bytes.
func readClass(n int64) int {
	return max(0, bits.Len64(uint64(n-1))-bits.Len(smallestRead-1))
}

// readClassSize is the bytes of a buffer of class c.
func readClassSize(c int) int64 { return smallestRead << c }

// readBuffers are the Reads of a tier, each with its buffer: idle ones by class,
// and how much memory all of them have. They are kept, so that in steady state a
// read allocates nothing.
//
// One buffer is apart, and large enough for every record: it is for reads that
// those wait for who hold the others. See StartUrgentRead.
type readBuffers struct {
	rest   int64        // bytes that all but the last may have
	most   int64        // bytes of the last
	mapped atomic.Int64 // bytes of all buffers, in use and idle; changed under mu
	lent   atomic.Int64 // bytes of buffers that are none for the time being

	mu    sync.Mutex
	idle  [readClasses][]*Read
	limit int64 // of mapped: rest, and most once the last is there
	last  *Read // nil before it was first used
	busy  bool  // last is in use
}

// leastReads is what there is for reads beside the last buffer, bytes.
const leastReads = 512 << 10

// mostRead is what the longest record may ask for, with the blocks around it.
func (o *Options) mostRead() int64 {
	return alignUp(int64(ClassSize(ClassFor(int(o.longest())))), blockSize) + 2*blockSize
}

func (b *readBuffers) init(o *Options) {
	b.most = o.mostRead()
	b.rest = o.ReadBytes - b.most
	b.limit = b.rest
}

// holds tells whether there may ever be a buffer for n bytes.
func (b *readBuffers) holds(n int64) bool {
	return n <= b.most || readClassSize(readClass(n)) <= b.rest
}

// takeLast gives the last buffer, or nil if it is in use or too small.
func (b *readBuffers) takeLast(n int64) *Read {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.busy || n > b.most {
		return nil
	}
	if b.last == nil {
		b.mapped.Add(b.most)
		if b.last = b.fresh(b.most); b.last == nil {
			return nil
		}
		b.limit += b.most
	}
	b.busy = true
	return b.last
}

// take gives a Read with a buffer of at least n bytes, or nil if that would take
// more memory than allowed. An idle buffer of the right class is best, then a
// new one, then an idle one that is too large, then the memory of idle ones that
// are too small.
func (b *readBuffers) take(n int64) *Read {
	c := readClass(n)
	size := readClassSize(c)
	b.mu.Lock()
	if r := b.popLocked(c); r != nil {
		b.mu.Unlock()
		return r
	}
	if b.mapped.Load()+size > b.limit {
		for bigger := c + 1; bigger < readClasses; bigger++ {
			if r := b.popLocked(bigger); r != nil {
				b.mu.Unlock()
				return r
			}
		}
		b.shrinkLocked(c, size)
	}
	ok := b.mapped.Load()+size <= b.limit
	if ok {
		b.mapped.Add(size)
	}
	b.mu.Unlock()
	if !ok {
		return nil
	}
	return b.fresh(size)
}

// fresh makes a Read for size bytes that are already counted.
func (b *readBuffers) fresh(size int64) *Read {
	mem, err := mapMemory(size)
	if err != nil { // the kernel is short of memory: as good as a full pool
		b.mapped.Add(-size)
		return nil
	}
	return &Read{mem: mem}
}

func (b *readBuffers) popLocked(c int) *Read {
	idle := b.idle[c]
	if len(idle) == 0 {
		return nil
	}
	r := idle[len(idle)-1]
	b.idle[c] = idle[:len(idle)-1]
	return r
}

// shrinkLocked unmaps idle buffers of the classes below c, the larger ones
// first, until size bytes fit or none is left.
func (b *readBuffers) shrinkLocked(c int, size int64) {
	for c--; c >= 0; c-- {
		for b.mapped.Load()+size > b.limit {
			r := b.popLocked(c)
			if r == nil {
				break
			}
			b.mapped.Add(-int64(len(r.mem)))
			unmap(r.mem)
		}
	}
}

func (b *readBuffers) put(r *Read) {
	c := readClass(int64(len(r.mem)))
	b.mu.Lock()
	defer b.mu.Unlock()
	if r == b.last {
		b.busy = false
		return
	}
	b.idle[c] = append(b.idle[c], r)
}

// lend takes r, in use, out of the buffers: another may be made in its place.
func (b *readBuffers) lend(r *Read) {
	b.mu.Lock()
	defer b.mu.Unlock()
	size := int64(len(r.mem))
	b.mapped.Add(-size)
	b.lent.Add(size)
	if r == b.last {
		b.last, b.busy = nil, false
		b.limit -= b.most
	}
}

// takeBack keeps the buffer of r, which was lent, if there is room for it.
func (b *readBuffers) takeBack(r *Read) {
	size := int64(len(r.mem))
	c := readClass(size)
	b.mu.Lock()
	b.lent.Add(-size)
	keep := size == readClassSize(c) && b.mapped.Load()+size <= b.limit // the last was made to measure
	if keep {
		b.mapped.Add(size)
		b.idle[c] = append(b.idle[c], r)
	}
	b.mu.Unlock()
	if !keep {
		unmap(r.mem)
	}
}

// release unmaps all buffers; none may be in use, but those that are lent: they are
// unmapped when they come back.
func (b *readBuffers) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limit = -1
	for c := range b.idle {
		for _, r := range b.idle[c] {
			unmap(r.mem)
		}
		b.idle[c] = nil
	}
	if b.last != nil {
		unmap(b.last.mem)
	}
}
