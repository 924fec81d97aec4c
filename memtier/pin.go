package memtier

// A large record may be pinned: while its value is being received, and while it is
// being sent from where it is. A pinned segment is not emptied and its record not
// overwritten in place; if its record dies or moves to flash meanwhile, its memory
// stays until the last pin is gone. What is pinned is a part of the limit that
// nobody can have, so it is bounded; but one of any size may always be pinned.

// pin keeps the large segment at l, into which a slot points whose shard is locked.
// It reports false if that would be too much.
func (g *segments) pin(l Loc) bool {
	n := g.number(l)
	g.mu.Lock()
	defer g.mu.Unlock()
	m := &g.meta[n]
	if m.pins == 0 {
		if g.tooMuchLocked(g.pinned, m.size) {
			return false
		}
		g.pinned += m.size
		m.state.Add(oneWriter)
	}
	m.pins++
	return true
}

// tooMuchLocked tells whether n bytes are too many to be pinned beside others.
func (g *segments) tooMuchLocked(others, n int64) bool {
	return others > 0 && others+n > g.largestLocked()/2
}

// unpin lets go of the large segment at l. No shard is locked.
func (g *segments) unpin(l Loc) {
	g.mu.Lock()
	m := &g.meta[g.number(l)]
	m.pins--
	last := m.pins == 0
	if last {
		g.pinned -= m.size
	}
	g.mu.Unlock()
	if last {
		g.done(l)
		g.reap()
	}
}

// Loan is a value of a large record, to be read where it lies. The zero Loan is
// none.
type Loan struct {
	t     *Tier
	loc   Loc
	value []byte
}

// Value holds until Return, whatever becomes of the item.
func (l *Loan) Value() []byte { return l.value }

// Return ends the loan; after that there is none.
func (l *Loan) Return() {
	if l.t != nil {
		l.t.segs.unpin(l.loc)
		*l = Loan{}
	}
}

// lend lends the value of the record at l, whose shard is locked, if it is a large
// one and loan is not nil. It is false where the value is to be copied.
func (t *Tier) lend(l Loc, r record, loan *Loan) bool {
	return loan != nil && t.segs.number(l) >= t.segs.first && t.lendLarge(l, r, loan)
}

func (t *Tier) lendLarge(l Loc, r record, loan *Loan) bool {
	if !t.segs.pin(l) {
		return false
	}
	*loan = Loan{t: t, loc: l, value: r.value()}
	return true
}
