package hearth

import (
	"errors"
	"log/slog"
	"slices"
	"sync"

	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/memtier"
)

// Recover gives load what earlier runs have left on all devices, which it reads
// side by side. It tells what it has found of each.
func (ds *devices) Recover(workers int, load func(part []flashtier.Entry)) (flashtier.Recovery, error) {
	var wg sync.WaitGroup
	errs := make([]error, len(ds.all))
	var parts [256]sync.Mutex // a part of one device and the like one of another come one after the other
	for i, d := range ds.all {
		wg.Go(func() {
			d.recovery, errs[i] = d.Recover(max(1, workers/len(ds.all)), func(part []flashtier.Entry) {
				for i := range part {
					part[i].Addr = d.through(part[i].Addr)
				}
				p := &parts[part[0].Hash>>56]
				p.Lock()
				defer p.Unlock()
				load(part)
			})
		})
	}
	wg.Wait()
	return ds.recovered(), errors.Join(errs...)
}

// modes are how a tier can start, the best first.
var modes = []flashtier.Mode{
	flashtier.ModeNew, flashtier.ModeClean, flashtier.ModeWarm, flashtier.ModePowerLoss, flashtier.ModeStale, flashtier.ModeCold,
}

// recovered is the sum over all devices, with the worst of their modes.
func (ds *devices) recovered() flashtier.Recovery {
	sum := ds.all[0].recovery
	for _, d := range ds.all[1:] {
		r := &d.recovery
		if slices.Index(modes, r.Mode) > slices.Index(modes, sum.Mode) {
			sum.Mode, sum.Why = r.Mode, r.Why
		}
		if sum.BadJournal == "" {
			sum.BadJournal = r.BadJournal
		}
		sum.Items, sum.Bytes, sum.Pages = sum.Items+r.Items, sum.Bytes+r.Bytes, sum.Pages+r.Pages
		sum.Expired, sum.Dead, sum.Flushed = sum.Expired+r.Expired, sum.Dead+r.Dead, sum.Flushed+r.Flushed
		sum.LeftOut += r.LeftOut
		sum.BadBlobs, sum.BadPages, sum.PagesAside = sum.BadBlobs+r.BadBlobs, sum.BadPages+r.BadPages, sum.PagesAside+r.PagesAside
		sum.PagesScanned, sum.BadRecords = sum.PagesScanned+r.PagesScanned, sum.BadRecords+r.BadRecords
		sum.Duration = max(sum.Duration, r.Duration)
	}
	return sum
}

// tell logs how each of several devices has started.
func (ds *devices) tell(log *slog.Logger) {
	if len(ds.all) == 1 {
		return
	}
	for _, d := range ds.all {
		r := &d.recovery
		log.Info("device recovered", "dir", d.dir, "mode", r.Mode, "why", r.Why, "items", r.Items, "pages", r.Pages, "seconds", r.Duration.Seconds())
	}
	if n := ds.conflicts.Load(); n > 0 {
		log.Warn("keys were named on two devices, and are dropped", "keys", n)
	}
}

// twice settles that a record is named which is to take the slot of old, on
// another device: both would be of one key. It tells whether the record may be
// loaded. A death is journaled before the change that caused it is answered, so as
// long as the journals can be trusted the two are one record that was being rescued
// (twins.go), and either will do. It takes a power loss that took a death, or a start
// that accepts stale values, for them to differ: then what was accepted as stale
// goes, or else both, for nothing tells which one is the older. Where both are on one
// device the later one counts, as memtier has it.
func (c *Cache) twice(e flashtier.Entry, old memtier.Item) bool {
	a := addrOf(old.Loc, old.Class)
	on, _ := c.flash.at(a)
	of, _ := c.flash.at(e.Addr)
	if on == of || on.sure() && of.sure() {
		return true
	}
	c.flash.conflicts.Add(1)
	oldStale, newStale := on.Mode() == flashtier.ModeStale, of.Mode() == flashtier.ModeStale
	if oldStale || !newStale {
		c.mem.DeleteAt(e.Hash, old.Loc)
		c.flash.Died(a)
	}
	return oldStale && !newStale
}

// sure tells whether all deaths are known of what the device had.
func (d *device) sure() bool {
	m := d.Mode()
	return m == flashtier.ModeClean || m == flashtier.ModeWarm
}

// progressOf is the Progress of one device, which tells c of all.
func (d *device) progressOf(c *Cache) func(done, total int64) {
	return func(done, total int64) {
		c.progressing.Lock()
		defer c.progressing.Unlock()
		d.done, d.toDo = done, total
		done, total = 0, 0
		for _, d := range c.flash.all {
			done, total = done+d.done, total+d.toDo
		}
		c.progress(done, total)
	}
}
