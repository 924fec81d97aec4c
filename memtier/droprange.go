package memtier

// DropRange drops the items of a part of the index whose records lie on flash at
// the places from..to-1, in units of 8 bytes, as evicted: their device is no more.
// Parts are counted as for Sweep; it reports false past the last.
func (t *Tier) DropRange(part int, from, to uint64) (dropped int, ok bool) {
	all := t.index.shards()
	if part >= len(all) {
		return 0, false
	}
	s := all[part]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch != t.epoch.Load() {
		t.clear(s)
	}
	s.tab.each(t.index.base, func(p *slot) bool {
		if at := p.loc().Units(); p.onFlash() && at >= from && at < to {
			t.evictLocked(s, p)
			dropped++
		}
		return true
	})
	return dropped, true
}
