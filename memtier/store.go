package memtier

// Mode says under which condition Store stores.
type Mode uint8

// The modes. Append and Prepend keep the flags and the exptime of the item.
const (
	Set     Mode = iota
	Add          // only if there is none
	Replace      // only if there is one
	CAS          // only if its CAS is Write.Expect
	Append       // behind the value there is
	Prepend      // before it
)

// Write is what Store is asked to do, and what came of it.
type Write struct {
	Hash           uint64
	Key, Value     []byte
	Flags, Exptime uint32
	NewCAS         uint64
	Mode           Mode
	Expect         uint64 // the CAS that Mode CAS compares with

	// At, if not 0, is the flash record that the caller has read, verified
	// and judged the conditions by. Store then only checks that the slot is
	// still there, and stores Value as it is; otherwise it answers Changed.
	At Loc
	// KeepExptime, with At, keeps the exptime that the slot has by now.
	KeepExptime bool

	// What follows is set by Store, whatever it answers.

	// Displaced is the flash record that this write made dead, if
	// HasDisplaced; of an OnFlash answer, the one that has to be read.
	Displaced      Loc
	DisplacedClass uint8
	HasDisplaced   bool
	// OldItem is what was known of the item before; zero if there was none.
	OldItem Item
	// NewLoc is where the value is now, if it was stored.
	NewLoc Loc
}

// Store writes an item to RAM: Stored, or why not. NotStored, Exists and
// NotFound are failed conditions; OnFlash says that the condition has to be
// judged by a record on flash, see At. After NoRoom, TooLarge and a failed
// condition the old value stands; a caller who must not leave it calls Delete.
//
// A value that fits the record it replaces is written in place. A slot of
// another key with the same tag is displaced, which is an eviction.
func (t *Tier) Store(w *Write, now uint32) Status {
	w.Displaced, w.DisplacedClass, w.HasDisplaced, w.OldItem, w.NewLoc = 0, 0, false, Item{}, 0
	if len(w.Value) > t.item || len(w.Key) > maxKey {
		return TooLarge
	}
	var staged Loc
	if units := unitsFor(len(w.Key), len(w.Value)); t.segs.isLarge(units) && w.Mode < Append {
		var st Status
		if staged, st = t.stage(w, units, now); st != Stored {
			return st
		}
	}
	st := t.tryStore(w, staged, now)
	if st == crowded {
		st = t.tryStore(w, staged, now)
	}
	if st == crowded {
		st = NoRoom
	}
	if staged != 0 {
		t.segs.done(staged)
		if st != Stored {
			t.segs.abandon(staged)
		}
	}
	t.segs.reap()
	return st
}

// stage writes a large record before the shard is locked, as that takes long.
func (t *Tier) stage(w *Write, units uint64, now uint32) (Loc, Status) {
	l, ok := t.segs.alloc(units, now, 1)
	if !ok {
		if int64(units)<<unitShift > t.segs.largest() {
			return 0, TooLarge
		}
		return 0, NoRoom
	}
	r := t.segs.record(l)
	r.init(w.Key, len(w.Value), units)
	copy(r.value(), w.Value)
	return l, Stored
}

// tryStore may answer crowded once, for a table that then grows.
func (t *Tier) tryStore(w *Write, staged Loc, now uint32) Status {
	s := t.lockRoomy(w.Hash)
	defer s.mu.Unlock()
	return t.storeLocked(s, w, staged, now)
}

// lockRoomy locks the shard of a hash after making room in it, if it can.
func (t *Tier) lockRoomy(h uint64) *shard {
	for {
		s := t.lock(h)
		if s.used < s.crowd || !t.index.grow(s) {
			return s
		}
		s.mu.Unlock()
	}
}

func (t *Tier) storeLocked(s *shard, w *Write, staged Loc, now uint32) Status {
	p := t.findLocked(s, w.Hash)
	var old record // of the same key, in RAM
	if p != nil {
		w.OldItem = p.item()
		switch {
		case p.expired(now):
			w.displace(w.OldItem)
			t.expireLocked(s, p)
			p = nil
		case !p.onFlash():
			if r := t.segs.record(p.loc()); r.hasKey(w.Key) {
				old = r
				old.describe(&w.OldItem)
			}
		}
	}
	if st := w.judge(p, old); st != Stored {
		return st
	}
	u := update{key: w.Key, head: w.Value, flags: w.Flags, exptime: w.Exptime, cas: w.NewCAS, staged: staged, now: now}
	if w.At == 0 && w.Mode >= Append {
		u.join(w.Mode, old, p)
		if u.size() > t.item {
			return TooLarge
		}
	} else if w.At != 0 && w.KeepExptime {
		u.exptime = p.exptime()
	}
	return t.applyLocked(s, p, old, w, &u)
}

// displace notes that a slot leaves it, if it is a flash record.
func (w *Write) displace(it Item) {
	if it.Loc.OnFlash() {
		w.Displaced, w.DisplacedClass, w.HasDisplaced = it.Loc, it.Class, true
	}
}

// judge decides by the mode, given the slot or nil, and the key's own record in
// RAM if there is one.
func (w *Write) judge(p *slot, old record) Status {
	onFlash := p != nil && p.onFlash()
	switch {
	case w.At != 0:
		if !onFlash || p.loc() != w.At {
			return Changed
		}
	case w.Mode == Set:
	case onFlash:
		w.Displaced, w.DisplacedClass = p.loc(), p.class()
		return OnFlash
	case w.Mode == Add:
		if old.header != nil {
			return NotStored
		}
	case old.header == nil:
		if w.Mode == CAS {
			return NotFound
		}
		return NotStored
	case w.Mode == CAS && old.cas != w.Expect:
		return Exists
	}
	return Stored
}

// applyLocked carries a write out whose conditions hold.
func (t *Tier) applyLocked(s *shard, p *slot, old record, w *Write, u *update) Status {
	if p == nil {
		var lost Item
		if p = t.insertLocked(s, w.Hash, u.now, &lost); p == nil {
			return crowded
		}
		w.displace(lost)
	}
	leaving := p.item()
	foreign := !p.empty() && !leaving.Loc.OnFlash() && old.header == nil
	unread := p.reads() == 0
	if !t.writeLocked(s, p, tagOf(w.Hash), old, u) {
		return NoRoom
	}
	w.displace(leaving)
	w.NewLoc = p.loc()
	if foreign {
		s.count.collisions++
		s.count.evictions++
		if unread {
			s.count.evictedUnread++
		}
	}
	return Stored
}
