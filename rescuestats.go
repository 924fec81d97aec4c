package hearth

import "sync/atomic"

// Rescue counts what became of live records in pages that were reclaimed, since
// Open.
type Rescue struct {
	Records uint64 // moved to another page
	Cold    uint64 // of those, moved although they were not read
	Old     uint64 // of those, moved to a device of bucket old
	Bytes   uint64 // of those moved, by their size classes
	Skipped uint64 // looked at and left to go with their page
	Lost    uint64 // not moved because the record was bad, or flash did not take the copy
	Read    uint64 // bytes read from pages to be reclaimed
	Rate    int64  // bound of bytes read and written for it a second, at the moment
}

type rescueCounts struct {
	records, cold, old, bytes, skipped, lost, read atomic.Uint64
}

func (n *rescueCounts) load() Rescue {
	return Rescue{
		Records: n.records.Load(), Cold: n.cold.Load(), Old: n.old.Load(), Bytes: n.bytes.Load(),
		Skipped: n.skipped.Load(), Lost: n.lost.Load(), Read: n.read.Load(),
	}
}
