package hearth

import (
	"runtime"
	"time"

	"github.com/hearthcache/hearth/flashtier"
)

// outAfter is how many reads in a row must fail for a device to be taken out.
// Pages are retired long before that, one by one, where only some are bad.
const outAfter = 32

// removeAgain is how soon it is tried again to take out a device, or the next.
const removeAgain = time.Second

// watchDevices takes out the devices that cannot be read any more, while there
// are others, with their items: what they had would be misses one by one. One
// that cannot be written stays: see flashtier. Only clockLoop calls it.
func (c *Cache) watchDevices() {
	ds := c.flash
	if ds == nil || len(ds.all) == 1 || time.Now().Before(ds.tryAgain) {
		return
	}
	for _, d := range ds.all {
		if d.gone.Load() || d.FailedReads() < outAfter || !ds.removing.CompareAndSwap(false, true) {
			continue
		}
		ds.tryAgain = time.Now().Add(removeAgain)
		c.loops.Add(1)
		go func() {
			defer c.loops.Done()
			defer ds.removing.Store(false)
			c.remove(d)
		}()
	}
}

// remove takes d out. The others are given a new run first, without it: from then
// on what d has is old, and whatever becomes of its items need not be journaled
// there, where that may not last. Should the server end before that, d has missed
// nothing yet.
func (c *Cache) remove(d *device) {
	ds := c.flash
	if ds.living() == 1 {
		return
	}
	if err := ds.leaveOut(d, c.now.Load()); err != nil {
		c.opts.Logger.Error("device cannot be read, and cannot be taken out", "dir", d.dir, "err", err)
		return
	}
	d.gone.Store(true)
	c.buryAll(d) // before the first slot is dropped
	c.opts.Logger.Error("device cannot be read: it is taken out with its items until the next start, and will start cold",
		"dir", d.dir, "failed_reads", d.Stats().ReadIO)
	n := 0
	for part := 0; !c.stopping(); part++ {
		dropped, ok := c.mem.DropRange(part, d.base, d.base+uint64(d.size)/placeUnit)
		if !ok {
			break
		}
		n += dropped
		runtime.Gosched() // a part takes some microseconds; others come first
	}
	c.opts.Logger.Info("items of a device are dropped", "dir", d.dir, "items", n)
}

// leaveOut gives all devices but d a new run.
func (ds *devices) leaveOut(d *device, now uint32) error {
	next := flashtier.Run{ID: flashtier.NextRun(now, ds.run), Before: ds.run.ID, Pending: true, Known: true, Seed: ds.run.Seed}
	for range 2 {
		for _, o := range ds.all {
			if o == d || o.gone.Load() {
				continue
			}
			if err := o.SetRun(next); err != nil {
				return err
			}
		}
		next.Pending = false
	}
	ds.run = next
	return nil
}

// living is how many devices have not been taken out.
func (ds *devices) living() (n int) {
	for _, d := range ds.all {
		if !d.gone.Load() {
			n++
		}
	}
	return n
}
