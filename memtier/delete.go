package memtier

// Delete drops an item; it.Loc says what died. A slot on flash whose tag
// matches is dropped unread: should it be of another key, which happens once
// in 2^50 keys, that key is evicted. An item past its exptime is NotFound, and
// dropped all the same.
func (t *Tier) Delete(h uint64, key []byte, now uint32) (Item, Status) {
	return t.delete(h, key, now, false, 0)
}

// DeleteIf is Delete of an item that has a certain CAS: Exists if it has another.
// Of one on flash only the record tells: OnFlash then, and nothing was changed;
// see DeleteAt.
func (t *Tier) DeleteIf(h uint64, key []byte, cas uint64, now uint32) (Item, Status) {
	return t.delete(h, key, now, true, cas)
}

func (t *Tier) delete(h uint64, key []byte, now uint32, compare bool, cas uint64) (Item, Status) {
	s := t.lock(h)
	it, st := t.deleteLocked(s, h, key, now, compare, cas)
	s.mu.Unlock()
	t.segs.reap()
	return it, st
}

func (t *Tier) deleteLocked(s *shard, h uint64, key []byte, now uint32, compare bool, cas uint64) (Item, Status) {
	p := t.findLocked(s, h)
	if p == nil {
		return Item{}, NotFound
	}
	it := p.item()
	if !it.Loc.OnFlash() {
		r := t.segs.record(it.Loc)
		if !r.hasKey(key) {
			return Item{}, NotFound
		}
		r.describe(&it)
	}
	if p.expired(now) {
		t.expireLocked(s, p)
		return it, NotFound
	}
	switch {
	case !compare:
	case it.Loc.OnFlash():
		return it, OnFlash
	case it.CAS != cas:
		return it, Exists
	}
	t.dropLocked(s, p)
	return it, Deleted
}

// DeleteAt drops a slot if it still is at loc: a record that turned out bad, or
// one that a reclaimed page takes with it.
func (t *Tier) DeleteAt(h uint64, loc Loc) bool {
	s := t.lock(h)
	p := t.findLocked(s, h)
	ok := p != nil && p.loc() == loc
	if ok {
		t.dropLocked(s, p)
	}
	s.mu.Unlock()
	t.segs.reap()
	return ok
}

// Repoint points a slot at a record that was moved from RAM to flash, if it still
// is what was moved: at old, and with the same CAS. The exptime stays, and is
// returned: it may have been changed since the record was copied. Reads are
// forgotten, but for one that came after Judge had given out the state to move,
// and is not in that.
func (t *Tier) Repoint(h uint64, old Loc, cas uint64, to Loc, class uint8) (exptime uint32, ok bool) {
	s := t.lock(h)
	p := t.findLocked(s, h)
	ok = p != nil && p.loc() == old && t.segs.record(old).cas == cas
	if ok {
		exptime = p.exptime()
		if t.hot != nil {
			t.fresh.note(h, int64(t.segs.record(old).extent()<<unitShift))
		}
		t.moveLocked(s, p, to, class, t.segs.record(old).state()&Fetched != 0)
	}
	s.mu.Unlock()
	t.segs.reap()
	return exptime, ok
}

// Relocate is Repoint of an item that was moved from one place on flash to
// another: what its record says can only have changed if the slot has left old.
// fetched tells whether the record says that the item was read.
func (t *Tier) Relocate(h uint64, old, to Loc, class uint8, fetched bool) (exptime uint32, ok bool) {
	s := t.lock(h)
	defer s.mu.Unlock()
	p := t.findLocked(s, h)
	if p == nil || p.loc() != old {
		return 0, false
	}
	exptime = p.exptime()
	t.moveLocked(s, p, to, class, fetched)
	return exptime, true
}

// moveLocked points a slot of a locked shard at a record on flash, where its item
// was moved to. Of its reads only a first one is kept that the record does not
// know of.
func (t *Tier) moveLocked(s *shard, p *slot, to Loc, class uint8, fetched bool) {
	moved := makeSlot(p.tag(), to, class, p.exptime())
	if p.reads() > 0 && !fetched {
		moved.setAccess(1)
	}
	t.setLocked(s, p, moved)
}

// ExpireAt drops a slot that is past its time, if it still is at loc. there tells
// whether it was.
func (t *Tier) ExpireAt(h uint64, loc Loc, now uint32) (dropped, there bool) {
	s := t.lock(h)
	defer s.mu.Unlock()
	p := t.findLocked(s, h)
	if p == nil || p.loc() != loc {
		return false, false
	}
	if dropped = p.expired(now); dropped {
		t.expireLocked(s, p)
	}
	return dropped, true
}

// LocOf is where the slot of a hash points now, and 0 if there is none. It
// counts as no read.
func (t *Tier) LocOf(h uint64) Loc {
	s := t.lock(h)
	defer s.mu.Unlock()
	if p := t.findLocked(s, h); p != nil {
		return p.loc()
	}
	return 0
}
