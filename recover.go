package hearth

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/hearthcache/hearth/flashtier"
)

// recover fills the index with the records that an earlier run has left on
// flash.
func (c *Cache) recover() error {
	if c.flash == nil {
		return nil
	}
	var dropped atomic.Int64
	r, err := c.flash.Recover(runtime.GOMAXPROCS(0), func(part []flashtier.Entry) {
		for _, e := range part {
			if !c.load(e) {
				dropped.Add(1)
			}
		}
	})
	var many *flashtier.TooManyError
	if errors.As(err, &many) {
		return fmt.Errorf("%w: the index of %d items on flash needs Memory of %d MiB; %d MiB are enough for %d, with which recover=newest would start",
			ErrOptions, many.Items, c.opts.mebibytesFor(many.Items), c.opts.Memory>>20, many.Most)
	}
	if err != nil {
		return err
	}
	if r.LeftOut > 0 {
		items := r.Items + r.LeftOut
		c.opts.Logger.Warn("memory is too small for the index of all items on flash: only the newest are back",
			"items", items, "left_out", r.LeftOut, "memory_mib", c.opts.Memory>>20, "needed_mib", c.opts.mebibytesFor(items))
	}
	c.recovery, c.recovered = r, r.Items-dropped.Load()
	c.flash.tell(c.opts.Logger)
	log := c.opts.Logger.Info
	if r.Why != "" || r.BadBlobs > 0 || r.BadPages > 0 || r.BadJournal != "" || dropped.Load() > 0 {
		log = c.opts.Logger.Warn
	}
	attrs := []any{"mode", r.Mode, "why", r.Why, "items", c.recovered, "bytes", r.Bytes, "pages", r.Pages,
		"dead", r.Dead, "expired", r.Expired, "flushed", r.Flushed, "bad_extents", r.BadBlobs, "bad_pages", r.BadPages,
		"bad_journal", r.BadJournal, "pages_aside", r.PagesAside, "pages_scanned", r.PagesScanned, "bad_records", r.BadRecords,
		"no_memory", dropped.Load(), "seconds", r.Duration.Seconds()}
	if r.Mode == flashtier.ModeCold {
		attrs = append(attrs, "hint", "rebuild=accept_stale (AcceptStale) brings back the pages set aside, with values that "+
			"were overwritten or deleted; without it they go as their room is needed")
	}
	log("recovered", attrs...)
	return nil
}

// mostItems is how many more items on flash the index has room for.
func (c *Cache) mostItems() int64 {
	return c.opts.tierOptions(0).MostItems() - c.mem.Stats().IndexItems
}

// load gives one record a slot. What has none is journaled dead: the key may be
// stored anew without anyone knowing that flash has an older value.
func (c *Cache) load(e flashtier.Entry) bool {
	loc, class := locOf(e.Addr)
	if len(c.flash.all) > 1 {
		if old, ok := c.mem.Peek(e.Hash); ok && !c.twice(e, old) {
			c.flash.Died(e.Addr)
			return false
		}
	}
	lost, ok := c.mem.Load(e.Hash, loc, class, e.Exptime, c.now.Load())
	c.died(lost)
	if !ok {
		c.flash.Died(e.Addr)
	}
	return ok
}

// progressEvery is how often the progress of a recovery is logged.
const progressEvery = 2 * time.Second

// progress tells how far the recovery is, and logs when it will be done at this
// rate.
func (c *Cache) progress(done, total int64) {
	if c.opts.Progress != nil {
		c.opts.Progress(done, total)
	}
	now := time.Now()
	if c.progressFrom.IsZero() && done > 0 {
		c.progressFrom, c.progressAt = now, now
		// As many of the rest will be alive as of what has come so far.
		c.mem.Expect(int64(float64(c.mem.Stats().IndexItems) * float64(total) / float64(done)))
	}
	if now.Sub(c.progressAt) < progressEvery || done == 0 {
		return
	}
	c.progressAt = now
	left := time.Duration(float64(now.Sub(c.progressFrom)) * float64(total-done) / float64(done))
	c.opts.Logger.Info("recovering", "records", done, "of", total, "left", left.Round(time.Second))
}

// demoteAll moves all that is in RAM to flash and marks the end as clean. What
// flash does not take in time is dropped, and that is no error: the rest is
// right.
func (c *Cache) demoteAll() error {
	if c.flash == nil {
		return nil
	}
	begun := time.Now()
	d := c.newDemoter()
	d.until, d.page = begun.Add(c.opts.ShutdownTimeout), c.reclaimer.atOnce
	d.hot = &hotList{copies: c.mem.HotHashes(flashtier.MostHot), rest: c.unwarmed}
	c.flash.TryDevice()
	before := c.mem.Stats()
	// The segment that was being written can only be sealed while another is
	// free, so that is tried until nothing is left.
	for c.mem.SealActive(0, c.now.Load()) || d.step(0) {
		if now := time.Now(); now.Sub(c.progressAt) > progressEvery {
			c.progressAt = now
			c.opts.Logger.Info("moving values to flash", "segments", c.mem.Stats().SegmentsTotal-int64(c.mem.FreeSegments()))
		}
	}
	d.drain()
	c.leaveHot(d.hot)
	after := c.mem.Stats()
	err := errors.Join(c.flash.CommitAll(), c.flash.MarkClean())
	log, dropped := c.opts.Logger.Info, after.Evictions-before.Evictions+uint64(after.IndexItems-after.FlashItems)
	if dropped > 0 {
		log = c.opts.Logger.Warn
	}
	log("moved values to flash", "items", after.FlashItems-before.FlashItems, "dropped", dropped, "seconds", time.Since(begun).Seconds())
	return err
}
