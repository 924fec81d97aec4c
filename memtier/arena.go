package memtier

import (
	"bytes"
	"fmt"
	"iter"
	"sync"
	"unsafe"
)

// An arena is memory in blocks of one size, so that values of all sizes share
// it without leaving gaps. A copy is a chain of blocks: copyHead, key, value. Their
// memory is taken and given back by chunks of them.
type arena struct {
	base unsafe.Pointer
	size uintptr // bytes

	mu     sync.Mutex // guards what follows
	chunks []chunk    // those that ever had memory
	open   []uint32   // of them, those that may have a free block
	bare   []uint32   // ... those without memory
	room   int64      // bytes that may be given out
	left   int64      // ... may still be given out; negative when room became less
	taken  int64      // ... given out
	held   int64      // of chunks with memory
}

// chunk is what is known of chunkBlocks blocks that lie together.
type chunk struct {
	free    uint32 // first of the chain of free blocks
	fresh   uint32 // from here on never used, counted from the first
	used    uint32
	listed  bool // is in open
	bare    bool
	leaving bool // gives no blocks out, and its memory back once it has all of them
}

type block struct {
	next uint32 // 0 at the end of a chain
	// gen counts how often a chain that begins here was taken into use or freed:
	// it is odd while there is one. It changes only under the chain's lock of hot.
	gen  uint32
	data [blockData]byte
}

const (
	blockBytes  = 256
	blockData   = blockBytes - 8
	chunkBlocks = 1 << 10
	chunkBytes  = chunkBlocks * blockBytes
	preferTries = 8
)

var _ [blockBytes - unsafe.Sizeof(block{})]byte

type copyHead struct {
	loc            Loc
	cas, hash      uint64
	version, flags uint32
	valLen         uint32
	atime          uint32
	keyLen         uint8
	class          uint8
	state          State
}

const copyHeadBytes = int(unsafe.Sizeof(copyHead{}))

// newArena reserves address space for most bytes, of which room may be used.
func newArena(room, most int64) (*arena, error) {
	a := &arena{size: (uintptr(most) + hugeStep - 1) &^ (hugeStep - 1), room: room, left: room}
	base, err := reserve(a.size)
	if err != nil {
		return nil, fmt.Errorf("reserve %d bytes of address space for hot values: %w", a.size, err)
	}
	a.base = base
	return a, nil
}

func (a *arena) close() { _ = release(a.base, a.size) }

func (a *arena) block(i uint32) *block {
	return (*block)(unsafe.Add(a.base, uintptr(i)*blockBytes))
}

// begins tells whether a copy that is in use begins here. The block's lock is
// held.
func (b *block) begins() bool { return b.gen%2 == 1 }

func (b *block) head() *copyHead { return (*copyHead)(unsafe.Pointer(&b.data)) }

func costOf(blocks int) int64 { return int64(blocks)*blockBytes + hotEntry }

// store copies a value into a new chain, and tells what it costs; 0 if there is
// no room.
func (a *arena) store(hash uint64, key []byte, loc Loc, version uint32, it Item, value []byte) (first uint32, cost int64) {
	n := (copyHeadBytes + len(key) + len(value) + blockData - 1) / blockData
	cost = costOf(n)
	if first = a.take(n, cost); first == 0 {
		return 0, 0
	}
	b := a.block(first)
	*b.head() = copyHead{loc: loc, cas: it.CAS, hash: hash, version: version, flags: it.Flags,
		valLen: uint32(len(value)), keyLen: uint8(len(key)), class: it.Class, atime: it.Atime, state: it.State}
	c := cursor{arena: a, rest: b.data[copyHeadBytes:], next: b.next}
	c.write(key)
	c.write(value)
	return first, cost
}

// read appends the value of the chain at b, if it is the one that is asked for.
// The chain's lock is held.
func (a *arena) read(b *block, key []byte, loc Loc, version uint32, dst []byte) ([]byte, Item, bool) {
	h := b.head()
	if h.loc != loc || h.version != version || int(h.keyLen) != len(key) {
		return dst, Item{}, false
	}
	c := cursor{arena: a, rest: b.data[copyHeadBytes:], next: b.next}
	for n := len(key); n > 0; {
		part := c.part(n)
		if !bytes.Equal(part, key[len(key)-n:][:len(part)]) {
			return dst, Item{}, false
		}
		n -= len(part)
	}
	for n := int(h.valLen); n > 0; {
		part := c.part(n)
		dst = append(dst, part...)
		n -= len(part)
	}
	it := Item{Flags: h.flags, CAS: h.cas, Loc: loc, Class: h.class, State: h.state, Atime: h.atime, ValueLen: int(h.valLen)}
	return dst, it, true
}

