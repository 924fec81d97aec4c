package memtier

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

const (
	firstDepth = 7
	maxDepth   = tagBits + firstDepth - firstBits

	// Index memory is claimed in steps: small ones while the index is small,
	// and whole huge pages above hugeStart.
	smallStep = 64 << 10
	hugeStep  = 2 << 20
	hugeStart = 32 << 20
)

// The index is the memory of all tables and the directory of shards.
//
// It starts with 128 shards of one page. A table grows by an eighth until it
// would have more than 32 pages, then its shard splits in two. So no step ever
// rehashes more than 8192 slots, whatever the size of the index; and as each
// shard has sizes of its own, they grow at different times.
type index struct {
	base unsafe.Pointer
	size uintptr // of the reservation, bytes
	segs *segments
	most int // pages that a shard splits beyond

	dir    atomic.Pointer[directory]
	bytes  atomic.Int64 // all that the index takes of the limit
	longNs atomic.Int64 // longest growth
	grown  atomic.Uint64

	mu      sync.Mutex // guards what follows, and changes of dir
	free    []uint32   // pages that were in a table before
	fresh   uint32     // pages from here on have never been used
	claimed uint32     // pages paid for
	all     []*shard
}

// directory finds a shard by the first bits of a hash.
type directory struct {
	shift  uint
	shards []atomic.Pointer[shard]
}

func newIndex(o Options, segs *segments) (*index, error) {
	x := &index{size: uintptr(4*o.Limit) &^ (hugeStep - 1), segs: segs, most: maxPages}
	base, err := reserve(x.size)
	if err != nil {
		return nil, fmt.Errorf("reserve %d bytes of address space for the index: %w", x.size, err)
	}
	x.base = base
	adviseSmall(base, min(x.size, hugeStart))
	adviseHuge(unsafe.Add(base, hugeStart), x.size-min(x.size, hugeStart))
	d := &directory{shift: 64 - firstDepth, shards: make([]atomic.Pointer[shard], 1<<firstDepth)}
	for i := range d.shards {
		s := x.newShard(uint64(i), firstDepth)
		var tab table
		if !x.takePages(&tab, 1) {
			return nil, fmt.Errorf("%w: no room for the index", ErrLimit)
		}
		s.setTable(&tab)
		d.shards[i].Store(s)
	}
	x.dir.Store(d)
	return x, nil
}

func (x *index) close() error { return release(x.base, x.size) }

func (x *index) newShard(prefix uint64, depth uint32) *shard {
	s := &shard{prefix: prefix, depth: depth, id: uint32(len(x.all))}
	x.all = append(x.all, s)
	n := int64(unsafe.Sizeof(*s)) + 2*int64(unsafe.Sizeof(s))
	x.bytes.Add(n)
	x.segs.charge(n)
	return s
}

// takePages makes tab a table of n empty pages. mu is not held, or the index
// not yet shared.
func (x *index) takePages(tab *table, n int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for len(x.free)+int(x.claimed-x.fresh) < n {
		if !x.claimLocked() {
			return false
		}
	}
	for i := range n {
		tab.pages[i] = x.pageLocked()
	}
	tab.buckets = uint32(n * pageBuckets)
	tab.zero(x.base)
	return true
}

func (x *index) pageLocked() uint32 {
	if n := len(x.free); n > 0 {
		p := x.free[n-1]
		x.free = x.free[:n-1]
		return p
	}
	x.fresh++
	return x.fresh - 1
}

// claimLocked takes the next step of memory from the limit.
func (x *index) claimLocked() bool {
	step := x.step(int64(x.claimed) << pageShift)
	if uintptr(x.claimed)<<pageShift+uintptr(step) > x.size || x.atMost() || !x.segs.claim(step) {
		return false
	}
	x.claimed += uint32(step >> pageShift)
	x.bytes.Add(step)
	return true
}

func (x *index) step(bytes int64) int64 {
	if bytes < hugeStart {
		return smallStep
	}
	return hugeStep
}

// atMost tells whether the index has all the memory it may ever have.
func (x *index) atMost() bool {
	n := x.bytes.Load()
	return n+x.step(n) > x.segs.indexMost.Load()
}

func (x *index) givePages(pages []uint32) {
	x.mu.Lock()
	x.free = append(x.free, pages...)
	x.mu.Unlock()
}

// shrink leaves a locked shard with one empty page.
func (x *index) shrink(s *shard) {
	x.givePages(s.tab.pages[1:s.tab.npages()])
	tab := table{buckets: pageBuckets}
	tab.pages[0] = s.tab.pages[0]
	tab.zero(x.base)
	s.setTable(&tab)
}

// sizes are the page counts that shards of one id go through, an eighth more
// each time, from a start that differs from shard to shard.
func (x *index) nextPages(id uint32, over int) int {
	_, frac := math.Modf(float64(id) * math.Phi)
	size := math.Pow(9.0/8, frac)
	for int(size+0.5) <= over {
		size *= 9.0 / 8
	}
	return int(size + 0.5)
}

// grow makes room in a locked shard: a larger table, or two shards of it. It
// reports whether it did; the caller must lock the hash's shard anew.
func (x *index) grow(s *shard) bool {
	start := time.Now()
	n := x.nextPages(s.id, s.tab.npages())
	ok := false
	if n <= x.most || s.depth == maxDepth && n <= maxPages {
		ok = x.widen(s, n)
	} else if s.depth < maxDepth {
		ok = x.split(s)
	}
	if ok {
		x.grown.Add(1)
		storeMax(&x.longNs, int64(time.Since(start)))
	}
	return ok
}

func (x *index) widen(s *shard, n int) bool {
	var tab table
	if !x.takePages(&tab, n) {
		return false
	}
	ok := s.tab.each(x.base, func(p *slot) bool { return x.copySlot(&tab, p) })
	if !ok {
		x.givePages(tab.pages[:n])
		return false
	}
	old := s.tab
	s.setTable(&tab)
	x.givePages(old.pages[:old.npages()])
	return true
}

func (x *index) copySlot(to *table, p *slot) bool {
	q := to.place(x.base, p.tag())
	if q != nil {
		*q = *p
	}
	return q != nil
}

func storeMax(a *atomic.Int64, v int64) {
	for old := a.Load(); v > old && !a.CompareAndSwap(old, v); old = a.Load() {
	}
}
