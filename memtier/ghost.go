package memtier

import "sync/atomic"

// ghosts remember, of a sample of the items that left some part of RAM, how long
// ago each did, counted in bytes that left since. So a read from flash can tell
// whether so many bytes more for that part would have made it a hit in RAM: what
// its memory gives at the margin.
//
// All is done with atomics and without a lock: a note that another overwrites, or
// a tag that two hashes share, is one of many.
type ghosts struct {
	flow  atomic.Int64 // bytes that left
	hits  atomic.Int64 // reads, of the sample, of what left within window
	slots [ghostSlots]atomic.Uint64
}

// GhostSample is one in how many items are remembered for Tier.Margin.
const GhostSample = 16

const (
	ghostSlots = 1 << 13
	// ghostUnit is how finely times are kept: in 32 bits there is a TiB of them.
	ghostUnit = 8
)

func (g *ghosts) slot(h uint64) *atomic.Uint64 { return &g.slots[h/GhostSample%ghostSlots] }

// note is told that an item of that many bytes left.
func (g *ghosts) note(h uint64, bytes int64) {
	at := g.flow.Add(bytes)
	if h%GhostSample == 0 {
		g.slot(h).Store(h>>32<<32 | uint64(uint32(at>>ghostUnit)))
	}
}

// read is told that an item was read from flash, and counts it if it left no more
// than window bytes ago.
func (g *ghosts) read(h uint64, window int64) {
	was := g.slot(h).Load()
	ago := uint32(g.flow.Load()>>ghostUnit) - uint32(was)
	if was>>32 == h>>32 && was != 0 && int64(ago) < window>>ghostUnit {
		g.hits.Add(1)
	}
}

// Margin is what the two parts of RAM that hold values would give for a bit more of
// it, counted since the last call of Tier.Margin.
type Margin struct {
	// FreshHits and HotHits count reads from flash that Bytes more for segments,
	// or for copies of flash values, would have made hits in RAM. They are
	// estimates from a sample.
	FreshHits, HotHits int64
	Bytes              int64
	// Demoted is how many bytes of records moved from RAM to flash.
	Demoted int64
	Room    int64 // what the index leaves of the limit
}

// margin is what the index leaves, and the bytes by which the margin is judged: a
// sixteenth of it.
func (g *segments) margin() (room, window int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	room = g.limit - g.index
	return room, max(2*g.bytes, room/16)
}

// Missed is told of a read from flash that RAM could not serve.
func (t *Tier) Missed(h uint64) {
	if t.hot != nil && h%GhostSample == 0 {
		window := t.window.Load()
		t.fresh.read(h, window)
		t.hot.gone.read(h, window)
	}
}

// Margin tells what was missed since it was last called. Without a hot cache there
// is nothing to weigh, and it is zero.
func (t *Tier) Margin() Margin {
	if t.hot == nil {
		return Margin{}
	}
	flow := t.fresh.flow.Load()
	m := Margin{
		FreshHits: t.fresh.hits.Swap(0) * GhostSample,
		HotHits:   t.hot.gone.hits.Swap(0) * GhostSample,
		Bytes:     t.window.Load(),
		Demoted:   flow - t.flowed,
	}
	t.flowed = flow
	room, window := t.segs.margin()
	m.Room = room
	t.window.Store(window)
	return m
}
