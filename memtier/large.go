package memtier

// allocLarge takes a large segment of its own for a record, and memory for the
// first bytes of it.
func (g *segments) allocLarge(units uint64, bytes int64, now uint32) (Loc, bool) {
	size := wholePages(bytes)
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.numberLocked()
	if n == 0 || !g.claimLargeLocked(size) {
		g.bareLarge = appendNonzero(g.bareLarge, n)
		return 0, false
	}
	m := &g.meta[n]
	m.opened, m.size, m.gen = now, size, young
	m.live.Store(0)
	m.state.Store(units | oneWriter)
	g.sealLocked(n, now)
	g.signalLowLocked()
	return g.loc(n, 0), true
}

// claimLargeLocked takes memory of the limit for a large segment, or has some made
// free.
func (g *segments) claimLargeLocked(size int64) bool {
	if !g.claimLocked(size) {
		g.wanted = max(g.wanted, size)
		g.signal()
		return false
	}
	g.wanted = 0
	return true
}

func wholePages(n int64) int64 { return (n + pageBytes - 1) &^ (pageBytes - 1) }

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
