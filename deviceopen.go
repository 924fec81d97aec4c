package hearth

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/ioq"
)

// openFlash opens all devices: first each is looked at, and nothing is changed;
// then they are opened with what they have in common; then the run is certain.
// See flashtier.Run for why.
func (c *Cache) openFlash(dir string) (err error) {
	o := &c.opts
	if o.FlashSize == 0 {
		return nil
	}
	found := c.lookAtDevices(o.devices(dir))
	defer func() {
		if err != nil {
			err = fmt.Errorf("open flash tier: %w", errors.Join(err, found.giveUp()))
		}
	}()
	if err := found.failure(o); err != nil {
		return err
	}
	ds := &devices{}
	for _, d := range found {
		if d.err != nil {
			o.Logger.Error("device is left out", "dir", d.dir, "err", d.err)
			ds.absent = append(ds.absent, d.device)
			continue
		}
		ds.all = append(ds.all, d.device)
	}
	if ds.run, err = found.open(c); err != nil {
		return err
	}
	var pages flashtier.PageID
	for _, d := range ds.all {
		d.first, d.base = pages, uint64(pages)*uint64(o.PageSize)/placeUnit
		pages += flashtier.PageID(d.size / int64(o.PageSize))
		o.Logger.Info("flash tier is open", "dir", d.dir, "size", d.size, "page", o.PageSize, "io", d.queue.Engine())
	}
	c.flash = ds
	return ds.agree()
}

// foundDevice is a device that is being opened.
type foundDevice struct {
	*device
	opening *flashtier.Opening // nil once it is open, or was given up
	err     error              // why it cannot be opened
}

type foundDevices []*foundDevice

// lookAtDevices takes the directories.
func (c *Cache) lookAtDevices(list []Device) (found foundDevices) {
	for _, dev := range list {
		f := &foundDevice{device: &device{dir: dev.Dir, size: dev.Size, bucket: buckets[dev.Bucket], queue: c.opts.Queue}}
		f.opening, f.err = c.lookAtDevice(f.device)
		found = append(found, f)
	}
	return found
}

func (c *Cache) lookAtDevice(d *device) (*flashtier.Opening, error) {
	o := &c.opts
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return nil, err
	}
	if d.queue == nil {
		q, err := ioq.New(ioq.Options{Engine: o.IOEngine, Threads: o.IOThreads, Depth: o.IODepth, Dir: d.dir})
		if err != nil {
			return nil, fmt.Errorf("open io queue: %w", err)
		}
		d.queue, d.owned = q, true
	}
	return flashtier.Look(flashtier.Options{
		Dir: d.dir, Size: d.size, PageSize: o.PageSize, BufferSize: o.WriteBuffer,
		Buffers: int(o.writeBuffers()), RescueBuffers: rescueBuffers, ReadBytes: o.readBytes(), Queue: d.queue, Now: c.now.Load,
		Hash:         func(key []byte) uint64 { return c.mem.Hash(key) },
		JournalBytes: o.journalBytes(), CatalogMemory: o.catalogBytes(), JournalSync: o.JournalSync, AfterPowerLoss: o.AfterPowerLoss,
		AcceptStale: o.AcceptStale, MostItems: func() int64 { return d.share(c.mostItems(), o.FlashSize) }, RefuseMore: o.Recover == "refuse",
		Logger: o.Logger, SlowRead: o.SlowRead, Progress: d.progressOf(c),
	})
}

// share is the device's part of n, by the size of all.
func (d *device) share(n, all int64) int64 { return int64(float64(n) * float64(d.size) / float64(all)) }

// failure is why the cache cannot be opened with what was found. With SkipMissing
// that is not a device that cannot be reached, as long as one can; what the
// options, or another cache, stand in the way of is no less so.
func (found foundDevices) failure(o *Options) error {
	var errs []error
	reached := 0
	for _, d := range found {
		switch {
		case d.err == nil:
			reached++
		case !o.SkipMissing || errors.Is(d.err, flashtier.ErrOptions) || errors.Is(d.err, flashtier.ErrLocked):
			return d.err
		}
		errs = append(errs, d.err)
	}
	if reached > 0 {
		return nil
	}
	return errors.Join(errs...)
}

// open opens the tiers, gives them a run in common and makes it certain.
func (found foundDevices) open(c *Cache) (run flashtier.Run, err error) {
	found = slices.DeleteFunc(slices.Clone(found), func(d *foundDevice) bool { return d.err != nil })
	var runs []flashtier.Run
	for _, d := range found {
		runs = append(runs, d.opening.Run())
	}
	run, cold := plan(runs, c.now.Load())
	for i, d := range found {
		if cold[i] != "" {
			c.opts.Logger.Warn("device starts cold", "dir", d.dir, "why", cold[i])
		}
		opening := d.opening
		d.opening = nil // which gives up by itself what it cannot open
		if d.Tier, err = opening.Open(flashtier.Start{Run: run, Cold: cold[i]}); err != nil {
			return run, err
		}
	}
	if len(found) == 1 {
		return run, nil
	}
	run.Pending = false
	for _, d := range found {
		if err := d.SetRun(run); err != nil {
			return run, err
		}
	}
	return run, nil
}

// plan decides what is used of devices that were part of runs: the one of the
// latest run, and with it all that were never left out of what it was part of. The
// others start cold; it says why.
func plan(runs []flashtier.Run, now uint32) (run flashtier.Run, cold []string) {
	latest := slices.MaxFunc(runs, func(a, b flashtier.Run) int {
		return cmp.Or(cmp.Compare(a.Used()>>32, b.Used()>>32), cmp.Compare(a.ID>>32, b.ID>>32))
	})
	run = flashtier.Run{ID: flashtier.NextRun(now, runs...), Seed: latest.Seed, Pending: len(runs) > 1}
	if run.Seed == 0 && len(runs) > 1 {
		run.Seed = rand.Uint64() | 1 // not 0
	}
	run.Before = common(latest, runs)
	seen := map[uint64]bool{}
	for _, r := range runs {
		why := ""
		switch {
		case !r.Known:
		case r.Seed != run.Seed:
			why = "it is of another cache"
		case !partOf(r, run.Before):
			why = "the cache was used without it since"
		case seen[r.Identity]:
			why = "it is a copy of another device"
		default:
			seen[r.Identity] = true
		}
		cold = append(cold, why)
	}
	return run, cold
}

// common is the run that most devices may be taken for, of those that the latest
// may be.
func common(latest flashtier.Run, runs []flashtier.Run) (id uint64) {
	most := 0
	for _, of := range latest.IDs() {
		n := 0
		for _, r := range runs {
			if partOf(r, of) {
				n++
			}
		}
		if n > most {
			id, most = of, n
		}
	}
	return id
}

func partOf(r flashtier.Run, id uint64) bool { return r.Known && slices.Contains(r.IDs(), id) }

// giveUp closes what is open.
func (found foundDevices) giveUp() error {
	var errs []error
	for _, d := range found {
		if d.opening != nil {
			errs = append(errs, d.opening.Close())
		}
		if d.Tier != nil {
			errs = append(errs, d.Tier.Close())
		}
		errs = append(errs, d.closeQueue())
	}
	return errors.Join(errs...)
}

// agree has all devices know of the delayed flush that one knows of.
func (ds *devices) agree() error {
	at := ds.FlushAt()
	return ds.each(func(d *device) error {
		if d.FlushAt() == at {
			return nil
		}
		return d.SetFlushAt(at)
	})
}
