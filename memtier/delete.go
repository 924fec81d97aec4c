package memtier

// Delete drops an item; it.Loc says what died. A slot on flash whose tag
// matches is dropped unread: should it be of another key, which happens once
// in 2^50 keys, that key is evicted. An item past its exptime is NotFound, and
// dropped all the same.
func (t *Tier) Delete(h uint64, key []byte, now uint32) (Item, Status) {
	s := t.lock(h)
	it, st := t.deleteLocked(s, h, key, now)
	s.mu.Unlock()
	t.segs.reap()
	return it, st
}

func (t *Tier) deleteLocked(s *shard, h uint64, key []byte, now uint32) (Item, Status) {
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

// Repoint points a slot at a record that was moved, if it still is what was
// moved: at old and, for a record in RAM, with the same CAS. For one on flash
// cas is 0. The exptime stays, and is returned: it may have been changed since
// the record was copied. Reads are forgotten.
func (t *Tier) Repoint(h uint64, old Loc, cas uint64, to Loc, class uint8) (exptime uint32, ok bool) {
	s := t.lock(h)
	p := t.findLocked(s, h)
	ok = p != nil && p.loc() == old && (old.OnFlash() || t.segs.record(old).cas == cas)
	if ok {
		if !old.OnFlash() {
			t.segs.settle(old)
		}
		exptime = p.exptime()
		t.setLocked(s, p, makeSlot(p.tag(), to, class, exptime))
	}
	s.mu.Unlock()
	t.segs.reap()
	return exptime, ok
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
