package memtier

// Parts is how many parts of the index Sweep knows. It only grows.
func (t *Tier) Parts() int { return len(t.index.shards()) }

// Sweep drops what is past its time in a part of the index. Parts are counted from
// 0; it reports false, and does nothing, past the last. Only items of a class in
// which are dropped, or any if that is nil. Those that were on flash are appended
// to gone. A part has some thousands of items at most.
func (t *Tier) Sweep(part int, which func(class int) bool, now uint32, gone []Item) (flash []Item, checked, dropped int, ok bool) {
	all := t.index.shards()
	if part >= len(all) {
		return gone, 0, 0, false
	}
	gone, checked, dropped = t.sweep(all[part], which, now, gone)
	t.segs.reap()
	return gone, checked, dropped, true
}

func (t *Tier) sweep(s *shard, which func(class int) bool, now uint32, gone []Item) (flash []Item, checked, dropped int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch != t.epoch.Load() {
		t.clear(s)
	}
	s.tab.each(t.index.base, func(p *slot) bool {
		checked++
		if !p.expired(now) {
			return true
		}
		class := t.class(p)
		if which != nil && !which(class) {
			return true
		}
		t.left[class].swept.Add(1)
		if p.onFlash() {
			gone = append(gone, p.item())
		}
		t.expireLocked(s, p)
		dropped++
		return true
	})
	return gone, checked, dropped
}
