package memtier

import "unsafe"

const (
	cacheLine = 64
	// warmBytes of a record are fetched; longer values are left to the
	// processor, which sees a copy in a row coming.
	warmBytes = 3 * cacheLine
)

// Warm fetches what Get will touch for these hashes, for all of them at once.
// Most of a Get's time is waiting for memory, twice in a row: for the slot and
// for the record. Whoever has several keys at hand, of a multi-get or a
// pipeline, waits only once for all. It changes nothing and counts as no read.
func (t *Tier) Warm(hashes []uint64) {
	if len(hashes) < 2 {
		return
	}
	for _, h := range hashes {
		s := t.lock(h)
		i, j := s.tab.pair(tagOf(h))
		a, b := s.tab.bucket(t.index.base, i), s.tab.bucket(t.index.base, j)
		s.mu.Unlock()
		prefetch(unsafe.Pointer(a))
		prefetch(unsafe.Pointer(b))
	}
	for _, h := range hashes {
		s := t.lock(h)
		if p := t.findLocked(s, h); p != nil && !p.onFlash() {
			at := unsafe.Pointer(t.segs.record(p.loc()).header)
			for n := 0; n < warmBytes; n += cacheLine {
				prefetch(unsafe.Add(at, n))
			}
		}
		s.mu.Unlock()
	}
}
