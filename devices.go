package hearth

import (
	"cmp"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/ioq"
)

// devices is the flash of a cache: a flashtier.Tier of its own for each device,
// so that one that fails takes only its own items with it. To all other code it
// is one tier: pages and places are numbered through, those of a device after
// those of the one before. Only this file and devicewriter.go know the numbers
// that a device itself uses.
type devices struct {
	all       []*device    // fixed after Open; at least one
	conflicts atomic.Int64 // keys that recovery found on two devices
	absent    []*device    // that Open could not reach, and that there is nothing of

	// Of taking a device out, one at a time.
	run      flashtier.Run // that all which are left are part of
	removing atomic.Bool
	tryAgain time.Time // not before; of clockLoop
}

// placeUnit is the bytes of a unit of places.
const placeUnit = 8

// device is one of them.
type device struct {
	*flashtier.Tier
	dir        string
	size       int64
	bucket     uint8
	first      flashtier.PageID // the number of its first page
	base       uint64           // the place of that page, in units of 8 bytes
	recovery   flashtier.Recovery
	done, toDo int64       // records of the recovery, under Cache.progressing
	gone       atomic.Bool // taken out: nothing is read, written or journaled there
	queue      ioq.Queue
	owned      bool // the queue goes with the device
}

// at finds the device that a lies on, and what a is there.
func (ds *devices) at(a flashtier.Addr) (*device, flashtier.Addr) {
	for i := len(ds.all) - 1; i > 0; i-- {
		if d := ds.all[i]; a.Place() >= d.base {
			return d, flashtier.NewAddr(a.Place()-d.base, a.Class())
		}
	}
	return ds.all[0], a
}

// through is what an address of the device is among all.
func (d *device) through(a flashtier.Addr) flashtier.Addr {
	return flashtier.NewAddr(a.Place()+d.base, a.Class())
}

// holding finds the device that has the page, and its number there.
func (ds *devices) holding(id flashtier.PageID) (*device, flashtier.PageID) {
	for i := len(ds.all) - 1; i > 0; i-- {
		if d := ds.all[i]; id >= d.first {
			return d, id - d.first
		}
	}
	return ds.all[0], id
}

// each calls do for every device that has not been taken out, and joins the
// errors.
func (ds *devices) each(do func(d *device) error) error {
	var errs []error
	for _, d := range ds.all {
		if !d.gone.Load() {
			errs = append(errs, do(d))
		}
	}
	return errors.Join(errs...)
}

// What follows is as of flashtier.Tier, for addresses and pages of any device.

// StartRead submits the read of a record, as StartUrgentRead if it is urgent.
func (ds *devices) StartRead(a flashtier.Addr, n ioq.Notifier, tag uint64, urgent bool) (*flashtier.Read, error) {
	d, local := ds.at(a)
	if d.gone.Load() {
		return nil, flashtier.ErrGone
	}
	if urgent {
		return d.StartUrgentRead(local, n, tag)
	}
	return d.StartRead(local, n, tag)
}

// Version is the version of the page that a is in.
func (ds *devices) Version(a flashtier.Addr) uint32 {
	d, local := ds.at(a)
	return d.Version(local)
}

// Died journals that a slot pointed at a until now.
func (ds *devices) Died(a flashtier.Addr) {
	if d, local := ds.at(a); !d.gone.Load() {
		d.Died(local)
	}
}

// Buried journals that the record at a, which was moved from there, has died.
func (ds *devices) Buried(a flashtier.Addr) {
	if d, local := ds.at(a); !d.gone.Load() {
		d.Buried(local)
	}
}

// Dead counts that nothing points at a any more.
func (ds *devices) Dead(a flashtier.Addr) {
	d, local := ds.at(a)
	d.Dead(local)
}

// Touched journals a new expiry time.
func (ds *devices) Touched(a flashtier.Addr, exptime uint32) {
	if d, local := ds.at(a); !d.gone.Load() {
		d.Touched(local, exptime)
	}
}

// JournalRoom tells whether changes may begin: whichever device has the item, its
// journal has room.
func (ds *devices) JournalRoom() bool {
	for _, d := range ds.all {
		if !d.JournalRoom() && !d.gone.Load() {
			return false
		}
	}
	return true
}

// Flush journals on every device that all is dead.
func (ds *devices) Flush() {
	for _, d := range ds.all {
		if !d.gone.Load() {
			d.Flush()
		}
	}
}

// FlushAt is the time of a delayed flush.
func (ds *devices) FlushAt() (at uint32) {
	for _, d := range ds.all {
		at = max(at, d.FlushAt())
	}
	return at
}

// SetFlushAt notes it on every device.
func (ds *devices) SetFlushAt(at uint32) error {
	return ds.each(func(d *device) error { return d.SetFlushAt(at) })
}

// Seed is the same for all.
func (ds *devices) Seed() uint64 { return ds.all[0].Seed() }

// FirstCAS is above all CAS numbers of earlier runs.
func (ds *devices) FirstCAS() (cas uint64) {
	for _, d := range ds.all {
		cas = max(cas, d.FirstCAS())
	}
	return cas
}

// TryDevice has devices that are out be tried at once.
func (ds *devices) TryDevice() {
	for _, d := range ds.all {
		d.TryDevice()
	}
}

// CommitAll waits for the catalogs.
func (ds *devices) CommitAll() error { return ds.each(func(d *device) error { return d.CommitAll() }) }

// MarkClean marks the end as clean.
func (ds *devices) MarkClean() error { return ds.each(func(d *device) error { return d.MarkClean() }) }

// Close closes the tiers, and the queues that are theirs.
func (ds *devices) Close() error {
	var errs []error
	for _, d := range ds.all {
		errs = append(errs, d.close())
	}
	return errors.Join(errs...)
}

