package memtier

// Store writes an item to RAM: Stored, or why not. NotStored, Exists, NotFound
// and NotNumeric are failed conditions; OnFlash says that they have to be judged
// by a record on flash, see Found. After NoRoom, TooLarge and a failed condition
// the old value stands; a caller who must not leave it calls Delete.
//
// A value that fits the record it replaces is written in place. A slot of
// another key with the same tag is displaced, which is an eviction.
func (t *Tier) Store(w *Write, now uint32) Status {
	w.reset()
	if len(w.Value) > t.item || len(w.Key) > maxKey {
		return TooLarge
	}
	u := w.update(now)
	known := w.Mode < Append // what will be written, without a look at the index
	if w.Found.Loc != 0 {
		known = true
		if st := w.plan(&u, w.Found.before()); st != Stored {
			return st
		}
		if w.tooLarge(&u, t.item) {
			return TooLarge
		}
	}
	u.staged = w.Received.loc
	if units := unitsFor(len(w.Key), u.size()); known && u.staged == 0 && t.segs.isLarge(units) {
		if st := t.stage(&u, units); st != Stored {
			return st
		}
	}
	st := t.tryStore(w, &u)
	if st == crowded {
		if w.Found.Loc == 0 { // what there is may have changed: plan anew
			staged := u.staged
			u = w.update(now)
			u.staged = staged
		}
		st = t.tryStore(w, &u)
	}
	if st == crowded {
		st = NoRoom
	}
	switch {
	case w.Received.loc == 0 && u.staged != 0:
		t.segs.done(u.staged)
	case w.Received.loc != 0 && st == Stored:
		w.Received.Drop()
	}
	t.segs.reap()
	return st
}

// stage writes a large record before the shard is locked, as that takes long.
func (t *Tier) stage(u *update, units uint64) Status {
	l, ok := t.segs.alloc(young, units, u.now, 1)
	if !ok {
		if int64(units)<<unitShift > t.segs.largest() {
			return TooLarge
		}
		return NoRoom
	}
	r := t.segs.record(l)
	r.init(u.key, u.size(), units, u.state)
	u.fill(r)
	u.staged = l
	return Stored
}

// tryStore may answer crowded once, for a table that then grows.
func (t *Tier) tryStore(w *Write, u *update) Status {
	s := t.lockRoomy(w.Hash)
	defer s.mu.Unlock()
	return t.storeLocked(s, w, u)
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

func (t *Tier) storeLocked(s *shard, w *Write, u *update) Status {
	p := t.findLocked(s, w.Hash)
	var old record // of the same key, in RAM
	if p != nil {
		w.OldItem = p.item()
		w.Found.describe(&w.OldItem)
		switch {
		case p.expired(u.now):
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
	if st := t.judgeLocked(w, p, old, u); st != Stored {
		return st
	}
	return t.applyLocked(s, p, old, w, u)
}

// judgeLocked decides by the slot, nil if there is none, and the key's own
// record in RAM if there is one, and completes u by them.
func (t *Tier) judgeLocked(w *Write, p *slot, old record, u *update) Status {
	onFlash := p != nil && p.onFlash()
	switch {
	case w.Found.Loc != 0:
		if !onFlash || p.loc() != w.Found.Loc {
			return Changed
		}
	case w.blind():
		return Stored
	case onFlash:
		w.Displaced, w.DisplacedClass = p.loc(), p.class()
		return OnFlash
	default:
		if st := w.plan(u, beforeOf(old)); st != Stored {
			return st
		}
		if w.tooLarge(u, t.item) {
			return TooLarge
		}
	}
	if u.keepExptime {
		u.exptime = p.exptime()
	}
	if u.keepState && p.reads() > 0 {
		u.state |= Fetched
	}
	return Stored
}

// displace notes that a slot leaves it, if it is a flash record.
func (w *Write) displace(it Item) {
	if it.Loc.OnFlash() {
		w.Displaced, w.DisplacedClass, w.HasDisplaced = it.Loc, it.Class, true
	}
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
	class, was := 0, *p
	if foreign {
		class = t.class(p)
	}
	if !t.writeLocked(s, p, tagOf(w.Hash), old, u) {
		return NoRoom
	}
	w.displace(leaving)
	w.NewItem = p.item()
	t.segs.record(w.NewItem.Loc).describe(&w.NewItem)
	if foreign {
		s.count.collisions++
		t.countEvicted(s, class, was)
	}
	return Stored
}
