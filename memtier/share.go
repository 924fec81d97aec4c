package memtier

import (
	"cmp"
	"slices"
)

// The share of hot values is a part of the limit that segments do not use. It
// moves in two steps, so that both together are never over the limit: what grows
// takes bytes only once the other has given them back.

// MoveHot makes the share of hot values what is asked for, in bytes, or goes as far
// in that direction as it can now, and returns what it is. To grow, segments have
// to be emptied first; call it again then. Only one goroutine may call it.
func (t *Tier) MoveHot(to int64) int64 {
	h := t.hot
	if h == nil {
		return 0
	}
	switch {
	case to <= h.share:
		h.resize(to)
		t.segs.setAside(max(to, h.needs()))
	case t.segs.setAside(to) >= 0:
		h.resize(to)
	}
	return h.share
}

// HotLeast is the smallest share of hot values, in bytes; 0 without a hot cache.
func (t *Tier) HotLeast() int64 {
	if t.hot == nil {
		return 0
	}
	return t.hot.fixed + hotLeast
}

// setAside changes how much of the limit is not for segments and index, and gives
// what they could use then: it is negative as long as they have to give some back.
func (g *segments) setAside(n int64) (unused int64) {
	g.mu.Lock()
	g.used += n - g.hot
	g.hot = n
	g.limitLocked(g.limit)
	g.surrenderLocked(0)
	unused = g.unusedLocked()
	g.mu.Unlock()
	g.signal()
	return unused
}

// resize makes the share so many bytes. Copies go until the rest fits, those in the
// emptiest chunks first.
func (h *hot) resize(share int64) {
	h.share = share
	room := share - h.fixed
	h.most.Store(room - room/8)
	h.cache.UpdateMaxCost(room - room/8)
	if h.arena.resize(room, room-room/8) {
		h.vacate()
	}
	h.arena.collect()
}

// needs is the share that what is kept takes now.
func (h *hot) needs() int64 {
	h.arena.mu.Lock()
	defer h.arena.mu.Unlock()
	return h.fixed + max(h.arena.taken, h.arena.held+h.items.Load()*hotEntry)
}

// vacate drops the copies that have a block in a chunk that is to be given back.
func (h *hot) vacate() {
	var hashes []uint64
	for first := range h.arena.blocks() {
		mu := &h.locks[first%uint32(len(h.locks))]
		mu.Lock()
		if b := h.arena.block(first); b.begins() && h.arena.leaves(first) {
			hashes = append(hashes, b.head().hash)
		}
		mu.Unlock()
	}
	for _, hash := range hashes {
		h.cache.Del(hash)
	}
}

// resize changes the room, and marks chunks as leaving until what stays is within
// it and costs at most most. It tells whether there are any.
func (a *arena) resize(room, most int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left += room - a.room
	a.room = room
	if a.held <= room && a.taken <= most {
		return false
	}
	byUse, used := make([]uint32, 0, len(a.chunks)), int64(0)
	for i := range a.chunks {
		if c := &a.chunks[i]; !c.bare {
			byUse = append(byUse, uint32(i))
			used += int64(c.used)
		}
	}
	slices.SortFunc(byUse, func(i, j uint32) int {
		return cmp.Compare(a.chunks[i].rank(), a.chunks[j].rank())
	})
	held, cost := a.held, a.taken
	for _, i := range byUse {
		if held <= room && cost <= most {
			break
		}
		c := &a.chunks[i]
		c.leaving = true
		held -= chunkBytes
		cost -= a.taken * int64(c.used) / max(used, 1) // with what its copies cost elsewhere
	}
	a.open = slices.DeleteFunc(a.open, func(i uint32) bool { return a.chunks[i].leaving })
	return true
}

// rank sorts chunks by how soon they should go: first those that are leaving since
// the last time, when a copy in them was not to be found, then by what is in them.
func (c *chunk) rank() int {
	if c.leaving {
		return -1
	}
	return int(c.used)
}

// collect gives back the memory of chunks that are leaving and are empty by now.
func (a *arena) collect() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.chunks {
		if c := &a.chunks[i]; c.leaving && c.used == 0 {
			discard(a.chunkAt(uint32(i)), chunkBytes)
			*c = chunk{bare: true}
			a.bare = append(a.bare, uint32(i))
			a.held -= chunkBytes
		}
	}
}

// leaves tells whether a chain, whose lock is held, has a block in a chunk that is
// leaving.
func (a *arena) leaves(first uint32) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := first; i != 0; i = a.block(i).next {
		if a.chunks[i/chunkBlocks].leaving {
			return true
		}
	}
	return false
}
