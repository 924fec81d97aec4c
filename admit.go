package hearth

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/hearthcache/hearth/memtier"
)

// refusal is why a record that is emptied from RAM does not move to flash. The
// zero refusal is none.
type refusal uint8

const (
	admitted        refusal = iota
	refusedPlace            // flash has no place for it, or there is none
	refusedSmall            // Options.MinFlashItem
	refusedUnread           // Options.Admit: read
	refusedByChance         // Options.Admit: prob
	refusedForWear          // Options.WriteLimit
	refusedBusy             // of values that move by age: used since
	refusals
)

// admission is Options.Admit, understood: of records shorter than small it lets pass
// what was read, and of all by chance as many of 2^32 as share says.
type admission struct {
	text  string
	small int64 // bytes
	share uint64
}

const allShare = 1 << 32

func parseAdmission(s string) (*admission, error) {
	switch s {
	case "", "all":
		return &admission{text: "all", share: allShare}, nil
	case "read":
		return &admission{text: s, small: math.MaxInt64, share: allShare}, nil
	}
	if length, ok := strings.CutPrefix(s, "read:"); ok {
		small, err := strconv.ParseUint(length, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%w: Admit %q has no length in bytes", ErrOptions, s)
		}
		return &admission{text: s, small: int64(small), share: allShare}, nil
	}
	number, ok := strings.CutPrefix(s, "prob:")
	p, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(p >= 0 && p <= 1) {
		return nil, fmt.Errorf("%w: Admit %q is none of all, read, read:BYTES and prob:P with P from 0 to 1", ErrOptions, s)
	}
	return &admission{text: s, share: uint64(p * allShare)}, nil
}

// CheckAdmit tells whether Options.Admit may be policy: the error wraps ErrOptions.
func CheckAdmit(policy string) error {
	_, err := parseAdmission(policy)
	return err
}

// drawn tosses the coin for a value. It falls the same way each time, so that a
// record that is emptied once more has one chance, and the next value of its key
// another.
func (a *admission) drawn(hash, cas uint64) bool {
	x := (hash ^ cas*0x9e3779b97f4a7c15) * 0xd6e8feb86659fd93
	x = (x ^ x>>32) * 0xd6e8feb86659fd93
	return x>>32 < a.share
}

// refuses decides whether the record that v is at, with room for its value in dst,
// moves to flash. A stop loses nothing that has room, so it asks for no more than a
// place: what policies are for is the wear of years, and a stop writes RAM once.
func (d *demoter) refuses(v *memtier.Victim, it *memtier.Item, dst []byte) refusal {
	c := d.c
	if dst == nil {
		return refusedPlace
	}
	if !d.until.IsZero() {
		return admitted
	}
	a := c.tuned.admission.Load()
	read := it.Accessed || it.State&memtier.Fetched != 0
	size := int64(memtier.RecordBytes(len(v.Key()), it.ValueLen))
	switch {
	case d.age > 0 && it.Atime+d.age > c.now.Load():
		return refusedBusy
	case size < c.tuned.minFlashItem.Load():
		return refusedSmall
	case size < a.small && !read:
		return refusedUnread
	case !a.drawn(v.Hash(), it.CAS):
		return refusedByChance
	case !d.wear.takes(read, d.bytes+d.other.bytes):
		return refusedForWear
	}
	return admitted
}

// refuse drops the record that v is at, and reports whether it did. One that was
// only to move by its age stays in RAM, as long as that has room; without, what is
// in use moves.
func (d *demoter) refuse(v *memtier.Victim, it *memtier.Item, why refusal) bool {
	c := d.c
	switch {
	case d.age > 0 && v.Keep(c.now.Load()):
		d.stayed++
		return true
	case why == refusedBusy:
		return false
	}
	c.count.refused[why].Add(1)
	d.left(v, it, false)
	v.Evict()
	return true
}

// SetAdmit changes Options.Admit, for values that have not moved to flash yet.
func (c *Cache) SetAdmit(policy string) error {
	a, err := parseAdmission(policy)
	if err == nil {
		c.tuned.admission.Store(a)
	}
	return err
}

// mostStaying bounds how many records demoteAged copies within RAM each second,
// and so what a cache of values that are too small for flash pays for their age.
const mostStaying = 16 << 10

// demoteAged empties segments that were filled FlashAge ago, of values that were
// not used since. What is not admitted stays in RAM.
func (d *demoter) demoteAged() {
	flashAge := d.c.tuned.age()
	if d.w == nil || flashAge == 0 {
		return
	}
	d.age, d.stayed = max(1, uint32(flashAge/time.Second)), 0
	d.c.mem.SealActive(max(1, d.age/4), d.c.now.Load()) // so that what is in it waits for little longer than its age
	for !d.c.stopping() && d.stayed < mostStaying && d.wear.open() && d.step(d.age) {
	}
	d.drain()
	d.age = 0
}
