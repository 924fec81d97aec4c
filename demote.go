package hearth

import (
	"errors"
	"time"

	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/memtier"
)

// rescueBuffers is how many write buffers of a device are for rescued records.
const rescueBuffers = 1

// writeBuffers is how many write buffers a device has: one is being filled while
// others are on their way. There are fewer where that would be much of Memory.
func (o *Options) writeBuffers() int64 {
	switch size := int64(o.WriteBuffer); {
	case size > o.Memory/16:
		return 2
	case size > o.Memory/32:
		return 4
	}
	return 5
}

// demoter empties the oldest segments: what was read since it was written stays
// in RAM, the rest is written to flash, or dropped where there is none. Only
// demoteLoop, or a test, calls it.
//
// A record has its slot pointing at RAM until its bytes are on flash. Only then
// is the slot repointed, and only if it still points at the very record that
// was copied. So there is no moment in which a value is in neither place, and a
// change that comes in between wins.
type demoter struct {
	c        *Cache
	stream               // what is being filled: w is nil without flash
	other    stream      // of the other bucket
	low      bool        // stream is for what expires soon, and other is not
	settle   []victim    // segments emptied into that buffer
	flying   []*shipment // buffers on their way, oldest first
	spare    []*shipment
	page     func(bucket uint8) bool // waits for a free page, when none is; false if there will be none
	failures int                     // buffers that flash did not take
	wear     wearLimit
	age      uint32    // seconds for which values that move were not used; 0 while RAM is short
	stayed   int       // records that were refused and stayed in RAM, of the present demoteAged
	until    time.Time // of a demoter that empties RAM at the end: when it gives up
	hot      *hotList  // of such a one: what to warm after the restart
	leaving  Leaving   // what the observer is told, kept so that telling allocates nothing
}

// stream is what goes to pages of one bucket.
type stream struct {
	w     *deviceWriter
	moves []move // records in the buffer being filled
	bytes int64  // of them, as they are in RAM
}

// move is a record that was copied into a write buffer.
type move struct {
	hash uint64
	from memtier.Loc
	cas  uint64         // of one from RAM
	was  flashtier.Addr // of one from flash, what from is
	to   flashtier.Addr // 0 once it proved to be dead on arrival

	fetched bool // of one from flash: the record says that the item was read

	exptime uint32 // the slot's when it was repointed: a touch may have come after the copy
}

// victim is a segment being emptied; failures is the demoter's when it began.
type victim struct {
	*memtier.Victim
	failures int
}

// shipment is a write buffer on its way, with what is to be done on arrival.
type shipment struct {
	batch  *flashtier.Batch
	moves  []move
	bytes  int64
	settle []victim
}

// demoteLoop keeps some segments free.
func (c *Cache) demoteLoop() {
	defer c.loops.Done()
	d := c.newDemoter()
	if c.reclaimer != nil {
		defer close(c.reclaimer.stop)
	}
	defer d.drain()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-c.mem.Room():
			d.makeRoom()
		case <-second.C:
			d.demoteAged()
			d.makeRoom()
		}
	}
}

func (c *Cache) newDemoter() *demoter {
	d := &demoter{c: c, wear: wearLimit{limit: &c.tuned.writeLimit}}
	if c.flash != nil {
		d.w, d.page = c.flash.NewWriter(flashtier.BucketDefault), c.reclaimer.await
		d.other.w = c.flash.NewWriter(flashtier.BucketLowTTL)
	}
	return d
}

// overtime tells whether what is left is to be dropped. A segment that demoteLoop
// has begun is emptied to its end, also when the cache is being closed.
func (d *demoter) overtime() bool { return !d.until.IsZero() && time.Now().After(d.until) }

// makeRoom empties segments until enough are free or nothing can be emptied.
func (d *demoter) makeRoom() {
	for d.c.mem.FreeSegments() < d.c.mem.LowWater() && !d.c.stopping() {
		if !d.step(0) {
			break
		}
	}
	d.drain()
}

