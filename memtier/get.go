package memtier

// Get looks a key up. On a Hit the value is appended to dst. OnFlash means that
// a slot matches, not that the key does: the record at it.Loc has to be read to
// know. Expired means that the slot was dropped; if it.Loc is on flash, that
// record is dead.
func (t *Tier) Get(h uint64, key, dst []byte, now uint32) ([]byte, Item, Status) {
	s := t.lock(h)
	p := t.findLocked(s, h)
	if p == nil {
		s.mu.Unlock()
		return dst, Item{}, Miss
	}
	it := p.item()
	if p.expired(now) {
		st := t.dropExpiredLocked(s, p, key)
		s.mu.Unlock()
		t.segs.reap()
		return dst, it, st
	}
	st := OnFlash
	if !it.Loc.OnFlash() {
		r := t.segs.record(it.Loc)
		if !r.hasKey(key) {
			s.mu.Unlock()
			return dst, Item{}, Miss
		}
		dst = append(dst, r.value()...)
		r.describe(&it)
		r.stamp(now)
		st = Hit
	}
	p.touch()
	s.mu.Unlock()
	return dst, it, st
}

// dropExpiredLocked drops a slot past its time, and tells whether it was the
// key's own.
func (t *Tier) dropExpiredLocked(s *shard, p *slot, key []byte) Status {
	st := Expired
	if !p.onFlash() && !t.segs.record(p.loc()).hasKey(key) {
		st = Miss
	}
	t.expireLocked(s, p)
	return st
}

// Touch gives an item in RAM a new exptime and, if want is set, appends its
// value to dst and counts a read. The answer is Hit, Miss, Expired as of Get,
// or OnFlash: nothing was changed then, see SetExptimeAt.
func (t *Tier) Touch(h uint64, key, dst []byte, exptime, now uint32, want bool) ([]byte, Item, Status) {
	defer t.segs.reap() // last, when the shard is free
	s := t.lock(h)
	defer s.mu.Unlock()
	p := t.findLocked(s, h)
	if p == nil {
		return dst, Item{}, Miss
	}
	it := p.item()
	switch {
	case p.expired(now):
		return dst, it, t.dropExpiredLocked(s, p, key)
	case it.Loc.OnFlash():
		return dst, it, OnFlash
	}
	r := t.segs.record(it.Loc)
	if !r.hasKey(key) {
		return dst, Item{}, Miss
	}
	p.setExptime(exptime)
	it.Exptime = exptime
	r.describe(&it)
	r.stamp(now)
	if want {
		dst = append(dst, r.value()...)
		p.touch()
	}
	return dst, it, Hit
}

// SetExptimeAt gives an item on flash a new exptime, if it still is at loc.
func (t *Tier) SetExptimeAt(h uint64, loc Loc, exptime uint32) bool {
	s := t.lock(h)
	defer s.mu.Unlock()
	p := t.findLocked(s, h)
	if p == nil || p.loc() != loc {
		return false
	}
	p.setExptime(exptime)
	return true
}
