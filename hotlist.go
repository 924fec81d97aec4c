package hearth

import (
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/memtier"
)

// What was hot before a graceful stop is hot again soon after it: the stop leaves
// a list of hashes, and warmLoop reads their values from flash and offers them to
// the hot values, as a Lookup would have done after some more reads. It is in no
// hurry, so that clients have the flash to themselves.

// warmBatch values are read at a time, every warmEvery: 6400 a second.
const (
	warmBatch = 32
	warmEvery = 5 * time.Millisecond
)

// hotList collects what is worth a copy after a restart.
type hotList struct {
	copies []uint64 // hashes of values that have one
	read   []uint64 // ... of values in RAM that were read since they were written, oldest first
	rest   []uint64 // ... of the list before, what warmLoop did not come to
}

// add notes a value that is on its way from RAM to flash. Of many the newest are
// kept.
func (l *hotList) add(hash uint64) {
	if len(l.read) == 2*flashtier.MostHot {
		l.read = l.read[:copy(l.read, l.read[flashtier.MostHot:])]
	}
	l.read = append(l.read, hash)
}

// all is the list, the most wanted first.
func (l *hotList) all() []uint64 {
	slices.Reverse(l.read)
	return slices.Concat(l.copies, l.read, l.rest)
}

// leaveHot leaves the list for the next run.
func (c *Cache) leaveHot(l *hotList) {
	if !c.hot {
		return
	}
	if err := c.flash.SetHotList(l.all()); err != nil {
		c.opts.Logger.Warn("hot values will be cold after the restart", "err", err)
	}
}

// warmLoop makes copies of what was hot before the last stop, until all is done or
// others would have to go for more.
func (c *Cache) warmLoop() {
	defer c.loops.Done()
	begun := time.Now()
	hashes, err := c.flash.HotList()
	switch {
	case errors.Is(err, fs.ErrNotExist) && c.recovered == 0:
		return
	case errors.Is(err, fs.ErrNotExist):
		c.opts.Logger.Info("hot values start cold", "err", err)
		return
	case err != nil:
		c.opts.Logger.Warn("hot values start cold", "err", err)
		return
	}
	pause := time.NewTicker(warmEvery)
	defer pause.Stop()
	listed, warmed := len(hashes), 0
	for len(hashes) > 0 && c.mem.HotRoom() {
		select {
		case <-c.stop:
			c.unwarmed = hashes
			return
		case <-pause.C:
		}
		n := min(warmBatch, len(hashes))
		warmed += c.warm(hashes[:n])
		hashes = hashes[n:]
	}
	if listed > 0 {
		c.opts.Logger.Info("hot values are back", "copied", warmed, "listed", listed, "seconds", time.Since(begun).Seconds())
	}
}

// warm offers the values of these hashes to the hot values, and tells of how many
// it could. A value that has changed since, or cannot be read, is left alone.
func (c *Cache) warm(hashes []uint64) (warmed int) {
	var reads [warmBatch]*flashtier.Read
	var items [warmBatch]memtier.Item
	for i, h := range hashes {
		it, ok := c.mem.Peek(h)
		if !ok || !it.Loc.OnFlash() || it.Exptime != 0 && it.Exptime <= c.now.Load() {
			continue
		}
		if r, err := c.flash.StartRead(addrOf(it.Loc, it.Class), nil, 0, false); err == nil {
			reads[i], items[i] = r, it
		}
	}
	for i, r := range reads {
		if r == nil {
			continue
		}
		// The slot has not all bits of the hash: the record may be another key's.
		if rec, err := r.Finish(nil); err == nil && c.mem.Hash(rec.Key) == hashes[i] {
			c.mem.HotPut(hashes[i], rec.Key, items[i].Loc, r.Version(), copyOf(&rec, r.Created()), rec.Value)
			warmed++
		}
		r.Release()
		c.room.signal()
	}
	return warmed
}

// copyOf is what a copy of a record, last read at atime, says beside key and
// value.
func copyOf(rec *flashtier.Record, atime uint32) memtier.Item {
	return memtier.Item{Flags: rec.Flags, CAS: rec.CAS, State: memtier.State(rec.State), Atime: atime}
}
