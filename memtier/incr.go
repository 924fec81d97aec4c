package memtier

// Incr adds delta to the number in a value or, if decr is set, takes it away.
// It answers Stored and the new number, NotFound, Exists if expectCAS is
// neither 0 nor the item's, NotNumeric, NoRoom, or OnFlash: nothing was changed
// then. The exptime stays.
func (t *Tier) Incr(h uint64, key []byte, delta uint64, decr bool, newCAS, expectCAS uint64, now uint32) (uint64, Item, Status) {
	s := t.lock(h)
	p, r, it, st := t.numberLocked(s, h, key, now)
	var n uint64
	if st == Hit {
		old, ok := ParseNumber(r.value())
		n = Advance(old, delta, decr)
		switch {
		case expectCAS != 0 && expectCAS != r.cas:
			st = Exists
		case !ok:
			st = NotNumeric
		default:
			st = t.countLocked(s, p, r, n, newCAS, now, &it)
		}
	}
	s.mu.Unlock()
	t.segs.reap()
	return n, it, st
}

// numberLocked finds the key's record in RAM, of a locked shard: Hit, NotFound
// or OnFlash.
func (t *Tier) numberLocked(s *shard, h uint64, key []byte, now uint32) (*slot, record, Item, Status) {
	p := t.findLocked(s, h)
	if p == nil {
		return nil, record{}, Item{}, NotFound
	}
	it := p.item()
	switch {
	case p.expired(now):
		t.expireLocked(s, p)
		return nil, record{}, it, NotFound
	case it.Loc.OnFlash():
		return p, record{}, it, OnFlash
	}
	r := t.segs.record(it.Loc)
	if !r.hasKey(key) {
		return nil, record{}, Item{}, NotFound
	}
	r.describe(&it)
	return p, r, it, Hit
}

// countLocked writes n over the value of r. A number that became shorter than
// the value leaves its length.
func (t *Tier) countLocked(s *shard, p *slot, r record, n, cas uint64, now uint32, it *Item) Status {
	var digits [20]byte
	text := AppendNumber(digits[:0], n, min(r.valLen(), len(digits)))
	u := update{key: r.key(), head: text, flags: r.flags, exptime: p.exptime(), cas: cas, now: now}
	if r.valLen() > len(text) {
		u.tail = r.value()[len(text):]
	}
	if !t.writeLocked(s, p, p.tag(), r, &u) {
		return NoRoom
	}
	r = t.segs.record(p.loc())
	for rest := r.value()[len(text):]; len(rest) > 0; rest = rest[1:] {
		rest[0] = ' '
	}
	*it = p.item()
	r.describe(it)
	return Stored
}
