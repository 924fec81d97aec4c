package memtier

// Load puts in the slot of a flash record that an earlier run left. If the hash
// has a slot already, the record that is loaded later takes its place; lost is
// then the earlier one, as it is when an item has to go because the index may
// not grow any more. It reports false if there is no memory for the slot.
//
// Loads whose hashes begin alike, in a row, find their shards in the CPU's
// cache: partition by the top bits of the hash.
func (t *Tier) Load(h uint64, to Loc, class uint8, exptime, now uint32) (lost Item, ok bool) {
	// A table that has no place although it is not crowded says that it is,
	// and has grown when it is locked again.
	for range 3 {
		s := t.lockRoomy(h)
		p := t.findLocked(s, h)
		if p != nil {
			lost = p.item()
		} else {
			p = t.insertLocked(s, h, now, &lost)
		}
		if p != nil {
			t.setLocked(s, p, makeSlot(tagOf(h), to, class, exptime))
		}
		s.mu.Unlock()
		if p != nil {
			return lost, true
		}
	}
	return Item{}, false
}

// Expect makes tables large enough for so many items at once, where filling them
// one by one would rebuild each a dozen times. It is best called when the tier
// is nearly empty. What the index has no memory for is left to growth.
func (t *Tier) Expect(items int64) {
	x := t.index
	shards := x.shards()
	for int64(len(shards)*x.most*pageSlots)*loadNum/loadDen < items {
		for _, s := range shards {
			if !x.locked(s, x.split) {
				return
			}
		}
		shards = x.shards()
	}
	pages := int(items/int64(len(shards))*loadDen/loadNum) / pageSlots
	for _, s := range shards {
		n := min(x.nextPages(s.id, pages), maxPages)
		if n > s.tab.npages() && !x.locked(s, func(s *shard) bool { return x.widen(s, n) }) {
			return
		}
	}
}

func (x *index) locked(s *shard, change func(*shard) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return change(s)
}
