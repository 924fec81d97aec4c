package memtier

import (
	"math/bits"
	"unsafe"
)

// A table is a two-choice cuckoo hash of slots. It is made of pages of index
// memory that need not be adjacent. A bucket is four slots, one cache line. The
// two buckets a slot may be in follow from its tag alone, so that a table can
// be rebuilt without reading a key.
type table struct {
	buckets uint32 // 64 a page
	pages   [maxPages]uint32
}

type bucket [bucketSlots]slot

const (
	bucketSlots = 4
	pageShift   = 12
	pageBytes   = 1 << pageShift
	pageBuckets = pageBytes / 64
	pageSlots   = pageBuckets * bucketSlots
	maxPages    = 32

	// Of a hash, the low hashSpare bits are not kept, the next tagBits are the
	// tag, and the rest choose the first shards. Later splits of shards take
	// the tag's own bits from the top; the low firstBits choose a bucket, so
	// that the two stay independent.
	tagBits   = 43
	firstBits = 31
	hashSpare = 64 - tagBits - firstDepth
	tagMask   = 1<<tagBits - 1

	// searchBuckets bounds the search for a chain of moves that frees a slot.
	searchBuckets = 192
)

func tagOf(h uint64) uint64 {
	return max(h>>hashSpare&tagMask, 1)
}

func (t *table) npages() int { return int(t.buckets / pageBuckets) }
func (t *table) slots() int  { return int(t.buckets) * bucketSlots }

// pair gives the two buckets of a tag, which are never the same.
func (t *table) pair(tag uint64) (a, b uint32) {
	n := uint64(t.buckets)
	a = uint32((tag & (1<<firstBits - 1)) * n >> firstBits)
	b = uint32((tag * 0x9e3779b97f4a7c15 >> 32) * n >> 32)
	if a == b {
		if b++; b == t.buckets {
			b = 0
		}
	}
	return a, b
}

func (t *table) bucket(base unsafe.Pointer, i uint32) *bucket {
	page := uintptr(t.pages[i/pageBuckets%maxPages])
	return (*bucket)(unsafe.Add(base, page<<pageShift|uintptr(i%pageBuckets)<<6))
}

// find returns the slot with the tag, or nil. All eight tags are compared
// before the first branch, so that both cache lines are fetched at once.
func (t *table) find(base unsafe.Pointer, tag uint64) *slot {
	i, j := t.pair(tag)
	a, b := t.bucket(base, i), t.bucket(base, j)
	m := same(a[0].tag(), tag) | same(a[1].tag(), tag)<<1 | same(a[2].tag(), tag)<<2 | same(a[3].tag(), tag)<<3 |
		same(b[0].tag(), tag)<<4 | same(b[1].tag(), tag)<<5 | same(b[2].tag(), tag)<<6 | same(b[3].tag(), tag)<<7
	if m == 0 {
		return nil
	}
	k := bits.TrailingZeros32(m)
	if k < bucketSlots {
		return &a[k]
	}
	return &b[k%bucketSlots]
}

func same(a, b uint64) uint32 {
	var r uint32
	if a == b {
		r = 1
	}
	return r
}

func (b *bucket) vacancy() *slot {
	for i := range b {
		if b[i].empty() {
			return &b[i]
		}
	}
	return nil
}

// place finds an empty slot for a tag that the table does not have, moving
// others if it must. It returns nil if the table is too full.
func (t *table) place(base unsafe.Pointer, tag uint64) *slot {
	a, b := t.pair(tag)
	if p := t.bucket(base, a).vacancy(); p != nil {
		return p
	}
	if p := t.bucket(base, b).vacancy(); p != nil {
		return p
	}
	return t.displace(base, a, b)
}

// A step of a search: bucket was reached from slot number from of the step
// number parent.
type step struct {
	bucket uint32
	parent int16
	from   uint8
}

// displace searches breadth first for the shortest chain of moves that leaves
// an empty slot in bucket a or b. A chain never meets a bucket twice: a second
// visit would look at the same neighbours as the first, which found none free.
func (t *table) displace(base unsafe.Pointer, a, b uint32) *slot {
	var path [searchBuckets]step
	path[0], path[1] = step{bucket: a, parent: -1}, step{bucket: b, parent: -1}
	n := 2
	for i := 0; i < n; i++ {
		here := t.bucket(base, path[i].bucket)
		for k := range here {
			x, y := t.pair(here[k].tag())
			other := x + y - path[i].bucket
			if p := t.bucket(base, other).vacancy(); p != nil {
				*p = here[k]
				return t.shift(base, path[:], i, k)
			}
			if n < len(path) {
				path[n] = step{bucket: other, parent: int16(i), from: uint8(k)}
				n++
			}
		}
	}
	return nil
}

// shift empties slot k of step i, which has been copied away, and moves along
// what the steps before it want to put there.
func (t *table) shift(base unsafe.Pointer, path []step, i, k int) *slot {
	p := &t.bucket(base, path[i].bucket)[k]
	for path[i].parent >= 0 {
		from := path[i].from
		i = int(path[i].parent)
		q := &t.bucket(base, path[i].bucket)[from]
		*p, p = *q, q
	}
	*p = slot{}
	return p
}

// each calls f with every slot in use until f returns false.
func (t *table) each(base unsafe.Pointer, f func(*slot) bool) bool {
	for i := range t.buckets {
		b := t.bucket(base, i)
		for k := range b {
			if !b[k].empty() && !f(&b[k]) {
				return false
			}
		}
	}
	return true
}

func (t *table) zero(base unsafe.Pointer) {
	for _, page := range t.pages[:t.npages()] {
		clear(unsafe.Slice((*byte)(unsafe.Add(base, uintptr(page)<<pageShift)), pageBytes))
	}
}
