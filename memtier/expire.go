package memtier

// Sweep drops what is past its time in a part of the index. Parts are counted from
// 0; it reports false, and does nothing, past the last. Only items of a class in
// which are dropped, or any if that is nil. Of each that was on flash gone is told,
// after the shard is free. A part has some thousands of items at most.
func (t *Tier) Sweep(part int, which func(class int) bool, now uint32, gone func(Item)) (checked, dropped int, ok bool) {
	all := t.index.shards()
	if part >= len(all) {
		return 0, 0, false
	}
	flash, checked, dropped := t.sweep(all[part], which, now)
	t.segs.reap()
	for _, it := range flash {
		gone(it)
	}
	return checked, dropped, true
}

func (t *Tier) sweep(s *shard, which func(class int) bool, now uint32) (flash []Item, checked, dropped int) {
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
			flash = append(flash, p.item())
		}
		t.expireLocked(s, p)
		dropped++
		return true
	})
	return flash, checked, dropped
}
