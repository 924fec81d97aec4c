package memtier

import "sync/atomic"

// halves are the two tables that a shard's slots are divided over, by the first
// bit of the tag that the shard's prefix does not have.
type halves struct {
	tab    [2]table
	used   [2]uint32
	flash  [2]uint32
	bit    uint
	filled bool
}

func (v *halves) side(p *slot) int { return int(p.tag()>>v.bit) & 1 }

func (v *halves) tally(p *slot) bool {
	i := v.side(p)
	v.used[i]++
	if p.onFlash() {
		v.flash[i]++
	}
	return true
}

// split divides a locked shard in two. The lower half stays, the upper half
// becomes a shard of its own; it is locked by nobody, and found by nobody,
// before the directory names it.
func (x *index) split(s *shard) bool {
	v := halves{bit: tagBits + firstDepth - 1 - uint(s.depth)}
	s.tab.each(x.base, v.tally)
	if !x.divide(s, &v) {
		for i := range v.tab {
			x.givePages(v.tab[i].pages[:v.tab[i].npages()])
		}
		return false
	}
	old := s.tab
	x.mu.Lock()
	defer x.mu.Unlock()
	s.depth++
	s.prefix <<= 1
	upper := x.newShard(s.prefix|1, s.depth)
	upper.epoch = s.epoch
	for i, half := range []*shard{s, upper} {
		half.used, half.flash = v.used[i], v.flash[i]
		half.setTable(&v.tab[i])
	}
	// Bytes are not known by half: they are kept together, and only the sum
	// over all shards is ever shown.
	x.nameLocked(upper)
	x.free = append(x.free, old.pages[:old.npages()]...)
	return true
}

// divide fills the two tables. The new shard's id is only known later, so its
// sizes follow those of the old one, half a step apart.
func (x *index) divide(s *shard, v *halves) bool {
	for i := range v.tab {
		need := int(v.used[i])*loadDen/loadNum*33/32/pageSlots + i
		if !x.takePages(&v.tab[i], min(x.nextPages(s.id+uint32(i), need), maxPages)) {
			return false
		}
	}
	return s.tab.each(x.base, func(p *slot) bool { return x.copySlot(&v.tab[v.side(p)], p) })
}

// nameLocked makes the directory name a new shard for all hashes it has; mu is
// held. Whoever still finds the old shard sees by its prefix that it split.
func (x *index) nameLocked(s *shard) {
	d := x.dir.Load()
	depth := uint32(64 - d.shift)
	if s.depth > depth {
		d, depth = d.doubled(), depth+1
		defer x.dir.Store(d)
	}
	span := uint64(1) << (depth - s.depth)
	for i := range span {
		d.shards[s.prefix*span+i].Store(s)
	}
}

func (d *directory) doubled() *directory {
	big := &directory{shift: d.shift - 1, shards: make([]atomic.Pointer[shard], 2*len(d.shards))}
	for i := range big.shards {
		big.shards[i].Store(d.shards[i/2].Load())
	}
	return big
}
