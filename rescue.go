package hearth

import (
	"errors"
	"math"
	"time"

	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/memtier"
)

// A rescue moves records of a page that is to be freed to another page. At any
// moment one of the two addresses is named in the catalog and not dead, and every
// change of the item is journaled for both:
//
//  1. The record is read, and checked, and written to a page of BucketCompact.
//  2. The new addresses become known as twins of the old ones: what is journaled of
//     a new one is journaled of the old one as well (twins.go).
//  3. Each slot that still points at the old address is pointed at the new one, and
//     what was read of it meanwhile, its exptime and a flush count as in a demotion.
//  4. The page is synced, and the blob of the new records is in the catalog. A crash
//     from here on finds both records, which are the same but for their place.
//  5. The page leaves the catalog, and the addresses are twins no more. If there is
//     more to be moved before that, or it fails, the old addresses are journaled
//     dead instead.
type rescuer struct {
	writers map[uint8]*deviceWriter
	w       *deviceWriter // the one in use
	chunk   []candidate
	bytes   int64            // of chunk, by classes
	moves   []move           // in w's buffer
	moved   []move           // those whose addresses are twins
	source  flashtier.PageID // the page they were moved from
	page    flashtier.PageID // the one that is being looked at
	left    int64            // bytes that may yet be rescued of this page
	live    int64            // bytes of the page that are alive and have not been looked at
	unread  bool             // rescue what was not read
	full    bool             // the devices of lower tiers take no more of this page
	enough  bool             // no more of this page
	credit  float64
	written uint64 // of Flash.BytesWritten, what has given credit
	count   *rescueCounts
}

// candidate is a record that is alive.
type candidate struct {
	hash    uint64
	addr    flashtier.Addr
	exptime uint32
	reads   uint8
}

// What is looked at before it is decided which of it is worth the most: so many
// records, or write buffers.
const (
	chunkRecords = 8 << 10
	chunkBuffers = 4
)

func (r *rescuer) begin(c *Cache) {
	r.count = &c.count.rescue
	r.writers = map[uint8]*deviceWriter{}
	for _, bucket := range []uint8{flashtier.BucketCompact, flashtier.BucketColdCompact, flashtier.BucketOld} {
		r.writers[bucket] = c.flash.NewWriter(bucket)
	}
}

// hurried tells whether there is no time to rescue anything.
func (r *reclaimer) hurried() bool { return r.pressed.Load() || r.c.stopping() }

// rescue moves what is worth it from v.
func (r *reclaimer) rescue(v flashtier.Victim) {
	c := r.c
	if !r.budget(v) {
		return
	}
	now := c.now.Load()
	err := c.flash.NamedEntries(v.ID, func(hash uint64, a flashtier.Addr) {
		it, ok := c.mem.Peek(hash)
		if loc, _ := locOf(a); !ok || it.Loc != loc || it.Exptime != 0 && it.Exptime <= now {
			return
		}
		r.chunk = append(r.chunk, candidate{hash, a, it.Exptime, it.Reads})
		r.bytes += int64(flashtier.ClassSize(a.Class()))
		if len(r.chunk) >= chunkRecords || r.bytes >= chunkBuffers*int64(c.opts.WriteBuffer) {
			r.moveChunk(v.ID)
		}
	})
	r.complain(v.ID, err)
	r.moveChunk(v.ID)
	r.ship()
}

// budget decides how much of v may be rescued; false if nothing.
func (r *reclaimer) budget(v flashtier.Victim) bool {
	c, o := r.c, r.c.tuned.reclaim.Load()
	page := float64(c.opts.PageSize)
	fromRAM := c.flash.Stats().BytesWritten - r.count.bytes.Load()
	r.credit = min(page, r.credit+o.percent()*float64(fromRAM-r.written))
	r.written = fromRAM
	r.page = v.ID
	r.left, r.live = int64(min(r.credit, page*o.maxFrag())), v.Live
	r.unread = o.RescueUnread && c.flash.FreePages() >= o.DropUnder && float64(v.Live) <= page*o.maxFrag()
	r.full, r.enough = false, r.hurried() || v.Bucket == flashtier.BucketLowTTL
	if c.flash.pagesOf(v.ID) < rescuePages {
		r.left = 0
	}
	return !r.enough && (r.left > 0 || c.flash.hasLower(v.ID))
}

// moveChunk moves the worthiest of the chunk: its share of what may be rescued of
// the page, records that were read most first. What is left goes to a lower tier, if
// there is one.
func (r *reclaimer) moveChunk(id flashtier.PageID) {
	share := r.left
	if r.live > r.bytes {
		share = int64(float64(r.left) * float64(r.bytes) / float64(r.live))
	}
	r.live -= r.bytes
	for reads := 3; reads >= 0; reads-- {
		bucket := flashtier.BucketCompact
		if reads == 0 {
			bucket = flashtier.BucketColdCompact
		}
		if reads > 0 || r.unread {
			bytes := r.moveRead(id, uint8(reads), bucket, share)
			share, r.left = share-bytes, r.left-bytes
		}
		if lower, ok := r.c.flash.lower(id, reads > 0); ok && !r.full {
			r.moveRead(id, uint8(reads), lower, math.MaxInt64)
		}
	}
	for _, x := range r.chunk {
		if x.addr != 0 {
			r.count.skipped.Add(1)
		}
	}
	r.chunk, r.bytes = r.chunk[:0], 0
}

