package memtier

// Stats is a look at a tier. Counters run since New.
type Stats struct {
	IndexBytes  int64 // all memory of the index, slack included
	IndexSlots  int64 // that its tables have now
	IndexItems  int64 // slots in use
	FlashItems  int64 // of them, those on flash
	IndexShards int64

	SegmentBytes  int64  // memory of segments, free ones included
	SegmentsFree  int64  // that could be filled now
	SegmentsTotal int64  // that the limit leaves
	PinnedBytes   int64  // of SegmentBytes, what large values on their way in or out keep
	ValueBytes    int64  // of values in RAM
	Oldest        uint32 // Unix seconds: when the oldest segment was begun; 0 if there is nothing in RAM

	HotBytes    int64 // of copies
	HotItems    int64
	HotReserved int64 // the part of the limit that is for them

	Limit int64
	Used  int64 // index, segments and what is reserved for hot values

	Hits   uint64 // values that Get, GetQuiet and Touch gave
	Misses uint64 // keys that they did not find; those Expired or OnFlash not counted

	Evictions     uint64 // items dropped to make room
	EvictedUnread uint64 // of them, those never read since they were written
	Expired       uint64 // items dropped past their exptime
	ExpiredUnread uint64 // of them, those never read since they were written
	Collisions    uint64 // evictions for want of bits to tell two keys apart
	Resizes       uint64 // growths of a table
	MaxResizeNs   int64  // the longest

	Classes [Classes]int64 // items by class; those on flash are in FlashClass
	Left    [Classes]Departures
}

// Largest is the longest record, in bytes, that there is ever room for.
func (t *Tier) Largest() int64 { return t.segs.largest() }

// Stats sums up. It locks one shard after another, so the parts are not of one
// instant.
func (t *Tier) Stats() Stats {
	st := Stats{
		IndexBytes:  t.index.bytes.Load(),
		Resizes:     t.index.grown.Load(),
		MaxResizeNs: t.index.longNs.Load(),
	}
	t.segs.addTo(&st)
	if t.hot != nil {
		st.HotBytes, st.HotItems = t.hot.arena.used(), t.hot.items.Load()
	}
	for _, s := range t.index.shards() {
		t.addShard(s, &st)
	}
	st.Classes[FlashClass] = st.FlashItems
	for i := range t.left {
		st.Left[i] = t.left[i].load()
	}
	return st
}

func (x *index) shards() []*shard {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.all[:len(x.all):len(x.all)]
}

func (t *Tier) addShard(s *shard, st *Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch != t.epoch.Load() {
		t.clear(s)
	}
	st.IndexShards++
	st.IndexSlots += int64(s.tab.slots())
	st.IndexItems += int64(s.used)
	st.FlashItems += int64(s.flash)
	st.ValueBytes += s.count.valueBytes
	st.Hits += s.count.hits
	st.Misses += s.count.misses
	st.Evictions += s.count.evictions
	st.EvictedUnread += s.count.evictedUnread
	st.Expired += s.count.expired
	st.ExpiredUnread += s.count.expiredUnread
	for i, n := range s.count.classes {
		st.Classes[i] += int64(n)
	}
	st.Collisions += s.count.collisions
}

func (g *segments) addTo(st *Stats) {
	g.mu.Lock()
	defer g.mu.Unlock()
	st.Limit, st.Used, st.HotReserved = g.limit, g.used, g.hot
	st.SegmentBytes, st.PinnedBytes = g.used-g.index-g.hot, g.pinned
	st.SegmentsFree = int64(g.availableLocked())
	st.Oldest = g.oldestLocked()
	st.SegmentsTotal = (g.limit - g.hot - g.index) / g.bytes
}
