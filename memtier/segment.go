package memtier

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A segment is a block of RAM that records are appended to, of a 64th of the
// limit but at most 2 MiB, which is a huge page: then memory comes and goes by
// whole huge pages. A record of more than half a segment has a large segment to
// itself.
//
//	      take            full, SealActive        TakeOldest
//	free ──────> active ─────────────────> sealed ──────────> victim
//	 ^                                       │  ^                │
//	 │        reap (nothing alive)           │  └─Free (kept)────┤
//	 └───────────────────────────────────────┴───────Free────────┘
//
// A large segment goes from free to sealed at once. There is no way back from
// sealed to active, and a victim is emptied by the one who took it. A sealed one
// that no slot points into any more is free ahead of its turn. A large one may be
// pinned, see pin.go: then it is not taken, and not free before it is let go.
type segment struct {
	// state packs all that appending needs, so that one compare-and-swap is
	// an allocation: sealed, victim, left, writers between allocation and slot
	// update (16 bits at 32; all pins are one), units used (32 bits).
	state atomic.Uint64
	// live is how many slots point into it, changed under their shards' locks. A
	// flush does not take it back: then it is too high, until the segment is emptied.
	live atomic.Int32

	// What follows is guarded by segments.mu.
	opened, sealedAt uint32 // unix seconds
	older, newer     uint32 // neighbours in the order of sealing, 0 none
	gen              generation
	turn             uint32 // how many segments had been emptied when it was sealed
	size             int64  // bytes, of a large one
	pins             uint32 // of a large one
}

const (
	sealedBit = 1 << 63
	victimBit = 1 << 62
	leftBit   = 1 << 61 // by the one who emptied it, to the last writer
	oneWriter = 1 << 32
	writers   = 0xffff << 32
)

func (m *segment) used() uint64    { return uint64(uint32(m.state.Load())) }
func (m *segment) isVictim() bool  { return m.state.Load()&victimBit != 0 }
func (m *segment) isWritten() bool { return m.state.Load()&writers != 0 }

// isIdle tells whether it is sealed, no victim, and nobody is about to point a
// slot into it.
func (m *segment) isIdle() bool { return m.state.Load()&(sealedBit|victimBit|writers) == sealedBit }

// reserve takes units at the end, if that is not beyond most, and makes the caller a writer.
func (m *segment) reserve(units, most uint64) (at uint64, ok bool) {
	for {
		old := m.state.Load()
		at = uint64(uint32(old))
		if old&sealedBit != 0 || at+units > most {
			return 0, false
		}
		if m.state.CompareAndSwap(old, old+units+oneWriter) {
			return at, true
		}
	}
}

// segments is the log of records: the arena, the large ones, their order, and
// the account of all memory under the limit. Segment numbers begin at 1, so
// that 0 is none and no record is at Loc 0.
type segments struct {
	shift  uint           // a segment has 1<<shift units
	bytes  int64          // in a segment
	arena  unsafe.Pointer // of segment 0, which is never used
	large  unsafe.Pointer
	first  uint32 // number of the first large segment
	stride uintptr
	size   [2]uintptr // of the two reservations, bytes
	most   int64      // highest limit
	hot    int64      // set aside for hot values
	spare  int64      // one of so many segments is to be free

	meta []segment
	// active is what is being written; of the kept 0 until there is any.
	active [generations]atomic.Uint32
	room   chan struct{}
	ripe   atomic.Bool // some segment is doomed
	// indexMost is how many bytes the index may ever have.
	indexMost atomic.Int64

	mu          sync.Mutex // guards what follows
	limit, used int64      // bytes
	pinned      int64      // part of used
	index       int64      // part of used
	wanted      int64      // bytes that the last large write did not get
	free        []uint32   // with memory, counted in used
	bare        []uint32   // without
	fresh       uint32     // from here on never used
	bareLarge   []uint32
	freshLarge  uint32
	orders      [generations]order
	turns       uint32   // how many segments have been emptied, or were to be
	doom        []uint32 // nothing in them is alive
}

const (
	// largeSpace bounds the address space of large segments, in bytes.
	largeSpace = 16 << 40
	// Segments are of 64 KiB to 2 MiB.
	minShift, maxShift = 16, 21
)

