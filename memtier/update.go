package memtier

// An update is a value on its way into a record: head and tail in a row, one of
// which may be the value of the record that it replaces; or a number.
type update struct {
	key, head, tail []byte
	number          uint64
	width           int // of the number, with the spaces behind it; 0 if it is none
	flags, exptime  uint32
	cas             uint64
	state           State
	keepExptime     bool // that of the slot holds
	keepState       bool // reads that the slot has counted are part of the state
	same            bool // the value is the one that is there
	staged          Loc  // a large record with the value in it, or 0
	atime, now      uint32
}

func (u *update) size() int {
	if u.width > 0 {
		return u.width
	}
	return len(u.head) + len(u.tail)
}

// count makes the value a number, of width bytes at least: one that became
// shorter keeps its length, with spaces behind it.
func (u *update) count(n uint64, width int) { u.number, u.width = n, max(width, digits(n)) }

// keep leaves the value and all that is known of it as it was.
func (u *update) keep(was before) {
	u.head, u.tail, u.same = was.value, nil, true
	u.state, u.keepState, u.atime = was.state, true, was.atime
}

// writeLocked makes the slot p of a locked shard, empty or not, point at u: in
// place of old, the record of the same key that p points at, if that is there
// and has room, or else in a new record. It reports false if there is no
// memory.
func (t *Tier) writeLocked(s *shard, p *slot, tag uint64, old record, u *update) bool {
	if old.header != nil && u.staged == 0 && old.fits(u.size()) && t.segs.inPlace(p.loc(), u.same) {
		s.count.valueBytes += int64(u.size() - old.valLen())
		if !u.same {
			u.fill(old)
			p.overwrite()
		}
		old.set(u.size(), u.state)
		u.stamp(old)
		p.setExptime(u.exptime)
		return true
	}
	l := u.staged
	if l == 0 {
		var ok bool
		units := unitsFor(len(u.key), u.size())
		if l, ok = t.segs.alloc(young, units, u.now, 1); !ok {
			return false
		}
		defer t.segs.done(l)
		r := t.segs.record(l)
		r.init(u.key, u.size(), units, u.state)
		u.fill(r)
		u.stamp(r)
	} else {
		r := t.segs.record(l)
		r.set(u.size(), u.state)
		u.stamp(r)
	}
	to := makeSlot(tag, l, 0, u.exptime)
	switch {
	case u.same:
		to.setAccess(p.access())
	case !p.empty():
		to.overwrite()
	}
	t.setLocked(s, p, to)
	return true
}

// fill writes the value. The tail goes first: if it is the value that is being
// overwritten, it has to move out of the way.
func (u *update) fill(r record) {
	v := r.room()[:u.size()]
	if u.width > 0 {
		AppendNumber(v[:0], u.number, u.width)
		return
	}
	copy(v[len(u.head):], u.tail)
	copy(v, u.head)
}

// stamp writes what changes with the value.
func (u *update) stamp(r record) { r.cas, r.flags, r.atime = u.cas, u.flags, u.atime }
