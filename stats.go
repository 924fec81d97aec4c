package hearth

import (
	"sync/atomic"
	"time"

	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/ioq"
	"github.com/hearthcache/hearth/memtier"
)

// counters are the cache's own; the tiers count for themselves.
type counters struct {
	hitsHot, hitsFlash, misses                    atomic.Uint64 // those of RAM are in memtier.Stats
	missExpired, missEvicted, missBadRecord       atomic.Uint64
	collisions, flushes                           atomic.Uint64
	backpressured, backpressureUs                 atomic.Uint64
	demoted, demotedBytes, promoted, flashEvicted atomic.Uint64
	refused                                       [refusals]atomic.Uint64
	gatHits, gatMisses                            atomic.Uint64
	rescue                                        rescueCounts
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
	FlashEvicted uint64 // live records that went with their reclaimed page
	Rescue       Rescue

	DemotedBytes uint64 // the records of Demoted, as they were in RAM

	// Records dropped from RAM instead of being written to flash. They are among
	// Mem.Evictions.
	DroppedSmall    uint64 // smaller than MinFlashItem
	DroppedUnread   uint64 // never read, by Admit
	DroppedByChance uint64 // by Admit
	DroppedForWear  uint64 // over WriteLimit
	DroppedNoPlace  uint64 // larger than flash takes, or flash takes nothing; all, without flash

	// What was written to flash: by pages, catalog and journal together.
	Elapsed          time.Duration // since Open
	FlashWritten     uint64        // since Open
	FlashWrittenHour uint64        // in the last 60 to 65 minutes, or since Open
	FlashWrittenDay  uint64        // in the last 24 hours and up to five minutes, or since Open

	// Items past their time that were dropped in the background.
	Expiry ExpiryStats

	Recovery  flashtier.Recovery // what Open found on flash
	Recovered int64              // items that came back at Open

	Memory    int64 // Options.Memory, or what SetMemory has made of it
	FlashSize int64 // Options.FlashSize
	Split     Split
	Mem       memtier.Stats
	Flash     flashtier.Stats
	IO        ioq.Stats
	Engine    string // of the io queue, empty without flash
}

// WriteAmplification is how many bytes were written to flash for each of the
// records that moved there; 0 if none did.
func (s *Stats) WriteAmplification() float64 {
	if s.DemotedBytes == 0 {
		return 0
	}
	return float64(s.FlashWritten) / float64(s.DemotedBytes)
}

// FlashWrittenPerDay is FlashWritten as it would be for a day at this rate.
func (s *Stats) FlashWrittenPerDay() float64 {
	if s.Elapsed <= 0 {
		return 0
	}
	return float64(s.FlashWritten) / s.Elapsed.Hours() * 24
}

// Asked returns how many changes with the verb there were.
func (s *Stats) Asked(v Verb) (n uint64) {
	for _, of := range s.Changes[v] {
		n += of
	}
	return n
}

// MissAbsent is how many of the Misses had no cause: there was no such item. The
// causes also count changes, which are no misses, of values that proved to be
// bad, so that it may be that many too low.
func (s *Stats) MissAbsent() uint64 {
	return s.Misses - min(s.Misses, s.MissExpired+s.MissEvicted+s.MissBadRecord)
}

// Stats returns the cache's statistics. The fields are read one after the
// other, so that their sums may be off by what happens meanwhile.
func (c *Cache) Stats() Stats {
	n := &c.count
	s := Stats{
		HitsHot: n.hitsHot.Load(), HitsFlash: n.hitsFlash.Load(), MissExpired: n.missExpired.Load(), MissEvicted: n.missEvicted.Load(),
		MissBadRecord: n.missBadRecord.Load(), Collisions: n.collisions.Load(),
		Flushes: n.flushes.Load(), TouchHits: n.gatHits.Load(), TouchMisses: n.gatMisses.Load(),
		Backpressured: n.backpressured.Load(), BackpressureUs: n.backpressureUs.Load(),
		Demoted: n.demoted.Load(), Promoted: n.promoted.Load(), FlashEvicted: n.flashEvicted.Load(), DemotedBytes: n.demotedBytes.Load(),
		DroppedSmall: n.refused[refusedSmall].Load(), DroppedUnread: n.refused[refusedUnread].Load(),
		DroppedByChance: n.refused[refusedByChance].Load(), DroppedForWear: n.refused[refusedForWear].Load(),
		DroppedNoPlace: n.refused[refusedPlace].Load(),
		Rescue:         n.rescue.load(), Recovery: c.recovery, Recovered: c.recovered, Memory: c.Memory(), FlashSize: c.opts.FlashSize, Split: c.balance.split(), Mem: c.mem.Stats(),
	}
	s.HitsRAM, s.Misses = s.Mem.Hits, s.Mem.Misses+n.misses.Load()
	s.Elapsed = c.opts.Clock().Sub(c.started)
	s.Expiry = c.expiry.stats()
	for v := range n.outcomes {
		for st := range n.outcomes[v] {
			s.Changes[v][st] = n.outcomes[v][st].Load()
		}
	}
	if c.flash != nil {
		s.Flash, s.IO, s.Engine = c.flash.Stats(), c.flash.IO(), c.flash.Engine()
		s.FlashWritten = c.flash.Written()
		s.FlashWrittenHour = c.written.since(60*60/wearSlice, s.FlashWritten)
		s.FlashWrittenDay = c.written.since(wearSlices, s.FlashWritten)
		s.Rescue.Rate = c.reclaimer.pace.rate.Load()
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