// appendKey appends the key of the chain at b, whose lock is held.
func (a *arena) appendKey(b *block, dst []byte) []byte {
	c := cursor{arena: a, rest: b.data[copyHeadBytes:], next: b.next}
	for n := int(b.head().keyLen); n > 0; {
		part := c.part(n)
		dst = append(dst, part...)
		n -= len(part)
	}
	return dst
}

// cursor walks the data of a chain.
type cursor struct {
	arena *arena
	rest  []byte
	next  uint32
}

// part is the next bytes that lie together, at most n.
func (c *cursor) part(n int) []byte {
	if len(c.rest) == 0 {
		b := c.arena.block(c.next)
		c.rest, c.next = b.data[:], b.next
	}
	n = min(n, len(c.rest))
	p := c.rest[:n]
	c.rest = c.rest[n:]
	return p
}

func (c *cursor) write(p []byte) {
	for len(p) > 0 {
		p = p[copy(c.part(len(p)), p):]
	}
}

// take gives a chain of n blocks.
func (a *arena) take(n int, cost int64) uint32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if cost > a.left/2 {
		return 0
	}
	a.preferLocked(uint32(n))
	var first uint32
	for range n {
		i := a.blockLocked()
		if i == 0 {
			a.backLocked(first)
			return 0
		}
		a.block(i).next = first
		first = i
	}
	a.left -= cost
	a.taken += cost
	return first
}

// preferLocked has the next blocks come from a chunk that has n of them, if one is
// soon found: a copy in one chunk is not lost when another is given back.
func (a *arena) preferLocked(n uint32) {
	top := len(a.open) - 1
	for i := top; i >= max(0, top-preferTries); i-- {
		if c := &a.chunks[a.open[i]]; c.used+n < chunkBlocks {
			a.open[i], a.open[top] = a.open[top], a.open[i]
			return
		}
	}
}

// blockLocked gives a free block, 0 if there is none.
func (a *arena) blockLocked() uint32 {
	for len(a.open) > 0 || a.openLocked() {
		n := a.open[len(a.open)-1]
		c := &a.chunks[n]
		switch {
		case c.free != 0:
			i := c.free
			c.free = a.block(i).next
			c.used++
			return i
		case c.fresh < chunkBlocks:
			c.fresh++
			c.used++
			return n*chunkBlocks + c.fresh - 1
		}
		c.listed = false
		a.open = a.open[:len(a.open)-1]
	}
	return 0
}

// openLocked takes memory for one more chunk.
func (a *arena) openLocked() bool {
	if a.held+chunkBytes > max(a.room, chunkBytes) {
		return false
	}
	n := uint32(len(a.chunks))
	if k := len(a.bare); k > 0 {
		n, a.bare = a.bare[k-1], a.bare[:k-1]
	} else if uintptr(n+1)*chunkBytes > a.size {
		return false
	} else {
		a.chunks = append(a.chunks, chunk{})
	}
	a.chunks[n] = chunk{listed: true}
	if n == 0 {
		a.chunks[0].fresh = 1 // block 0 is none
	}
	a.open = append(a.open, n)
	a.held += chunkBytes
	return true
}

// backLocked frees the blocks of a chain and tells how many they were.
func (a *arena) backLocked(first uint32) (n int) {
	for i := first; i != 0; n++ {
		b, c := a.block(i), &a.chunks[i/chunkBlocks]
		next := b.next
		b.next, c.free = c.free, i
		c.used--
		if !c.listed && !c.leaving {
			c.listed = true
			a.open = append(a.open, i/chunkBlocks)
		}
		i = next
	}
	return n
}

// give takes a chain back.
func (a *arena) give(first uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	cost := costOf(a.backLocked(first))
	a.left += cost
	a.taken -= cost
}

// blocks are all that may begin a copy.
func (a *arena) blocks() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for n := uint32(0); ; n++ {
			a.mu.Lock()
			there := int(n) < len(a.chunks)
			fresh := uint32(0)
			if there {
				fresh = a.chunks[n].fresh
			}
			a.mu.Unlock()
			for i := max(1, n*chunkBlocks); i < n*chunkBlocks+fresh; i++ {
				if !yield(i) {
					return
				}
			}
			if !there {
				return
			}
		}
	}
}

func (a *arena) chunkAt(n uint32) unsafe.Pointer {
	return unsafe.Add(a.base, uintptr(n)*chunkBytes)
}

func (a *arena) used() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.taken
}
