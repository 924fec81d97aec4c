package hearth

import (
	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/ioq"
	"github.com/hearthcache/hearth/memtier"
)

// Scan goes over all items of a cache. What is there from beginning to end is seen
// once, though the index grows and values move meanwhile; what comes, goes or is
// changed may be seen or not. It holds up nobody for more than a fraction of a
// millisecond, counts as no access, and drops items whose time has passed. It is
// for one goroutine at a time.
type Scan struct {
	// Key is the key of the item that Next went to; it holds until Next is called
	// again. It is empty for an item on flash of a scan that does not read those.
	Key []byte
	// Hash is that of the key, but for its lowest bits.
	Hash uint64
	// OnFlash says where the value is.
	OnFlash bool
	// Meta is what is known of the item. Without a key it is the expiry time alone,
	// and Fetched as far as the item was read since it is on flash.
	Meta Meta

	c     *Cache
	items *memtier.Scan
	read  bool
	n     ioq.Notifier
	tag   uint64

	batch   []scanned // what has been looked up; of those before at Next has told
	at      int
	keys    []byte // of the batch
	reading []scanRead
	later   []uint64 // hashes of items that moved while they were read
	ended   bool     // items has come to its end
	stopped bool
}

// scanBatch is how many records are read at a time.
const scanBatch = 32

// scanned is an item that was looked up. Its key is keys[from:to]. It is known
// unless its record is on its way, or was not to be had.
type scanned struct {
	hash     uint64
	item     memtier.Item
	from, to int
	known    bool
}

// scanRead is a record on its way, for batch[i].
type scanRead struct {
	*flashtier.Read
	i int
}

// NewScan begins a scan. If read is set it reads every record on flash, to know
// all of each item; n is then notified with tag whenever Next can go on.
func (c *Cache) NewScan(read bool, n ioq.Notifier, tag uint64) *Scan {
	return &Scan{c: c, items: c.mem.NewScan(), read: read, n: n, tag: tag}
}

// Next goes to the next item: Hit, or Miss at the end, or Pending, without waiting.
// While it is Pending records are being read, and their pages cannot be reclaimed:
// call Next soon after the notification. Otherwise it may be called whenever it
// suits.
func (s *Scan) Next() Status {
	for {
		switch {
		case len(s.reading) > 0 && !s.land():
			return Pending
		case s.stopped:
			return Miss
		case s.at < len(s.batch):
			it := &s.batch[s.at]
			s.at++
			if it.known {
				s.show(it)
				return Hit
			}
		case s.ended && len(s.later) == 0:
			return Miss
		case !s.gather():
			return Pending
		}
	}
}

// Stop ends the scan early. Next must still be called until it is not Pending.
func (s *Scan) Stop() { s.stopped = true }

func (s *Scan) show(it *scanned) {
	s.Key, s.Hash, s.OnFlash = s.keys[it.from:it.to:it.to], it.hash, it.item.Loc.OnFlash()
	s.Meta = metaOf(&it.item, s.c.now.Load())
}

// gather looks up items for a batch and starts the reads of those on flash. It
// reports false if there is none because all read buffers are in use.
func (s *Scan) gather() bool {
	s.batch, s.keys, s.at = s.batch[:0], s.keys[:0], 0
	for len(s.batch) < scanBatch {
		h, it, st := s.lookUp()
		switch {
		case st == memtier.Miss:
			return true
		case st == memtier.Expired:
			s.c.lapsed(it)
			continue
		case st == memtier.OnFlash && s.read && !s.start(h, it):
			return len(s.batch) > 0
		}
	}
	return true
}

// lookUp gives the next item, and puts one in RAM into the batch.
func (s *Scan) lookUp() (h uint64, it memtier.Item, st memtier.Status) {
	from, now := len(s.keys), s.c.now.Load()
	if k := len(s.later); k > 0 {
		h, s.later = s.later[k-1], s.later[:k-1]
		s.keys, it, st = s.c.mem.View(h, s.keys, now)
		if st == memtier.Miss { // gone meanwhile
			return s.lookUp()
		}
	} else if !s.ended {
		h, s.keys, it, st = s.items.Next(s.keys, now)
		s.ended = st == memtier.Miss
	}
	if st == memtier.Hit || st == memtier.OnFlash && !s.read {
		s.batch = append(s.batch, scanned{h, it, from, len(s.keys), true})
	}
	return h, it, st
}

// start submits the read of an item's record. It reports false if all read buffers
// are in use; the item's turn comes later then.
func (s *Scan) start(h uint64, it memtier.Item) bool {
	f := flight{c: s.c, n: s.n, tag: s.tag, hash: h}
	switch f.board(headerOf(&it), len(s.reading) == 0) {
	case busy:
		s.later = append(s.later, h)
		return false
	case launched:
		s.reading = append(s.reading, scanRead{f.read, len(s.batch)})
		s.batch = append(s.batch, scanned{hash: h, item: it})
	}
	return true
}

// land takes in the records that have arrived, and tells whether all have.
func (s *Scan) land() bool {
	left := s.reading[:0]
	for _, r := range s.reading {
		if !r.Ready() {
			left = append(left, r)
			continue
		}
		s.arrive(&s.batch[r.i], r.Read)
		r.Release()
		s.c.room.signal()
	}
	s.reading = left
	return len(left) == 0
}

// arrive completes an item by its record. Without a sound one it is left out; if
// it has moved meanwhile, its turn comes again.
func (s *Scan) arrive(it *scanned, r *flashtier.Read) {
	rec, err := r.Finish(nil)
	if s.c.mem.LocOf(it.hash) != it.item.Loc {
		s.later = append(s.later, it.hash)
		return
	}
	if err != nil {
		return
	}
	it.item, it.known = itemOn(&rec, it.item), true
	it.item.Atime = r.Created()
	it.from = len(s.keys)
	s.keys = append(s.keys, rec.Key...)
	it.to = len(s.keys)
}
