// Package memtier is the RAM tier of a cache: an index that knows where every
// item is, a log of RAM segments that holds the new ones, and copies of the
// flash values that are read again and again.
//
//	Tier ──> shard   one lock, one table of slots, all that changes under it
//	     ──> index   the memory of the tables, and which shard has which hash
//	     ──> segments  the log of records, which one is oldest, what is free
//	     ──> hot     ristretto over blocks outside the Go heap
//
// A key is absent, in RAM or on flash:
//
//	absent ──Store──> RAM ─────Repoint─────> flash
//	   ^               │  ^                    │ │
//	   └─Delete, expiry┘  └───Store (Found)────┘ │
//	   └──────Delete, DeleteAt, expiry───────────┘
//
// The tier is passive: it has no goroutine of its own but ristretto's, no
// clock, and knows of the flash tier only the addresses it is given. All of its
// memory is mapped outside the Go heap and accounted for against one limit.
//
// Lock order: a shard's lock, then the index's, then the segments'. No lock is
// held across a wait. A record is only read and written under the lock of its
// key's shard, so nothing needs reference counts: a segment is free once no
// slot points into it.
package memtier

import (
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"

	"github.com/zeebo/xxh3"
)

var (
	// ErrLimit is the error of New when Options.Limit cannot hold what the
	// other options ask for.
	ErrLimit = errors.New("memtier: limit too small")
	// ErrMaxItem is the error of New when Options.MaxItem is out of range.
	ErrMaxItem = errors.New("memtier: largest item out of range")
)

const (
	// LargestItem is the most that Options.MaxItem may be, in bytes.
	LargestItem = 128 << 20
	// minSegments are never given to the index: one to write, one to empty,
	// one for what is kept of it and one to spare.
	minSegments = 4
)

// Options says how large a Tier may become.
type Options struct {
	// Limit is the most memory that index, segments and hot values take
	// together, in bytes. At least 8 MiB more than HotBytes.
	Limit int64
	// HotBytes is the part of Limit set aside for copies of flash values, in
	// bytes. 0 means no hot cache. At most half of Limit.
	HotBytes int64
	// Drops says that what leaves RAM is dropped, so that fewer segments need to be
	// free for those who write meanwhile.
	Drops bool
	// MaxItem is the longest value taken, in bytes. 0 means 1 MiB.
	MaxItem int
	// Seed of the hash. Equal seeds give equal hashes.
	Seed uint64
}

// mostItemBytes is what an item on flash takes of the index at worst.
const mostItemBytes = 20

// MostItems is how many items on flash the index of such a tier has room for, when
// all but what has to be left for values is used for it.
func (o Options) MostItems() int64 {
	return max(0, o.Limit-o.HotBytes-minSegments<<o.segmentShift()) / mostItemBytes
}

// segmentShift is the size of a segment: a power of two.
func (o *Options) segmentShift() uint {
	return uint(max(minShift, min(maxShift, bits.Len64(uint64(o.Limit/64))-1)))
}

func (o *Options) validate() error {
	if o.MaxItem == 0 {
		o.MaxItem = 1 << 20
	}
	if o.MaxItem < 0 || o.MaxItem > LargestItem {
		return fmt.Errorf("%w: %d", ErrMaxItem, o.MaxItem)
	}
	if o.HotBytes < 0 || o.HotBytes > o.Limit/2 || o.Limit-o.HotBytes < 8<<20 {
		return fmt.Errorf("%w: %d bytes, %d of them for hot values", ErrLimit, o.Limit, o.HotBytes)
	}
	return nil
}

// Tier is the RAM tier. Its methods may be called by several goroutines at
// once, but for Close.
type Tier struct {
	index  *index
	segs   *segments
	keeper keeper
	hot    *hot // nil without a hot cache
	seed   uint64
	item   int // longest value, bytes

	// epoch counts calls of FlushAll. A shard whose own epoch is older clears
	// itself as soon as it is locked, so no slot of an older epoch is seen.
	epoch atomic.Uint32

	left [Classes]departures // of items, by class

	fresh  ghosts       // records that moved from segments to flash
	window atomic.Int64 // bytes of the margin that ghosts are judged by
	flowed int64        // of fresh, at the last Margin
}

// New maps the address space of a tier. Memory is used as it fills.
func New(o Options) (*Tier, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	segs, err := newSegments(o)
	if err != nil {
		return nil, err
	}
	t := &Tier{segs: segs, seed: o.Seed, item: o.MaxItem}
	if t.index, err = newIndex(o, segs); err != nil {
		segs.close()
		return nil, err
	}
	if o.HotBytes > 0 {
		if t.hot, err = newHot(o.HotBytes, 4*o.Limit); err != nil {
			t.index.close()
			segs.close()
			return nil, err
		}
	}
	segs.start()
	_, window := segs.margin()
	t.window.Store(window)
	return t, nil
}

// Close gives the memory back. No method may be running, nor be called after.
func (t *Tier) Close() error {
	if t.hot != nil {
		t.hot.close()
	}
	return errors.Join(t.index.close(), t.segs.close())
}

// Hash is the hash by which all methods know a key.
func (t *Tier) Hash(key []byte) uint64 { return xxh3.HashSeed(key, t.seed) }

// FlushAll drops every item. It takes no longer for many than for few: the
// memory is taken back as shards are next used and as segments grow old.
func (t *Tier) FlushAll() { t.epoch.Add(1) }

// SetLimit changes Options.Limit. What is over a lower limit goes back as
// segments are emptied; a higher one is cut at four times the first limit.
func (t *Tier) SetLimit(bytes int64) { t.segs.setLimit(bytes) }

// Least is the lowest limit that would do, in bytes, with the index as it is.
func (t *Tier) Least() int64 {
	return t.index.bytes.Load() + minSegments*t.segs.bytes + t.HotLeast()
}

// Room is signalled when free segments fall below the low water mark and when a
// write found no room: time to empty some.
func (t *Tier) Room() <-chan struct{} { return t.segs.room }

// FreeSegments counts the segments that could be filled now. It is negative
// after SetLimit took memory away that is still in use.
func (t *Tier) FreeSegments() int { return t.segs.available() }

// LowWater is the count of free segments below which some should be emptied.
func (t *Tier) LowWater() int { return t.segs.lowWater() }
