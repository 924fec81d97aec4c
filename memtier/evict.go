package memtier

// TakeOldest takes the segment of its generation that was sealed first, if that was
// at least idle seconds ago, and gives it to the caller to empty: each record is
// judged, those to be demoted are written to flash and repointed by Repoint, then Free.
// From now on nothing in it is overwritten in place. Several may be taken at a
// time. A segment that a write is about to point into is passed over.
func (t *Tier) TakeOldest(idle, now uint32) (*Victim, bool) {
	n := t.segs.takeOldest(idle, now)
	if n == 0 {
		return nil, false
	}
	m := &t.segs.meta[n]
	return &Victim{t: t, n: n, end: m.used(), large: n >= t.segs.first, keeps: t.keeper.threshold()}, true
}

// SealActive seals the segments that are being written, if they were begun at least
// idle seconds ago and have something in them, so that TakeOldest can take them. It
// reports whether it did.
func (t *Tier) SealActive(idle, now uint32) (sealed bool) {
	defer t.segs.reap()
	for gen := range generations {
		n := t.segs.active[gen].Load()
		if t.segs.begun(n, idle, now) && t.segs.rotate(gen, n, now, 1) {
			sealed = true
		}
	}
	return sealed
}

func (g *segments) begun(n, idle, now uint32) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := &g.meta[n]
	return m.used() > 0 && m.opened+idle <= now
}

// Verdict is what is to become of a record.
type Verdict uint8

// The verdicts. The zero Verdict is Dead.
const (
	Dead   Verdict = iota // no slot points at it
	Lapsed                // it was past its exptime, and its slot dropped
	Kept                  // it was used lately, and stays in RAM
	Demote                // its value was given out; the slot points at it still
)

// Victim is a segment on its way to be free. It belongs to the one goroutine
// that took it.
type Victim struct {
	t       *Tier
	n       uint32
	at, end uint64 // units: after the current record, after the last
	cur     record
	loc     Loc
	hash    uint64
	keeps   threshold
	alive   census // what was judged, and may be kept
	judged  bool   // for the keeper to learn from
	kept    uint64 // units copied to the newest of the kept
	large   bool
	stay    bool   // a large one that is kept
	stayed  uint32 // since when, unix seconds
}

// Next goes to the next record; false after the last.
func (v *Victim) Next() bool {
	if v.at >= v.end {
		return false
	}
	v.loc = v.t.segs.loc(v.n, v.at)
	v.cur = v.t.segs.record(v.loc)
	v.at += v.cur.extent()
	v.hash = v.t.Hash(v.cur.key())
	return true
}

// Rewind goes back before the first record, to judge what is still there again.
func (v *Victim) Rewind() { v.at, v.alive = 0, census{} }

// Hash is the hash of the current record's key.
func (v *Victim) Hash() uint64 { return v.hash }

// Key is the current record's key, good until Free.
func (v *Victim) Key() []byte { return v.cur.key() }

// Loc is where the current record is.
func (v *Victim) Loc() Loc { return v.loc }

// ValueCap is the longest value that the current record can have, in bytes.
func (v *Victim) ValueCap() int { return len(v.cur.room()) }

// Judge decides about the current record. Only if mayKeep is set is it kept, if
// it is worth it, and no more than three quarters of a segment of each victim. For
// Demote the value is appended to dst, unless that is nil.
func (v *Victim) Judge(now uint32, mayKeep bool, dst []byte) (Verdict, Item, []byte) {
	t := v.t
	v.judged = v.judged || mayKeep
	s := t.lock(v.hash)
	defer s.mu.Unlock()
	p := t.findLocked(s, v.hash)
	if p == nil || p.loc() != v.loc {
		return Dead, Item{}, dst
	}
	it := p.item()
	v.cur.fetched(p)
	v.cur.describe(&it)
	if p.expired(now) {
		t.expireLocked(s, p)
		return Lapsed, it, dst
	}
	if mayKeep && v.keepLocked(s, p, now) {
		it.Loc = p.loc()
		return Kept, it, dst
	}
	if dst == nil {
		return Demote, it, nil
	}
	return Demote, it, append(dst, v.cur.value()...)
}

// Keep has the current record, which was judged Demote and is not to move after
// all, stay in RAM: it is copied to the newest of the kept, if there is one. False says
// that there is no room, or that no slot points at it any more.
func (v *Victim) Keep(now uint32) bool {
	s := v.t.lock(v.hash)
	defer s.mu.Unlock()
	p := v.t.findLocked(s, v.hash)
	return p != nil && p.loc() == v.loc && v.copyLocked(s, p, now)
}

// keepLocked copies the current record, of a locked shard, to the newest segment,
// if it is worth it. A large one stays where it is and becomes the newest by Free.
func (v *Victim) keepLocked(s *shard, p *slot, now uint32) bool {
	units := unitsFor(v.cur.keyLen(), v.cur.valLen())
	w := worth(p.access(), units, v.t.segs.meta[v.n].gen)
	v.alive[w] += units
	if !v.keeps.keeps(p.access(), w, v.hash) || !v.large && v.kept+units > 3<<v.t.segs.shift/4 {
		return false
	}
	return v.copyLocked(s, p, now)
}

func (v *Victim) copyLocked(s *shard, p *slot, now uint32) bool {
	if v.large {
		v.stay, v.stayed = true, now
		p.age()
		return true
	}
	units := unitsFor(v.cur.keyLen(), v.cur.valLen())
	l, ok := v.t.segs.alloc(kept, units, now, 0)
	if !ok {
		return false
	}
	defer v.t.segs.done(l)
	v.kept += units
	r := v.t.segs.record(l)
	r.init(v.cur.key(), v.cur.valLen(), units, v.cur.state())
	copy(r.value(), v.cur.value())
	r.cas, r.flags, r.atime = v.cur.cas, v.cur.flags, v.cur.atime
	to := makeSlot(p.tag(), l, 0, p.exptime())
	to.setAccess(p.access())
	to.age()
	v.t.setLocked(s, p, to)
	return true
}

// Evict drops the current record, if its slot still points at it: for one that
// was judged Demote and has no place on flash.
func (v *Victim) Evict() bool {
	s := v.t.lock(v.hash)
	defer s.mu.Unlock()
	p := v.t.findLocked(s, v.hash)
	if p == nil || p.loc() != v.loc {
		return false
	}
	v.t.evictLocked(s, p)
	return true
}

// Free gives the segment back. Records that a slot still points at are evicted.
func (v *Victim) Free() {
	g := v.t.segs
	if v.judged {
		v.t.keeper.learn(&v.alive, v.end, 1<<g.shift)
	}
	if v.stay {
		g.keepLarge(v.n, v.stayed)
		return
	}
	if g.meta[v.n].live.Load() > 0 {
		for v.at = 0; v.Next(); {
			v.Evict()
		}
	}
	g.leave(v.n)
}

// leave gives an emptied victim back, or leaves that to the last who has it pinned.
func (g *segments) leave(n uint32) {
	if g.meta[n].state.Or(leftBit)&writers == 0 {
		g.giveBack(n)
	}
}

// keepLarge makes a large victim the newest of the sealed, or gives it back if
// its record died meanwhile.
func (g *segments) keepLarge(n, now uint32) {
	if !g.relink(n, now) {
		g.leave(n)
	}
}

func (g *segments) relink(n, now uint32) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := &g.meta[n]
	if m.live.Load() == 0 {
		return false
	}
	m.state.And(^uint64(victimBit))
	m.sealedAt, m.gen = now, kept
	g.linkLocked(n)
	g.doomLocked(n) // its record may have died meanwhile
	return true
}
