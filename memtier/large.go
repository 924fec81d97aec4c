package memtier

// allocLarge takes a large segment of its own for a record.
func (g *segments) allocLarge(units uint64, now uint32) (Loc, bool) {
	size := (int64(units)<<unitShift + pageBytes - 1) &^ (pageBytes - 1)
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.numberLocked()
	if n == 0 || !g.claimLocked(size) {
		g.wanted = max(g.wanted, size)
		g.bareLarge = appendNonzero(g.bareLarge, n)
		g.signal()
		return 0, false
	}
	m := &g.meta[n]
	m.opened, m.size, m.doomed = now, size, false
	m.state.Store(units | oneWriter)
	g.sealLocked(n, now)
	g.wanted = 0
	g.signalLowLocked()
	return g.loc(n, 0), true
}

// numberLocked is a large segment without memory, 0 if there is none.
func (g *segments) numberLocked() uint32 {
	if k := len(g.bareLarge); k > 0 {
		n := g.bareLarge[k-1]
		g.bareLarge = g.bareLarge[:k-1]
		return n
	}
	if int(g.freshLarge) == len(g.meta) {
		return 0
	}
	g.freshLarge++
	return g.freshLarge - 1
}

func appendNonzero(list []uint32, n uint32) []uint32 {
	if n != 0 {
		list = append(list, n)
	}
	return list
}

// abandon is told that no slot points at l any more. The memory of a large
// record is given back by the next reap; not here, because it takes a while and
// the shard is locked. A victim's is left to the one who took it.
func (g *segments) abandon(l Loc) {
	n := g.number(l)
	if n < g.first {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	m := &g.meta[n]
	m.doomed = true
	if !m.isVictim() {
		g.unlinkLocked(n)
		g.doom = append(g.doom, n)
		g.ripe.Store(true)
	}
}

// reap gives back what was abandoned. No shard is locked.
func (g *segments) reap() {
	if !g.ripe.Load() {
		return
	}
	for n := g.doomed(); n != 0; n = g.doomed() {
		g.giveBack(n)
	}
}

func (g *segments) doomed() uint32 {
	g.mu.Lock()
	defer g.mu.Unlock()
	k := len(g.doom)
	if k == 0 {
		g.ripe.Store(false)
		return 0
	}
	n := g.doom[k-1]
	g.doom = g.doom[:k-1]
	return n
}
