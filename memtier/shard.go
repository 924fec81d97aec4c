package memtier

import (
	"sync"
	"unsafe"
)

// A shard is one lock and all that changes under it: a table of the slots whose
// hashes begin with prefix, and counters. It has no pointers, so the garbage
// collector has nothing to trace in it.
type shard struct {
	mu     sync.Mutex
	prefix uint64 // the first depth bits of the hashes it has
	depth  uint32
	id     uint32
	epoch  uint32
	used   uint32 // slots in use
	crowd  uint32 // grow before more than this many are
	flash  uint32 // slots that point to flash
	count  counters
	tab    table
}

// counters are what a shard counts, summed up by Stats. Sizes may be negative in
// one shard: those of a shard that was split stay with one half.
type counters struct {
	hits, misses  uint64 // first, to share the cache line with mu
	valueBytes    int64  // of values in RAM
	classes       [Classes]int32
	evictions     uint64
	evictedUnread uint64
	expired       uint64
	expiredUnread uint64
	collisions    uint64
}

// answer counts a lookup of a value by its outcome. Those that Expired or OnFlash
// are for the caller to count, who has more to do for them.
func (n *counters) answer(st Status) {
	switch st {
	case Hit:
		n.hits++
	case Miss:
		n.misses++
	}
}

// loadNum/loadDen is the share of slots in use beyond which a table grows.
const loadNum, loadDen = 15, 16

func (s *shard) setTable(t *table) {
	s.tab = *t
	s.crowd = uint32(t.slots() * loadNum / loadDen)
}

// lock returns the shard of a hash, locked and of the current epoch. A shard
// may split between the look into the directory and the lock; then its prefix
// says so.
func (t *Tier) lock(h uint64) *shard {
	for {
		d := t.index.dir.Load()
		s := d.shards[h>>(d.shift&63)].Load()
		s.mu.Lock()
		if h>>((64-s.depth)&63) == s.prefix {
			if s.epoch != t.epoch.Load() {
				t.clear(s)
			}
			return s
		}
		s.mu.Unlock()
	}
}

// clear empties a shard, whose mu is held, for FlushAll. Records in RAM are
// found dead when their segment is emptied.
func (t *Tier) clear(s *shard) {
	s.epoch = t.epoch.Load()
	s.used, s.flash, s.count.valueBytes, s.count.classes = 0, 0, 0, [Classes]int32{}
	t.index.shrink(s)
}

// setLocked points an empty or used slot, of a locked shard, at a record.
func (t *Tier) setLocked(s *shard, p *slot, to slot) {
	if p.empty() {
		s.used++
	} else {
		t.forgetLocked(s, p)
	}
	if to.onFlash() {
		s.flash++
	} else {
		r := t.segs.record(to.loc())
		s.count.valueBytes += int64(r.valLen())
		s.count.classes[classOf(r.extent())]++
		t.segs.settle(to.loc())
	}
	*p = to
}

// dropLocked empties a slot of a locked shard.
func (t *Tier) dropLocked(s *shard, p *slot) {
	t.forgetLocked(s, p)
	s.used--
	*p = slot{}
}

// forgetLocked settles what a slot of a locked shard pointed at, before it
// points elsewhere. The record is not to be looked at after that.
func (t *Tier) forgetLocked(s *shard, p *slot) {
	if p.onFlash() {
		s.flash--
		return
	}
	r := t.segs.record(p.loc())
	s.count.valueBytes -= int64(r.valLen())
	s.count.classes[classOf(r.extent())]--
	t.segs.abandon(p.loc())
}

// evictLocked drops a slot of a locked shard to make room.
func (t *Tier) evictLocked(s *shard, p *slot) {
	t.countEvicted(s, t.class(p), *p)
	t.dropLocked(s, p)
}

func (t *Tier) countEvicted(s *shard, class int, p slot) {
	n := &t.left[class]
	n.evicted.Add(1)
	s.count.evictions++
	if p.exptime() != 0 {
		n.evictedTimed.Add(1)
	}
	if p.reads() == 0 {
		s.count.evictedUnread++
		n.evictedUnread.Add(1)
	}
}

// expireLocked drops a slot of a locked shard that is past its time.
func (t *Tier) expireLocked(s *shard, p *slot) {
	s.count.expired++
	if p.reads() == 0 {
		s.count.expiredUnread++
	}
	t.dropLocked(s, p)
}

func (t *Tier) findLocked(s *shard, h uint64) *slot {
	return s.tab.find(t.index.base, tagOf(h))
}

// insertLocked finds an empty slot for a hash that the locked shard does not
// have. When the table is crowded and the index may not grow any more, it evicts
// for it; out then is the flash item that went, if it was one. It returns nil
// when the table has to grow first.
func (t *Tier) insertLocked(s *shard, h uint64, now uint32, out *Item) *slot {
	tag := tagOf(h)
	if s.used < s.crowd || !t.index.atMost() {
		p := s.tab.place(t.index.base, tag)
		if p == nil {
			s.crowd = s.used
		}
		return p
	}
	p := s.tab.coldest(t.index.base, tag, now)
	if p.empty() {
		return p
	}
	if p.onFlash() {
		*out = p.item()
	}
	t.evictLocked(s, p)
	return p
}

// coldest is the least worthy of the slots that stand where tag has to go.
func (t *table) coldest(base unsafe.Pointer, tag uint64, now uint32) *slot {
	i, j := t.pair(tag)
	a, b := t.bucket(base, i), t.bucket(base, j)
	worst := &a[0]
	for k := range a {
		for _, p := range [...]*slot{&a[k], &b[k]} {
			if p.worth(now) < worst.worth(now) {
				worst = p
			}
		}
	}
	return worst
}

func (p *slot) worth(now uint32) uint {
	switch {
	case p.empty():
		return 0
	case p.expired(now):
		return 1
	}
	return 2 + p.access()
}
