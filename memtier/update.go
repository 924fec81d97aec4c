package memtier

// An update is a value on its way into a record: head and tail in a row. One of
// them may be the value of the record that it replaces.
type update struct {
	key, head, tail []byte
	flags, exptime  uint32
	cas             uint64
	staged          Loc // a large record with head in it, or 0
	now             uint32
}

func (u *update) size() int { return len(u.head) + len(u.tail) }

// join puts the old value before or behind what is in head.
func (u *update) join(m Mode, old record, p *slot) {
	u.tail = old.value()
	if m == Append {
		u.head, u.tail = u.tail, u.head
	}
	u.flags, u.exptime = old.flags, p.exptime()
}

// writeLocked makes the slot p of a locked shard, empty or not, point at u: in
// place of old, the record of the same key that p points at, if that is there
// and has room, or else in a new record. It reports false if there is no
// memory.
func (t *Tier) writeLocked(s *shard, p *slot, tag uint64, old record, u *update) bool {
	if old.header != nil && u.staged == 0 && old.fits(u.size()) && t.segs.inPlace(p.loc()) {
		s.count.valueBytes += int64(u.size() - old.valLen())
		u.fill(old)
		p.setExptime(u.exptime)
		p.overwrite()
		return true
	}
	l := u.staged
	if l == 0 {
		var ok bool
		units := unitsFor(len(u.key), u.size())
		if l, ok = t.segs.alloc(units, u.now, 1); !ok {
			return false
		}
		defer t.segs.done(l)
		r := t.segs.record(l)
		r.init(u.key, u.size(), units)
		u.fill(r)
	} else {
		t.segs.record(l).stampWrite(u)
	}
	t.setLocked(s, p, makeSlot(tag, l, 0, u.exptime))
	return true
}

// fill writes the value and all that changes with it. The tail goes first: if
// it is the value that is being overwritten, it has to move out of the way.
func (u *update) fill(r record) {
	r.setValLen(u.size())
	v := r.value()
	copy(v[len(u.head):], u.tail)
	copy(v, u.head)
	r.stampWrite(u)
}

func (r record) stampWrite(u *update) {
	r.cas, r.flags, r.atime = u.cas, u.flags, u.now
}
