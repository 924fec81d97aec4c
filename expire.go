package hearth

import (
	"sync/atomic"
	"time"

	"github.com/hearthcache/hearth/memtier"
)

const (
	// A pass over the index takes sweepFastest to sweepSlowest: the less the more
	// of what it finds has expired.
	sweepFastest = 5 * time.Second
	sweepSlowest = time.Minute
	sweepTick    = 100 * time.Millisecond
	// Sweeping takes at most one part in sweepShare of one core's time, though a
	// pass should then take longer.
	sweepShare = 100
)

// expirer drops items past their time that nobody asks for, so that their slots,
// their share of segments and their place on flash are free. It goes over the
// index again and again, in steps. Only sweepLoop, or a test, calls it.
//
// What it drops from flash needs no line in the journal: a start drops what is past
// its time by the catalog, too. Only a clock that was set back by then would bring it
// back.
type expirer struct {
	c        *Cache
	part     int            // where the pass is
	gone     []memtier.Item // for Sweep
	steps    int            // of the pass, so far
	period   time.Duration  // how long the pass should take
	begun    time.Time
	checked  int // items, in the pass
	dropped  int
	stepping time.Duration // for how long at most
}

// expiry counts what the expirer does.
type expiry struct {
	passes, checked, dropped, busyUs atomic.Uint64
	lastPass, period                 atomic.Int64 // nanoseconds
}

// ExpiryStats are of the passes over all items that drop those past their time.
type ExpiryStats struct {
	Passes   uint64        // that ended
	Checked  uint64        // items
	Dropped  uint64        // of them
	Busy     time.Duration // of one core
	LastPass time.Duration // how long the last one took, pauses included
	Period   time.Duration // how long the present one should take
}

func (e *expiry) stats() ExpiryStats {
	return ExpiryStats{
		Passes: e.passes.Load(), Checked: e.checked.Load(), Dropped: e.dropped.Load(),
		Busy: time.Duration(e.busyUs.Load()) * time.Microsecond, LastPass: time.Duration(e.lastPass.Load()),
		Period: time.Duration(e.period.Load()),
	}
}

func (c *Cache) newExpirer() *expirer {
	c.expiry.period.Store(int64(sweepFastest))
	return &expirer{c: c, period: sweepFastest, begun: time.Now(), stepping: sweepTick / sweepShare}
}

// sweepLoop sweeps, unless that is switched off.
func (c *Cache) sweepLoop() {
	defer c.loops.Done()
	e := c.newExpirer()
	timer := time.NewTimer(sweepTick)
	defer timer.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-timer.C:
			rest := sweepTick
			if !c.tuned.noSweep.Load() {
				rest = e.step()
			}
			timer.Reset(rest)
		}
	}
}

// step sweeps up to where the pass should be by now, or for as long as a step may
// take, and tells how long to rest then.
func (e *expirer) step() (rest time.Duration) {
	n := &e.c.expiry
	begun := time.Now()
	e.steps++
	parts := e.c.mem.Parts()
	due := min(parts, parts*e.steps/int(e.period/sweepTick))
	for e.part < due && time.Since(begun) < e.stepping {
		var checked, dropped int
		e.gone, checked, dropped, _ = e.c.sweep(e.part, nil, e.gone[:0])
		e.part++
		e.checked += checked
		e.dropped += dropped
		n.checked.Add(uint64(checked))
		n.dropped.Add(uint64(dropped))
	}
	if e.part >= parts {
		e.endPass()
	}
	busy := time.Since(begun)
	n.busyUs.Add(uint64(busy.Microseconds()))
	return max(sweepTick, busy*(sweepShare-1)) - busy
}

// endPass chooses how long the next pass takes.
func (e *expirer) endPass() {
	switch {
	case e.dropped*50 > e.checked:
		e.period = max(sweepFastest, e.period/2)
	case e.dropped*500 < e.checked || e.checked == 0:
		e.period = min(sweepSlowest, e.period*2)
	}
	n := &e.c.expiry
	n.passes.Add(1)
	n.lastPass.Store(int64(time.Since(e.begun)))
	n.period.Store(int64(e.period))
	e.part, e.steps, e.checked, e.dropped, e.begun = 0, 0, 0, 0, time.Now()
}

// SetSweep switches the dropping of expired items in the background off or on.
func (c *Cache) SetSweep(on bool) { c.tuned.noSweep.Store(!on) }