// step empties the oldest segment that is at least minAge seconds old, and
// reports whether it got any further.
func (d *demoter) step(minAge uint32) bool {
	if d.w == nil && d.c.opts.NoEvictions {
		return false
	}
	v, ok := d.c.mem.TakeOldest(minAge, d.c.now.Load())
	if !ok {
		d.ship()
		return d.arrive() // a segment on its way may be all there is
	}
	d.empty(victim{v, d.failures})
	return true
}

// empty moves the live records of v into write buffers. The segment is freed
// when the last of those has arrived.
func (d *demoter) empty(v victim) {
	d.measure()
	for v.Next() {
		d.demote(v.Victim)
	}
	switch n := len(d.flying); {
	case len(d.moves)+len(d.other.moves) > 0:
		d.settle = append(d.settle, v)
	case n > 0:
		d.flying[n-1].settle = append(d.flying[n-1].settle, v)
	default:
		d.free(v)
	}
}

// demote decides on the record that v is at.
func (d *demoter) demote(v *memtier.Victim) {
	c := d.c
	d.turn(d.expiresSoon(v))
	dst := d.reserve(v)
	verdict, it, value := v.Judge(c.now.Load(), d.until.IsZero() && d.age == 0, dst)
	if verdict != memtier.Demote {
		return
	}
	if why := d.refuses(v, &it, dst); why != admitted && d.refuse(v, &it, why) {
		return
	}
	to, err := d.w.Commit(v.Hash(), v.Key(), value, it.Flags, it.Exptime, it.CAS, uint8(it.State))
	if err != nil {
		c.opts.Logger.Error("write buffer refused a record", "err", err)
		return
	}
	d.left(v, &it, true)
	d.bytes += int64(memtier.RecordBytes(len(v.Key()), len(value)))
	d.moves = append(d.moves, move{hash: v.Hash(), from: v.Loc(), cas: it.CAS, to: to})
	if d.hot != nil && it.Accessed {
		d.hot.add(v.Hash())
	}
}

// reserve makes space for v's record in the write buffer; nil if it cannot go
// to flash and is to be dropped.
func (d *demoter) reserve(v *memtier.Victim) []byte {
	for d.w != nil && !d.overtime() {
		dst, err := d.w.Reserve(len(v.Key()), v.ValueCap())
		switch {
		case err == nil:
			return dst
		case errors.Is(err, flashtier.ErrBufferFull):
			d.ship()
		case errors.Is(err, flashtier.ErrBusy) && d.arrive():
		case errors.Is(err, flashtier.ErrNoPage) && d.freePage():
		case errors.Is(err, flashtier.ErrDeviceOut) && d.arrive(): // which may have brought it in again
		case errors.Is(err, flashtier.ErrIO): // that page could not be begun; after some, the device is out
		default:
			return nil // larger than a page, or the device is out
		}
	}
	return nil
}

// freePage waits until a page is free. What is on its way must have its slots
// first: only then can its page be reclaimed, and that may be the only one.
func (d *demoter) freePage() bool {
	for d.arrive() {
	}
	return d.page(d.w.bucket)
}

// ship hands the write buffers to the queue. A segment may have records in both, so
// they go together, and it is freed when the last has arrived.
func (d *demoter) ship() {
	low := d.low
	d.shipStream(len(d.other.moves) == 0)
	d.turn(!low)
	d.shipStream(true)
	d.turn(low)
}

// turn has what follows go to pages for what expires soon, or to others.
func (d *demoter) turn(low bool) {
	if low != d.low {
		d.stream, d.other, d.low = d.other, d.stream, low
	}
}

// expiresSoon tells whether v's record goes to a page with others of that kind.
func (d *demoter) expiresSoon(v *memtier.Victim) bool {
	o := d.c.tuned.reclaim.Load()
	if d.w == nil || o.LowTTL == 0 {
		return false
	}
	it, ok := d.c.mem.Peek(v.Hash())
	return ok && o.isLow(it.Exptime, d.c.now.Load())
}