func (d *device) close() error { return errors.Join(d.Tier.Close(), d.closeQueue()) }

func (d *device) closeQueue() error {
	if !d.owned {
		return nil
	}
	return d.queue.Close()
}

// SetHotList leaves the list of hot values with the first device that is there.
func (ds *devices) SetHotList(hashes []uint64) error {
	for _, d := range ds.all {
		if !d.gone.Load() {
			return d.SetHotList(hashes)
		}
	}
	return nil
}

// HotList is that of the first device that has one, or the error of the last.
func (ds *devices) HotList() (hashes []uint64, err error) {
	for _, d := range ds.all {
		if hashes, err = d.HotList(); err == nil {
			return hashes, nil
		}
	}
	return nil, err
}

// FreePages is how many pages could be written at once.
func (ds *devices) FreePages() (n int) {
	for _, d := range ds.all {
		if !d.gone.Load() {
			n += d.FreePages()
		}
	}
	return n
}

// wanting tells whether a device has fewer free pages than o asks for.
func (ds *devices) wanting(o *Reclaim) bool {
	return slices.ContainsFunc(ds.all, func(d *device) bool { return d.wanting(o) })
}

// wanting is false for a device that takes no writes.
func (d *device) wanting(o *Reclaim) bool {
	return !d.gone.Load() && !d.Out() && d.FreePages() < o.freePages(d.PageCount())
}

// takes tells whether pages of bucket may go to the device.
func (d *device) takes(bucket uint8) bool {
	return d.bucket == bucket || d.bucket == flashtier.BucketDefault
}

// roomFor tells whether a page of bucket could be written at once.
func (ds *devices) roomFor(bucket uint8) bool {
	return slices.ContainsFunc(ds.all, func(d *device) bool {
		return d.takes(bucket) && !d.gone.Load() && !d.Out() && d.FreePages() > 0
	})
}

// PickOf gives the page to be reclaimed next: of the device with the fewest free
// pages, among those of which, that has one to give. Those that take no writes come
// last.
func (ds *devices) PickOf(due bool, which func(d *device) bool) (flashtier.Victim, bool) {
	order := ds.all
	if len(order) > 1 {
		order = slices.SortedStableFunc(slices.Values(order), func(a, b *device) int {
			return cmp.Or(cmp.Compare(outRank(a), outRank(b)), cmp.Compare(a.FreePages(), b.FreePages()))
		})
	}
	for _, d := range order {
		if d.gone.Load() || !which(d) {
			continue
		}
		if v, ok := d.Pick(due); ok {
			v.ID += d.first
			return v, true
		}
	}
	return flashtier.Victim{}, false
}

func outRank(d *device) int {
	if d.Out() {
		return 1
	}
	return 0
}

// pagesOf is how many pages the device has that page id is on.
func (ds *devices) pagesOf(id flashtier.PageID) int {
	d, _ := ds.holding(id)
	return d.PageCount()
}

// Entries calls fn for every record of a page that Pick gave.
func (ds *devices) Entries(id flashtier.PageID, fn func(hash uint64, a flashtier.Addr)) error {
	d, local := ds.holding(id)
	return d.Entries(local, func(hash uint64, a flashtier.Addr) { fn(hash, d.through(a)) })
}

// NamedEntries is Entries by the catalog.
func (ds *devices) NamedEntries(id flashtier.PageID, fn func(hash uint64, a flashtier.Addr)) error {
	d, local := ds.holding(id)
	return d.NamedEntries(local, func(hash uint64, a flashtier.Addr) { fn(hash, d.through(a)) })
}

// Salvage reads records of a page that Pick gave.
func (ds *devices) Salvage(id flashtier.PageID, addrs []flashtier.Addr, read func(n int64) bool, fn func(i int, rec *flashtier.Record, err error)) error {
	d, local := ds.holding(id)
	own := make([]flashtier.Addr, len(addrs))
	for i, a := range addrs {
		_, own[i] = ds.at(a)
	}
	return d.Salvage(local, own, read, fn)
}

// Forget takes a page that Pick gave from the catalog of its device.
func (ds *devices) Forget(id flashtier.PageID) bool {
	d, local := ds.holding(id)
	return d.Forget(local)
}

// PutBack undoes Pick.
func (ds *devices) PutBack(id flashtier.PageID, alive int) {
	d, local := ds.holding(id)
	d.PutBack(local, alive)
}

// Free gives a page back that Pick gave.
func (ds *devices) Free(id flashtier.PageID) {
	d, local := ds.holding(id)
	d.Free(local)
}

// Stats is the sum of all devices.
func (ds *devices) Stats() flashtier.Stats {
	s := ds.all[0].Stats()
	for _, d := range ds.all[1:] {
		s.Add(d.Stats())
	}
	return s
}

// Longest is the longest record, in bytes, that goes to flash.
func (ds *devices) Longest() int64 { return ds.all[0].Longest() }

// Written is the sum of what was given to all devices to write.
func (ds *devices) Written() (n uint64) {
	for _, d := range ds.all {
		n += d.Written()
	}
	return n
}

// IO is the sum over the queues.
func (ds *devices) IO() ioq.Stats {
	s := ds.all[0].queue.Stats()
	for _, d := range ds.all[1:] {
		if d.queue != ds.all[0].queue {
			s.Add(d.queue.Stats())
		}
	}
	return s
}

// Engine names the engine of the first device's queue; all have the same.
func (ds *devices) Engine() string { return ds.all[0].queue.Engine() }

// Pages gives the state of every page.
func (ds *devices) Pages() (pages []flashtier.PageStat) {
	for _, d := range ds.all {
		from := len(pages)
		pages = append(pages, d.Pages()...)
		for i := range pages[from:] {
			pages[from+i].ID += d.first
		}
	}
	return pages
}
