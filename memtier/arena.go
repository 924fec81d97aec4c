package memtier

import (
	"bytes"
	"fmt"
	"sync"
	"unsafe"
)

// An arena is memory in blocks of one size, so that values of all sizes share
// it without leaving gaps. A copy is a chain of blocks: copyHead, key, value.
type arena struct {
	base unsafe.Pointer
	size uintptr // bytes

	mu    sync.Mutex // guards what follows
	free  uint32     // first of the chain of free blocks
	fresh uint32     // from here on never used
	left  int64      // bytes that may still be given out
	taken int64      // bytes given out
}

type block struct {
	next uint32 // 0 at the end of a chain
	// gen counts how often a chain that begins here was taken into use or freed:
	// it is odd while there is one. It changes only under the chain's lock of hot.
	gen  uint32
	data [blockData]byte
}

const (
	blockBytes = 256
	blockData  = blockBytes - 8
)

var _ [blockBytes - unsafe.Sizeof(block{})]byte

type copyHead struct {
	loc            Loc
	cas            uint64
	version, flags uint32
	valLen         uint32
	atime          uint32
	keyLen         uint8
	class          uint8
	state          State
}

const copyHeadBytes = int(unsafe.Sizeof(copyHead{}))

func newArena(room int64) (*arena, error) {
	a := &arena{size: (uintptr(room) + hugeStep - 1) &^ (hugeStep - 1), fresh: 1, left: room}
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
func (a *arena) store(key []byte, loc Loc, version uint32, it Item, value []byte) (first uint32, cost int64) {
	n := (copyHeadBytes + len(key) + len(value) + blockData - 1) / blockData
	cost = costOf(n)
	if first = a.take(n, cost); first == 0 {
		return 0, 0
	}
	b := a.block(first)
	*b.head() = copyHead{loc: loc, cas: it.CAS, version: version, flags: it.Flags,
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
	a.left -= cost
	a.taken += cost
	var first uint32
	for range n {
		i := a.free
		if i != 0 {
			a.free = a.block(i).next
		} else {
			i = a.fresh
			a.fresh++
		}
		a.block(i).next = first
		first = i
	}
	return first
}

// give takes a chain back.
func (a *arena) give(first uint32) {
	n := 1
	last := first
	for a.block(last).next != 0 {
		last = a.block(last).next
		n++
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.block(last).next = a.free
	a.free = first
	a.left += costOf(n)
	a.taken -= costOf(n)
}

// end is the block from which on none was ever used.
func (a *arena) end() uint32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fresh
}

func (a *arena) used() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.taken
}
