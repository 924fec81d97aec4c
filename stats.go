package hearth

import (
	"sync/atomic"

	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/ioq"
	"github.com/hearthcache/hearth/memtier"
)

// counters are the cache's own; the tiers count for themselves.
type counters struct {
	hitsRAM, hitsHot, hitsFlash, misses           atomic.Uint64
	missExpired, missEvicted, missBadRecord       atomic.Uint64
	collisions, flushes                           atomic.Uint64
	backpressured, backpressureUs                 atomic.Uint64
	demoted, promoted, droppedSmall, flashEvicted atomic.Uint64
	gatHits, gatMisses                            atomic.Uint64
	outcomes                                      [Claim + 1][NoRoom + 1]atomic.Uint64
}

// Stats are counters since Open and present sizes. Sizes are in bytes.
type Stats struct {
	HitsRAM, HitsHot, HitsFlash uint64
	Misses                      uint64 // gets that gave no value, whatever the cause
	MissExpired                 uint64 // of those: found past its expiry time
	MissEvicted                 uint64 // of those: its page was being reclaimed
	MissBadRecord               uint64 // of those: the record on flash was bad or unreadable
	Collisions                  uint64 // reads that found another key with the same hash

	TouchHits, TouchMisses uint64 // of the hits and misses, those of FindTouch

	Changes [Claim + 1][NoRoom + 1]uint64 // changes by Verb and Status
	Flushes uint64

	Backpressured  uint64 // operations that waited for room
	BackpressureUs uint64 // how long they waited, in microseconds, together

	Demoted      uint64 // records written to flash
	Promoted     uint64 // flash values offered to the hot values
	DroppedSmall uint64 // records dropped for being smaller than MinFlashItem
	FlashEvicted uint64 // live records that went with their reclaimed page

	Recovery  flashtier.Recovery // what Open found on flash
	Recovered int64              // items that came back at Open

	Memory    int64 // Options.Memory, or what SetMemory has made of it
	FlashSize int64 // Options.FlashSize
	Mem       memtier.Stats
	Flash     flashtier.Stats
	IO        ioq.Stats
	Engine    string // of the io queue, empty without flash
}

// Asked returns how many changes with the verb there were.
func (s *Stats) Asked(v Verb) (n uint64) {
	for _, of := range s.Changes[v] {
		n += of
	}
	return n
}

// Stats returns the cache's statistics. The fields are read one after the
// other, so that their sums may be off by what happens meanwhile.
func (c *Cache) Stats() Stats {
	n := &c.count
	s := Stats{
		HitsRAM: n.hitsRAM.Load(), HitsHot: n.hitsHot.Load(), HitsFlash: n.hitsFlash.Load(),
		Misses: n.misses.Load(), MissExpired: n.missExpired.Load(), MissEvicted: n.missEvicted.Load(),
		MissBadRecord: n.missBadRecord.Load(), Collisions: n.collisions.Load(),
		Flushes: n.flushes.Load(), TouchHits: n.gatHits.Load(), TouchMisses: n.gatMisses.Load(),
		Backpressured: n.backpressured.Load(), BackpressureUs: n.backpressureUs.Load(),
		Demoted: n.demoted.Load(), Promoted: n.promoted.Load(), DroppedSmall: n.droppedSmall.Load(), FlashEvicted: n.flashEvicted.Load(),
		Recovery: c.recovery, Recovered: c.recovered, Memory: c.Memory(), FlashSize: c.opts.FlashSize, Mem: c.mem.Stats(),
	}
	for v := range n.outcomes {
		for st := range n.outcomes[v] {
			s.Changes[v][st] = n.outcomes[v][st].Load()
		}
	}
	if c.flash != nil {
		s.Flash, s.IO, s.Engine = c.flash.Stats(), c.flash.IO(), c.flash.Engine()
	}
	return s
}

// Pages tells the state of every page of the flash tier, in the order of their
// numbers; nil without flash.
func (c *Cache) Pages() []flashtier.PageStat {
	if c.flash == nil {
		return nil
	}
	return c.flash.Pages()
}