// shipStream hands over the buffer of the stream; last says that it is the last
// one that has records of the segments emptied so far.
func (d *demoter) shipStream(last bool) {
	if len(d.moves) == 0 {
		return
	}
	s := &shipment{}
	if n := len(d.spare); n > 0 {
		s, d.spare = d.spare[n-1], d.spare[:n-1]
	}
	s.moves, d.moves = d.moves, s.moves[:0]
	if last {
		s.settle, d.settle = d.settle, s.settle[:0]
	}
	s.bytes, d.bytes = d.bytes, 0
	batch, err := d.w.Flush()
	if err != nil {
		d.c.opts.Logger.Error("cannot write to flash", "err", err)
	}
	s.batch = batch
	d.flying = append(d.flying, s)
	d.measure()
	if d.c.reclaimer.wanting() {
		d.c.reclaimer.nudge()
	}
}

// measure looks at what was written to flash.
func (d *demoter) measure() {
	if d.w != nil {
		d.wear.fill(d.c.opts.Clock(), d.c.flash.Written())
	}
}

// arrive waits for the oldest buffer on its way, repoints the slots of its
// records and frees the segments that it emptied. False if none is on its way.
func (d *demoter) arrive() bool {
	if len(d.flying) == 0 {
		return false
	}
	s := d.flying[0]
	d.flying = append(d.flying[:0], d.flying[1:]...)
	if d.written(s.batch) {
		d.c.repoint(s.batch, s.moves)
		d.c.count.demoted.Add(uint64(len(s.moves)))
		d.c.count.demotedBytes.Add(uint64(s.bytes))
		s.batch.Release()
	} else {
		d.failures++
	}
	for _, v := range s.settle {
		d.free(v)
	}
	s.moves, s.settle, s.batch = s.moves[:0], s.settle[:0], nil
	d.spare = append(d.spare, s)
	return true
}

// repoint has the slots point at what is on flash now, where they still point at
// the very records that were copied, and hands those to the catalog.
func (c *Cache) repoint(b *flashtier.Batch, moves []move) {
	gen := b.Generation()
	for i := range moves {
		m := &moves[i]
		loc, class := locOf(m.to)
		ok := false
		if m.from.OnFlash() {
			m.exptime, ok = c.mem.Relocate(m.hash, m.from, loc, class, m.fetched)
		} else {
			m.exptime, ok = c.mem.Repoint(m.hash, m.from, m.cas, loc, class)
		}
		if !ok {
			c.flash.Dead(m.to)
			m.to = 0
		}
	}
	for now := b.Generation(); gen != now; now = b.Generation() {
		gen = now // a flush came in between: only what was set after it is left
		for i, m := range moves {
			if loc, _ := locOf(m.to); m.to != 0 && c.mem.LocOf(m.hash) != loc {
				moves[i].to = 0
			}
		}
	}
	b.Commit(gen, func(i int) (uint32, bool) { return moves[i].exptime, moves[i].to != 0 })
}

// written waits for the batch and tells whether it is on flash.
func (d *demoter) written(b *flashtier.Batch) bool {
	if b == nil {
		return false
	}
	err := b.Err()
	if err != nil {
		b.Release()
		d.c.opts.Logger.Error("flash did not take a write buffer", "err", err)
	}
	return err == nil
}

// free gives the segment back, or empties it once more if a buffer failed
// meanwhile: some of its records may still live in RAM alone.
func (d *demoter) free(v victim) {
	if v.failures != d.failures && !d.overtime() {
		v.Rewind()
		d.empty(victim{v.Victim, d.failures})
		return
	}
	v.Free()
	d.c.room.signal()
}

// drain waits until nothing is on its way.
func (d *demoter) drain() {
	for d.ship(); d.arrive(); d.ship() {
	}
}
