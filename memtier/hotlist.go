package memtier

// What a copy was made of outlives the copy as a hash: after a restart the index
// says where the value is, so that is enough to make a new one.

// HotRoom tells whether there is room for more copies without others going for
// them. It is false without a hot cache.
func (t *Tier) HotRoom() bool {
	return t.hot != nil && t.hot.arena.used() < t.hot.most.Load()/16*15
}

// HotHashes gives the hashes of the keys that have a copy, n of them at most and
// in no order. A copy may be of a value that its key no longer has.
func (t *Tier) HotHashes(n int) []uint64 {
	if t.hot == nil {
		return nil
	}
	h := t.hot
	hashes := make([]uint64, 0, min(int64(n), h.items.Load()))
	var key []byte
	for first := range h.arena.blocks() {
		if len(hashes) == n {
			break
		}
		var ok bool
		if key, ok = h.keyAt(first, key[:0]); ok {
			hashes = append(hashes, t.Hash(key))
		}
	}
	return hashes
}

// keyAt appends the key of the copy that begins with a block, if one does.
func (h *hot) keyAt(first uint32, dst []byte) ([]byte, bool) {
	mu := &h.locks[first%uint32(len(h.locks))]
	mu.Lock()
	defer mu.Unlock()
	b := h.arena.block(first)
	if !b.begins() {
		return dst, false
	}
	return h.arena.appendKey(b, dst), true
}

// Peek is what the slot of a hash says now; false if there is none. It counts as
// no read, and does not look at the time.
func (t *Tier) Peek(h uint64) (Item, bool) {
	s := t.lock(h)
	defer s.mu.Unlock()
	p := t.findLocked(s, h)
	if p == nil {
		return Item{}, false
	}
	return p.item(), true
}