// moveRead moves the records of the chunk that were read so often to pages of
// bucket, the first ones up to most bytes, and gives the bytes.
func (r *reclaimer) moveRead(id flashtier.PageID, reads, bucket uint8, most int64) (bytes int64) {
	var which []int
	var addrs []flashtier.Addr
	for i := range r.chunk {
		x := &r.chunk[i]
		size := int64(flashtier.ClassSize(x.addr.Class()))
		if x.addr == 0 || x.reads != reads || size > most-bytes {
			continue
		}
		bytes += size
		which, addrs = append(which, i), append(addrs, x.addr)
	}
	if len(which) == 0 || r.enough {
		return 0
	}
	r.use(bucket)
	err := r.c.flash.Salvage(id, addrs, r.mayRead, func(i int, rec *flashtier.Record, err error) {
		x := &r.chunk[which[i]]
		if err != nil || r.c.mem.Hash(rec.Key) != x.hash {
			r.count.lost.Add(1)
			x.addr = 0
			return
		}
		if r.move(x, rec) {
			x.addr = 0
		}
	})
	r.enough = r.enough || err != nil
	return bytes
}

// mayRead counts n bytes that were read, and tells whether to go on.
func (r *reclaimer) mayRead(n int64) bool {
	r.count.read.Add(uint64(n))
	r.pace.spend(n, r.hurried)
	r.enough = r.enough || r.hurried()
	return !r.enough && !r.stuck()
}

// stuck tells whether the tier that is being written to takes no more.
func (r *reclaimer) stuck() bool { return r.full && r.w.lower }

// use has what is moved from now on go to pages of bucket.
func (r *reclaimer) use(bucket uint8) {
	if w := r.writers[bucket]; w != r.w {
		r.ship()
		r.w = w
	}
}

// move copies a record to the write buffer.
func (r *reclaimer) move(x *candidate, rec *flashtier.Record) bool {
	for !r.enough && !r.stuck() {
		dst, err := r.w.Reserve(len(rec.Key), len(rec.Value))
		if errors.Is(err, flashtier.ErrBufferFull) {
			r.ship()
			continue
		}
		if err != nil { // there is no page, or the device is out
			r.full, r.enough = r.w.lower, !r.w.lower
			break
		}
		state := memtier.State(rec.State)
		if x.reads > 0 {
			state |= memtier.Fetched
		}
		to, err := r.w.Commit(x.hash, rec.Key, append(dst, rec.Value...), rec.Flags, x.exptime, rec.CAS, uint8(state))
		if err != nil {
			r.c.opts.Logger.Error("write buffer refused a record", "err", err)
			return false
		}
		from, _ := locOf(x.addr)
		r.moves = append(r.moves, move{hash: x.hash, from: from, was: x.addr, to: to, fetched: state&memtier.Fetched != 0})
		return true
	}
	return false
}

// ship writes the buffer and goes through with the rescue of its records.
func (r *reclaimer) ship() {
	if len(r.moves) == 0 {
		return
	}
	c := r.c
	batch, err := r.w.Flush()
	if err == nil {
		err = batch.Err()
	}
	if err == nil && r.part() && r.pair() {
		c.repoint(batch, r.moves)
		c.flash.CommitAll() // what it was that failed is told by the tier
		r.account()
		r.moves, r.moved = r.moved[:0], r.moves
	} else {
		c.opts.Logger.Error("records of a page that is reclaimed are lost", "records", len(r.moves), "err", err)
		r.count.lost.Add(uint64(len(r.moves)))
		for _, m := range r.moves {
			c.flash.Dead(m.to)
		}
		r.moves, r.enough = r.moves[:0], true
	}
	if batch != nil {
		batch.Release()
	}
}

// pair makes twins of the old and new addresses, unless the device that has the new
// ones has been taken out: it is asked after the twins can be seen, so that either
// this sees it gone, or whoever takes it out sees them (buryAll).
func (r *reclaimer) pair() bool {
	r.c.twins.Store(newTwins(r.c.flash, r.moves))
	if d, _ := r.c.flash.at(r.moves[0].to); d.gone.Load() {
		r.parted()
		return false
	}
	r.source = r.page
	return true
}

// account counts the moves that came off.
func (r *reclaimer) account() {
	records, bytes := uint64(0), int64(0)
	for _, m := range r.moves {
		if m.to != 0 {
			records++
			bytes += int64(flashtier.ClassSize(m.to.Class()))
		}
	}
	r.count.records.Add(records)
	r.count.bytes.Add(uint64(bytes))
	switch r.w.bucket {
	case flashtier.BucketColdCompact:
		r.count.cold.Add(records)
	case flashtier.BucketOld:
		r.count.old.Add(records)
	}
	if !r.w.lower {
		r.credit -= float64(bytes)
	}
	r.pace.spend(bytes, r.hurried)
}

// part ends what is between the old and new addresses of those moved last: the old
// ones are dead. It waits for room in the journal, but not for ever. It is false if
// there was none.
func (r *reclaimer) part() bool {
	for i := range r.moved {
		for wait := 0; i%partAtOnce == 0 && !r.c.mayChange(); wait++ {
			if r.hurried() || wait == partPatience {
				return false
			}
			time.Sleep(paceStep)
		}
		if m := &r.moved[i]; m.to != 0 {
			r.c.flash.Died(m.was)
			m.to = 0
		}
	}
	r.parted()
	return true
}

// parted is part when the old addresses have left the catalog.
func (r *reclaimer) parted() {
	r.c.twins.Store(nil)
	r.moved = r.moved[:0]
}

const (
	partAtOnce   = 256 // deaths that are journaled without asking for room
	partPatience = 50  // times paceStep
)
