package hearth

import (
	"sync/atomic"
	"time"

	"github.com/hearthcache/hearth/flashtier"
)

// reclaimer frees pages of the flash tier ahead of need, so that nobody waits for
// one unless flash is outrun. Only reclaimLoop calls it, or a test, or Close after
// that has ended; await is for the demoter.
//
// What is alive in a page and was read is moved to another one before; see
// rescue.go. The rest goes: the page leaves the catalog, synced, then its slots
// are dropped, then it is space.
type reclaimer struct {
	c       *Cache
	low     chan struct{} // has an element when free pages may have become too few
	asked   chan pageWanted
	stop    chan struct{} // closed when no demoter asks any more
	pressed atomic.Bool   // a demoter waits: there is no time to rescue anything
	pace    pace
	rescuer
}

// pageWanted is a demoter's question for a page of bucket; reply tells whether there
// is one.
type pageWanted struct {
	bucket uint8
	reply  chan bool
}

func (c *Cache) newReclaimer() *reclaimer {
	r := &reclaimer{c: c, low: make(chan struct{}, 1), asked: make(chan pageWanted), stop: make(chan struct{})}
	r.rescuer.begin(c)
	return r
}

// reclaimLoop keeps some pages free, and frees those early of which nothing is
// alive. It outlives demoteLoop, which may wait for a page to the end.
func (c *Cache) reclaimLoop() {
	defer c.loops.Done()
	r := c.reclaimer
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-r.stop:
			return
		case want := <-r.asked:
			want.reply <- c.flash.roomFor(want.bucket) || r.stepFor(want.bucket)
		case <-r.low:
			r.keepFree()
		case <-second.C:
			r.pace.measure(c.flash.Stats())
			for !c.stopping() && r.step(true) {
			}
			r.keepFree()
		}
	}
}

// keepFree frees pages until enough are, of each device that has too few: what is on
// another would be lost for nothing.
func (r *reclaimer) keepFree() {
	wanting := func(d *device) bool { return d.wanting(r.c.tuned.reclaim.Load()) }
	for !r.pressed.Load() && !r.c.stopping() && r.wanting() && r.stepOf(false, wanting) {
	}
}

// wanting tells whether fewer pages are free than there should be, of any device.
func (r *reclaimer) wanting() bool {
	return r.c.flash.wanting(r.c.tuned.reclaim.Load())
}

// nudge has reclaimLoop look how many pages are free.
func (r *reclaimer) nudge() {
	select {
	case r.low <- struct{}{}:
	default:
	}
}

// await returns once a page is free that bucket can have. False says that none can
// be freed. The caller must have nothing on its way, or the page to be freed could be
// that.
func (r *reclaimer) await(bucket uint8) bool {
	r.pressed.Store(true)
	defer r.pressed.Store(false)
	want := pageWanted{bucket, make(chan bool)}
	select {
	case r.asked <- want:
		return <-want.reply
	case <-r.stop:
		return false
	}
}

// atOnce is await when reclaimLoop has ended.
func (r *reclaimer) atOnce(bucket uint8) bool {
	r.pressed.Store(true)
	return r.stepFor(bucket)
}

// stepFor frees a page that bucket can have.
func (r *reclaimer) stepFor(bucket uint8) bool {
	return r.stepOf(false, func(d *device) bool { return d.takes(bucket) })
}

// step frees a page of any device, or if due is set one by which nothing is lost,
// and reports whether there was one.
func (r *reclaimer) step(due bool) bool {
	return r.stepOf(due, anyDevice)
}

func anyDevice(*device) bool { return true }

// stepOf is step for certain devices.
func (r *reclaimer) stepOf(due bool, which func(d *device) bool) bool {
	c := r.c
	v, ok := c.flash.PickOf(due, which)
	if !ok {
		return false
	}
	var left []leftover
	switch {
	case v.Retired:
	case v.Lifeless:
		if left = r.expire(v.ID); due && len(left) > 0 {
			c.flash.PutBack(v.ID, len(left))
			return false
		}
	default:
		r.rescue(v)
	}
	if !c.flash.Forget(v.ID) {
		return false
	}
	if v.ID == r.source {
		r.parted()
	}
	evicted := r.evict(v, left)
	c.count.flashEvicted.Add(evicted)
	c.flash.Free(v.ID)
	if o := c.opts.Observer; o != nil {
		o.Reclaimed(int(v.ID), evicted)
	}
	return true
}

// expire drops the slots that point into a lifeless page and are past their time.
// That can be done while the catalog still names them, as a restart knows by itself
// that they are. left are slots that are not: they were touched just now.
func (r *reclaimer) expire(id flashtier.PageID) (left []leftover) {
	c, now := r.c, r.c.now.Load()
	err := c.flash.NamedEntries(id, func(hash uint64, a flashtier.Addr) {
		loc, _ := locOf(a)
		switch dropped, there := c.mem.ExpireAt(hash, loc, now); {
		case dropped:
			c.flash.Dead(a)
		case there:
			left = append(left, leftover{hash, a})
		}
	})
	r.complain(id, err)
	return left
}

// leftover is a slot that still points into a page which is to be freed.
type leftover struct {
	hash uint64
	addr flashtier.Addr
}

// evict drops the slots that point into a page which has left the catalog: of a
// lifeless one those in left, so that the page is not read.
func (r *reclaimer) evict(v flashtier.Victim, left []leftover) (evicted uint64) {
	drop := func(hash uint64, a flashtier.Addr) {
		if loc, _ := locOf(a); r.c.mem.DeleteAt(hash, loc) {
			r.c.bury(a) // an older page may name it, too
			evicted++
		}
	}
	if v.Lifeless && !v.Retired {
		for _, l := range left {
			drop(l.hash, l.addr)
		}
		return evicted
	}
	r.complain(v.ID, r.c.flash.Entries(v.ID, drop))
	return evicted
}

// complain logs that slots may be left which point into a page. They do no harm:
// the page is retired, so that a read through one of them drops it.
func (r *reclaimer) complain(id flashtier.PageID, err error) {
	if err != nil {
		r.c.opts.Logger.Warn("index of a page is unreadable", "page", id, "err", err)
	}
}