func newSegments(o Options) (*segments, error) {
	shift := o.segmentShift()
	count := uint32(4*o.Limit>>shift) + 1
	stride := uintptr(int64(unitsFor(255, o.MaxItem))<<unitShift+pageBytes-1) &^ (pageBytes - 1)
	nlarge := uint32(min(4*o.Limit>>(shift-1), int64(largeSpace/stride)))
	g := &segments{
		shift: shift - unitShift, bytes: 1 << shift, first: count, stride: stride,
		most: 4 * o.Limit, hot: o.HotBytes, spare: 16, used: o.HotBytes,
		meta: make([]segment, count+nlarge), room: make(chan struct{}, 1),
		fresh: 1, freshLarge: count,
	}
	g.meta[0].state.Store(sealedBit)
	if o.Drops {
		g.spare *= 2
	}
	g.limitLocked(o.Limit)
	g.size = [2]uintptr{uintptr(count) << shift, max(uintptr(nlarge)*stride, pageBytes)}
	var err error
	if g.arena, err = reserve(g.size[0]); err != nil {
		return nil, fmt.Errorf("reserve %d bytes of address space for segments: %w", g.size[0], err)
	}
	if shift == maxShift {
		adviseHuge(g.arena, g.size[0])
	}
	if g.large, err = reserve(g.size[1]); err != nil {
		return nil, fmt.Errorf("reserve %d bytes of address space for large items: %w", g.size[1], err)
	}
	return g, nil
}

// start opens the first segment, once the index has taken its own first part.
func (g *segments) start() {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, ok := g.takeLocked(0)
	if !ok {
		panic("memtier: no room for one segment in a limit that was checked")
	}
	g.active[young].Store(n)
}

func (g *segments) close() error {
	err := release(g.arena, g.size[0])
	if err2 := release(g.large, g.size[1]); err == nil {
		err = err2
	}
	return err
}

func (g *segments) at(n uint32) unsafe.Pointer {
	if n < g.first {
		return unsafe.Add(g.arena, uintptr(n)<<(g.shift+unitShift))
	}
	return unsafe.Add(g.large, uintptr(n-g.first)*g.stride)
}

// record is the record at a Loc in RAM.
func (g *segments) record(l Loc) record {
	if n := g.number(l); n >= g.first {
		return record{(*header)(g.at(n))}
	}
	return record{(*header)(unsafe.Add(g.arena, uintptr(l)<<unitShift))}
}

// inPlace tells whether the record at l may be overwritten, its value too unless
// that stays the same.
func (g *segments) inPlace(l Loc, same bool) bool {
	n := g.number(l)
	m := &g.meta[n]
	return !m.isVictim() && (same || n < g.first || !m.isWritten())
}

func (g *segments) isLarge(units uint64) bool { return units > 1<<g.shift/2 }

func (g *segments) number(l Loc) uint32 { return uint32(l >> g.shift) }

func (g *segments) loc(n uint32, at uint64) Loc { return Loc(n)<<g.shift | Loc(at) }

// alloc takes units for a record in a segment of that generation; a large one is
// young. The caller is a writer of its segment until
// done, which must follow when a slot points there or never will. spare is how
// many free segments must be left for others.
func (g *segments) alloc(gen generation, units uint64, now uint32, spare int) (Loc, bool) {
	if g.isLarge(units) {
		return g.allocLarge(units, int64(units)<<unitShift, now)
	}
	for {
		n := g.active[gen].Load()
		if at, ok := g.meta[n].reserve(units, 1<<g.shift); ok {
			return g.loc(n, at), true
		}
		if !g.rotate(gen, n, now, spare) {
			return 0, false
		}
	}
}

func (g *segments) done(l Loc) {
	n := g.number(l)
	if g.meta[n].state.Add(^uint64(oneWriter-1))&(leftBit|writers) == leftBit {
		g.mu.Lock()
		g.doom = append(g.doom, n)
		g.ripe.Store(true)
		g.mu.Unlock()
		return
	}
	g.doomIdle(n)
}

// rotate replaces the active segment of a generation if it still is n.
func (g *segments) rotate(gen generation, n, now uint32, spare int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.active[gen].Load() != n {
		return true
	}
	next, ok := g.takeLocked(spare)
	if ok {
		g.meta[next].opened, g.meta[next].gen = now, gen
		if n != 0 {
			g.sealLocked(n, now)
		}
		g.active[gen].Store(next)
	}
	g.signalLowLocked()
	return ok
}

func (g *segments) sealLocked(n, now uint32) {
	m := &g.meta[n]
	m.state.Or(sealedBit)
	m.sealedAt = now
	g.linkLocked(n)
	g.doomLocked(n)
}

func (g *segments) signal() {
	select {
	case g.room <- struct{}{}:
	default:
	}
}
