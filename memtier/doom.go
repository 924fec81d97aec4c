package memtier

// A sealed segment into which no slot points is doomed: it leaves the list of
// segments at once, and reap gives its memory back. Not before, because that takes
// a while for a large one, and whoever took the last slot away has a shard locked.

// settle is told that a slot points at l.
func (g *segments) settle(l Loc) { g.meta[g.number(l)].live.Add(1) }

// abandon is told that a slot that pointed at l does not any more. Its record is
// not to be looked at after that.
func (g *segments) abandon(l Loc) {
	n := g.number(l)
	g.meta[n].live.Add(-1)
	g.doomIdle(n)
}

// doomIdle dooms segment n if nothing in it is alive. Whoever takes away the last
// of a slot, a writer and the time before sealing finds the other two gone.
func (g *segments) doomIdle(n uint32) {
	if m := &g.meta[n]; !m.isIdle() || m.live.Load() > 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.doomLocked(n)
}

// doomLocked looks at live last: into an idle segment no slot begins to point, so
// what it finds then can only become less.
func (g *segments) doomLocked(n uint32) {
	m := &g.meta[n]
	if !m.isIdle() || m.live.Load() > 0 {
		return
	}
	m.state.Or(victimBit) // so that it is doomed once
	g.unlinkLocked(n)
	g.doom = append(g.doom, n)
	g.ripe.Store(true)
}

// reap gives back what was doomed. No shard is locked.
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
