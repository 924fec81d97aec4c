package memtier

// Get looks a key up. On a Hit the value is appended to dst, or, if it is a large
// one and loan is not nil, lent: then dst is as it was. OnFlash means that
// a slot matches, not that the key does: the record at it.Loc has to be read to
// know. Expired means that the slot was dropped; if it.Loc is on flash, that
// record is dead.
func (t *Tier) Get(h uint64, key, dst []byte, now uint32, loan *Loan) ([]byte, Item, Status) {
	s := t.lock(h)
	p := t.findLocked(s, h)
	if p == nil {
		s.count.answer(Miss)
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
			s.count.answer(Miss)
			s.mu.Unlock()
			return dst, Item{}, Miss
		}
		if !t.lend(it.Loc, r, loan) {
			dst = append(dst, r.value()...)
		}
		r.describe(&it)
		r.stamp(now)
		st = Hit
	}
	p.touch()
	s.count.answer(st)
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

// Look says what a lookup does beside finding the item.
type Look uint8

// What a lookup may do.
const (
	WithValue Look = 1 << iota // append the value to dst, or lend it, as Get does
	AsRead                     // count as a read
)

// GetQuiet is Get that leaves no trace at the item: it counts as no read of it.
func (t *Tier) GetQuiet(h uint64, key, dst []byte, now uint32, loan *Loan) ([]byte, Item, Status) {
	defer t.segs.reap() // last, when the shard is free
	s := t.lock(h)
	defer s.mu.Unlock()
	_, r, it, st := t.lookLocked(s, h, key, now)
	s.count.answer(st)
	if st == Hit && !t.lend(it.Loc, r, loan) {
		dst = append(dst, r.value()...)
	}
	return dst, it, st
}

// Touch gives an item in RAM a new exptime. The Item has the old one. The answer
// is Hit, Miss, Expired, as of Get, or OnFlash: nothing was changed then, see
// SetExptimeAt.
func (t *Tier) Touch(h uint64, key, dst []byte, exptime, now uint32, look Look, loan *Loan) ([]byte, Item, Status) {
	defer t.segs.reap() // last, when the shard is free
	s := t.lock(h)
	defer s.mu.Unlock()
	p, r, it, st := t.lookLocked(s, h, key, now)
	if look&WithValue != 0 {
		s.count.answer(st)
	}
	if st != Hit {
		return dst, it, st
	}
	p.setExptime(exptime)
	if look&WithValue != 0 && !t.lend(it.Loc, r, loan) {
		dst = append(dst, r.value()...)
	}
	if look&AsRead != 0 {
		r.stamp(now)
		p.touch()
	}
	return dst, it, Hit
}

// lookLocked finds an item in a locked shard and changes nothing, unless its
// time has passed. The record is that of a Hit.
func (t *Tier) lookLocked(s *shard, h uint64, key []byte, now uint32) (*slot, record, Item, Status) {
	p := t.findLocked(s, h)
	if p == nil {
		return nil, record{}, Item{}, Miss
	}
	it := p.item()
	switch {
	case p.expired(now):
		return nil, record{}, it, t.dropExpiredLocked(s, p, key)
	case it.Loc.OnFlash():
		return p, record{}, it, OnFlash
	}
	r := t.segs.record(it.Loc)
	if !r.hasKey(key) {
		return nil, record{}, Item{}, Miss
	}
	r.describe(&it)
	return p, r, it, Hit
}

// SetExptimeAt gives an item on flash a new exptime, if it still is at loc.
func (t *Tier) SetExptimeAt(h uint64, loc Loc, exptime uint32, look Look) bool {
	s := t.lock(h)
	defer s.mu.Unlock()
	p := t.findLocked(s, h)
	if p == nil || p.loc() != loc {
		return false
	}
	p.setExptime(exptime)
	if look&AsRead != 0 {
		p.touch()
	}
	return true
}
