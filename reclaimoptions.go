package hearth

import (
	"cmp"
	"fmt"
	"time"
)

// Reclaim says how pages of the flash tier are freed, and what of them is
// rescued: moved to another page. The zero value rescues what was read since it
// was written, as far as that adds a seventh to what is written to flash.
type Reclaim struct {
	// FreePages is how many pages are to be free ahead of need. 0 means two, or
	// one in a hundred if that is more, but at most 16; and one in a tier of
	// fewer than eight pages, where nothing is rescued.
	FreePages int
	// RescueUnread rescues records that were not read, too, as long as DropUnder
	// and MaxFrag allow.
	RescueUnread bool
	// DropUnder has records that were not read go with their page while fewer
	// pages than this are free, in spite of RescueUnread. 0 means never.
	DropUnder int
	// MaxFrag is the largest share of a page that is rescued. Of a page in which
	// more than this is alive no record is rescued that was not read. 0 means
	// 0.8.
	MaxFrag float64
	// RescuePercent bounds what is rescued, in percent of what comes from RAM,
	// and so write amplification. 0 means 15, -1 nothing is rescued.
	RescuePercent int
	// LowTTL gives values that expire sooner than this pages of their own, of
	// which nothing is rescued and which are freed once all in them has expired.
	// Whole seconds; 0 means none.
	LowTTL time.Duration
}

const (
	defaultMaxFrag       = 0.8
	defaultRescuePercent = 15
	rescuePages          = 8 // fewest pages of a tier that rescues anything
)

func (o *Reclaim) validate() error {
	switch {
	case o.FreePages < 0 || o.DropUnder < 0 || o.LowTTL < 0:
		return fmt.Errorf("%w: FreePages %d, DropUnder %d or LowTTL %v is negative", ErrOptions, o.FreePages, o.DropUnder, o.LowTTL)
	case !(o.MaxFrag >= 0 && o.MaxFrag <= 1):
		return fmt.Errorf("%w: MaxFrag %v is not within 0 and 1", ErrOptions, o.MaxFrag)
	case o.RescuePercent < -1 || o.RescuePercent > 1000:
		return fmt.Errorf("%w: RescuePercent %d is not within -1 and 1000", ErrOptions, o.RescuePercent)
	}
	return nil
}

// freePages is FreePages for a tier of so many pages. At least half of them hold
// something.
func (o *Reclaim) freePages(pages int) int {
	free := o.FreePages
	switch {
	case free > 0:
	case pages < rescuePages:
		free = 1
	default:
		free = min(max(2, pages/100), 16)
	}
	return min(free, pages/2)
}

func (o *Reclaim) maxFrag() float64 { return cmp.Or(o.MaxFrag, defaultMaxFrag) }

// percent is RescuePercent as a factor.
func (o *Reclaim) percent() float64 {
	return float64(max(0, cmp.Or(o.RescuePercent, defaultRescuePercent))) / 100
}

// isLow tells whether what expires at exptime goes to pages of its own.
func (o *Reclaim) isLow(exptime, now uint32) bool {
	return exptime != 0 && int64(exptime) < int64(now)+int64(o.LowTTL/time.Second)
}

// SetReclaim changes Options.Reclaim; ErrOptions refuses what Open would.
func (c *Cache) SetReclaim(o Reclaim) error {
	if err := o.validate(); err != nil {
		return err
	}
	c.tuned.reclaim.Store(&o)
	return nil
}
