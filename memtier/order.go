package memtier

// A segment is of one of two generations. What is written begins young; what is
// kept of a segment that is emptied goes on in the other. The young have a tenth of
// the room while there is anything to take from the kept: what is not worth
// keeping is found out soon, as by S3-FIFO's small queue, and does not stay as long
// as what has shown its worth. While nothing is kept the young have all.
//
// The kept have an active segment of their own, so that writers do not take the
// room that the evictor needs.
type generation uint8

const (
	young generation = iota
	kept
	generations

	// youngPart is what share of all sealed segments the young have: one in so many.
	youngPart = 10
	// keptTurnovers is after how many segments emptied, as a multiple of all there
	// are, the kept have their turn in any case. Or what was read once would stay
	// for ever where little else is.
	keptTurnovers = 4
)

// order is the sealed segments of a generation.
type order struct {
	oldest, newest uint32 // 0 none
	bytes          int64
}

// sizeLocked is the memory of segment n.
func (g *segments) sizeLocked(n uint32) int64 {
	if n >= g.first {
		return g.meta[n].size
	}
	return g.bytes
}

func (g *segments) linkLocked(n uint32) {
	m := &g.meta[n]
	o := &g.orders[m.gen]
	m.older, m.newer, m.turn = o.newest, 0, g.turns
	if o.newest != 0 {
		g.meta[o.newest].newer = n
	} else {
		o.oldest = n
	}
	o.newest = n
	o.bytes += g.sizeLocked(n)
}

func (g *segments) unlinkLocked(n uint32) {
	m := &g.meta[n]
	o := &g.orders[m.gen]
	if m.older != 0 {
		g.meta[m.older].newer = m.newer
	} else {
		o.oldest = m.newer
	}
	if m.newer != 0 {
		g.meta[m.newer].older = m.older
	} else {
		o.newest = m.older
	}
	m.older, m.newer = 0, 0
	o.bytes -= g.sizeLocked(n)
}

// nextLocked is the generation whose turn it is to give a segment.
func (g *segments) nextLocked() generation {
	g.turns++
	oldest := g.orders[kept].oldest
	overdue := oldest != 0 && g.turns-g.meta[oldest].turn > keptTurnovers*uint32(g.limit/g.bytes)
	if overdue || (youngPart-1)*g.orders[young].bytes < g.orders[kept].bytes {
		return kept
	}
	return young
}

// takeOldest takes the oldest segment of the generation whose turn it is, or else
// of the other.
func (g *segments) takeOldest(idle, now uint32) uint32 {
	g.mu.Lock()
	defer g.mu.Unlock()
	gen := g.nextLocked()
	if n := g.takeOldestLocked(gen, idle, now); n != 0 {
		return n
	}
	return g.takeOldestLocked(young+kept-gen, idle, now)
}

func (g *segments) takeOldestLocked(gen generation, idle, now uint32) uint32 {
	for n := g.orders[gen].oldest; n != 0; n = g.meta[n].newer {
		m := &g.meta[n]
		if m.sealedAt+idle > now {
			return 0
		}
		if !m.isWritten() {
			g.unlinkLocked(n)
			m.state.Or(victimBit)
			return n
		}
	}
	return 0
}

// oldestLocked is when the oldest segment with something in it was begun.
func (g *segments) oldestLocked() (opened uint32) {
	for gen := range g.orders {
		n := g.orders[gen].oldest
		if n == 0 {
			n = g.active[gen].Load()
		}
		if m := &g.meta[n]; m.used() > 0 && (opened == 0 || m.opened < opened) {
			opened = m.opened
		}
	}
	return opened
}
