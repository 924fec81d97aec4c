package memtier

// Scan goes over all items of a tier, a shard at a time, in the order of their
// hashes. It is for one goroutine. An item that is there from its beginning to its
// end is seen once, wherever it moves to; one that comes or goes meanwhile may
// be seen or not.
//
// A table cannot be walked in steps, as its slots move about to make room for each
// other, and as it is replaced when it grows. So the hashes of a whole shard are
// copied at once, 8192 at most, which takes some 20 us, and each is looked up again
// when its turn comes. Shards split but never merge, so the end of one remains
// where another begins.
type Scan struct {
	t      *Tier
	from   uint64 // hashes from here on have not been copied
	last   bool   // none has not been copied
	hashes []uint64
	at     int
}

// NewScan begins a scan.
func (t *Tier) NewScan() *Scan { return &Scan{t: t} }

// Next goes to the next item and gives its hash, whose lowest bits are lost, and
// what is known of it. Of an item in RAM the key is appended to dst. It counts as
// no read. Expired says that the item was dropped, as of Get; Miss is the end.
func (c *Scan) Next(dst []byte, now uint32) (h uint64, key []byte, it Item, st Status) {
	for {
		for c.at < len(c.hashes) {
			h = c.hashes[c.at]
			c.at++
			if key, it, st = c.t.View(h, dst, now); st != Miss {
				return h, key, it, st
			}
		}
		if c.last {
			return 0, dst, Item{}, Miss
		}
		c.copy()
	}
}

// copy takes the hashes of the next shard.
func (c *Scan) copy() {
	s := c.t.lock(c.from)
	first := s.prefix >> (s.depth - firstDepth) << (64 - firstDepth)
	c.hashes, c.at = c.hashes[:0], 0
	s.tab.each(c.t.index.base, func(p *slot) bool {
		c.hashes = append(c.hashes, first|p.tag()<<hashSpare)
		return true
	})
	c.from = (s.prefix + 1) << (64 - s.depth)
	c.last = c.from == 0
	s.mu.Unlock()
}

// View is what slot and record say of an item by its hash alone: Hit, OnFlash,
// Expired or Miss. Of one in RAM the key is appended to dst.
func (t *Tier) View(h uint64, dst []byte, now uint32) ([]byte, Item, Status) {
	defer t.segs.reap() // last, when the shard is free
	s := t.lock(h)
	defer s.mu.Unlock()
	p := t.findLocked(s, h)
	if p == nil {
		return dst, Item{}, Miss
	}
	it := p.item()
	switch {
	case p.expired(now):
		t.expireLocked(s, p)
		return dst, it, Expired
	case p.onFlash():
		return dst, it, OnFlash
	}
	r := t.segs.record(it.Loc)
	r.describe(&it)
	return append(dst, r.key()...), it, Hit
}
