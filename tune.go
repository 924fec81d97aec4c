package hearth

import (
	"fmt"
	"sync/atomic"
	"time"
)

// tunable are the options that may be changed while the cache runs.
type tunable struct {
	memory       atomic.Int64 // Options.Memory
	minFlashItem atomic.Int64
	flashAge     atomic.Int64 // nanoseconds
	admission    atomic.Pointer[admission]
	writeLimit   atomic.Int64 // bytes a second
	noSweep      atomic.Bool
	reclaim      atomic.Pointer[Reclaim]
}

func (t *tunable) set(o *Options) {
	t.memory.Store(o.Memory)
	t.minFlashItem.Store(int64(o.MinFlashItem))
	t.flashAge.Store(int64(o.FlashAge))
	a, _ := parseAdmission(o.Admit) // validate has seen it
	t.admission.Store(a)
	t.writeLimit.Store(o.WriteLimit)
	t.noSweep.Store(o.NoSweep)
	reclaim := o.Reclaim
	t.reclaim.Store(&reclaim)
}

// SetMemory changes Options.Memory. What is over a lower limit goes as segments
// are emptied and copies of flash values dropped. What the flash tier takes stays.
// ErrOptions refuses less than Open would, or than the index that there is needs.
func (c *Cache) SetMemory(bytes int64) error {
	if least := c.outside + max(smallestTier, c.mem.Least()); bytes < least {
		return fmt.Errorf("%w: Memory %d is less than %d", ErrOptions, bytes, least)
	}
	c.mem.SetLimit(bytes - c.outside)
	was := c.tuned.memory.Swap(bytes)
	if c.hot {
		share := float64(c.balance.want.Load()) * float64(bytes) / float64(was)
		c.balance.want.Store(max(int64(share), c.mem.HotLeast()))
	}
	return nil
}

// Memory is Options.Memory, or what SetMemory has made of it.
func (c *Cache) Memory() int64 { return c.tuned.memory.Load() }

// SetMinFlashItem changes Options.MinFlashItem, for values that have not moved to
// flash yet.
func (c *Cache) SetMinFlashItem(bytes int) { c.tuned.minFlashItem.Store(int64(bytes)) }

// SetFlashAge changes Options.FlashAge.
func (c *Cache) SetFlashAge(age time.Duration) { c.tuned.flashAge.Store(int64(age)) }

func (t *tunable) age() time.Duration { return time.Duration(t.flashAge.Load()) }
