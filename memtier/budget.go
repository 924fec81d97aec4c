package memtier

// Every byte of index, segments and hot values is in segments.used, from before
// it is touched until after it has been given back. Free segments keep their
// memory, and are in used too, until somebody else needs it.

// takeLocked gives a segment to append to, if spare free ones are left.
func (g *segments) takeLocked(spare int) (uint32, bool) {
	if g.availableLocked() < spare+1 {
		return 0, false
	}
	var n uint32
	if k := len(g.free); k > 0 {
		n, g.free = g.free[k-1], g.free[:k-1]
	} else if k := len(g.bare); k > 0 {
		n, g.bare = g.bare[k-1], g.bare[:k-1]
		g.used += g.bytes
	} else {
		n = g.fresh
		g.fresh++
		g.used += g.bytes
	}
	g.meta[n].live.Store(0)
	g.meta[n].state.Store(0)
	return n, true
}

// giveBack makes an emptied segment, which is in no list, free.
func (g *segments) giveBack(n uint32) {
	if n >= g.first {
		discard(g.at(n), uintptr(g.meta[n].size))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if n >= g.first {
		g.used -= g.meta[n].size
		g.bareLarge = append(g.bareLarge, n)
	} else {
		g.free = append(g.free, n)
	}
	g.surrenderLocked(0)
	if g.availableLocked() >= g.lowWaterLocked() {
		g.wanted = 0
	}
}

// surrenderLocked gives the memory of free segments back until n more bytes fit
// under the limit, or none is left.
func (g *segments) surrenderLocked(n int64) {
	for g.used+n > g.limit && len(g.free) > 0 {
		k := len(g.free) - 1
		discard(g.at(g.free[k]), uintptr(g.bytes))
		g.bare = append(g.bare, g.free[k])
		g.free = g.free[:k]
		g.used -= g.bytes
	}
}

// claimLocked takes n bytes of the limit, but not the last segment: that is the
// evictor's, without which none could be emptied.
func (g *segments) claimLocked(n int64) bool {
	if g.unusedLocked()-n < g.bytes {
		return false
	}
	g.surrenderLocked(n)
	g.used += n
	return true
}

// claim takes n bytes for the index.
func (g *segments) claim(n int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.index+n > g.indexMost.Load() || !g.claimLocked(n) {
		g.signal()
		return false
	}
	g.index += n
	g.signalLowLocked()
	return true
}

// charge takes n bytes that the index already uses.
func (g *segments) charge(n int64) {
	g.mu.Lock()
	g.index += n
	g.used += n
	g.surrenderLocked(0)
	g.mu.Unlock()
}

// unusedLocked is what could be used: bytes under the limit and free segments.
func (g *segments) unusedLocked() int64 {
	return g.limit - g.used + int64(len(g.free))*g.bytes
}

func (g *segments) availableLocked() int { return int(g.unusedLocked() / g.bytes) }

func (g *segments) available() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.availableLocked()
}

// signalLowLocked tells that it is time to empty a segment, if it is.
func (g *segments) signalLowLocked() {
	if g.availableLocked() < g.lowWaterLocked() {
		g.signal()
	}
}

// lowWaterLocked is a sixteenth of all segments, half of that where emptying one
// does not wait for flash, or what a large write waits for. One more is the
// evictor's.
func (g *segments) lowWaterLocked() int {
	if g.wanted > g.largestLocked() {
		g.wanted = 0 // the index has grown meanwhile
	}
	total := (g.limit - g.hot - g.index) / g.bytes
	return 1 + int(max(2, total/g.spare, (g.wanted+g.bytes-1)/g.bytes))
}

func (g *segments) lowWater() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lowWaterLocked()
}

func (g *segments) setLimit(n int64) {
	g.mu.Lock()
	g.limitLocked(min(n, g.most))
	g.surrenderLocked(0)
	g.mu.Unlock()
	g.signal()
}

func (g *segments) limitLocked(n int64) {
	g.limit = n
	g.indexMost.Store(n - g.hot - minSegments*g.bytes)
}

// largest is the longest record, in bytes, that could ever find room.
func (g *segments) largest() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.largestLocked()
}

func (g *segments) largestLocked() int64 { return g.limit - g.hot - g.index - minSegments*g.bytes }
