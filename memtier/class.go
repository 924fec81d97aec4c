package memtier

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// An item's class says how much RAM it takes, for statistics alone. Class 1 is of
// slots that point to flash, class 2 of records of up to 64 bytes; from there on
// two classes each double that: up to 96, 128, 192, 256 bytes and so on. Class 0
// is not used.
const (
	// FlashClass is the class of an item on flash.
	FlashClass = 1
	// Classes is how many classes there are, class 0 included.
	Classes = 48

	smallest = 2
)

// ClassOf is the class of an item in RAM with so long a key and value, in bytes.
func ClassOf(keyLen, valLen int) int { return classOf(unitsFor(keyLen, valLen)) }

// ClassBytes is the most that an item of class takes, in bytes.
func ClassBytes(class int) int {
	switch {
	case class == FlashClass:
		return int(unsafe.Sizeof(slot{}))
	case class <= smallest:
		return 64
	case class&1 == 1:
		return 96 << ((class - 3) / 2)
	}
	return 128 << ((class - 4) / 2)
}

// departures count the items of a class that were dropped.
type departures struct{ evicted, evictedTimed, evictedUnread, swept atomic.Uint64 }

// Departures are the items of a class that were dropped.
type Departures struct {
	Evicted       uint64 // to make room
	EvictedTimed  uint64 // of them, those with an exptime
	EvictedUnread uint64 // of them, those never read since they were written
	Swept         uint64 // past their exptime, by Sweep
}

func (d *departures) load() Departures {
	return Departures{d.evicted.Load(), d.evictedTimed.Load(), d.evictedUnread.Load(), d.swept.Load()}
}

func classOf(units uint64) int {
	last := units<<unitShift - 1
	doublings := bits.Len64(last>>6) - 1
	if doublings < 0 {
		return smallest
	}
	return 3 + 2*doublings + int(last>>(doublings+5)&1)
}

// class is that of what a slot, which is not empty, points at. It does not change
// while the record stays where it is: one that is overwritten in place with less
// takes as much as before.
func (t *Tier) class(p *slot) int {
	if p.onFlash() {
		return FlashClass
	}
	return classOf(t.segs.record(p.loc()).extent())
}
