package hearth

import (
	"context"
	"fmt"
	"testing"

	"github.com/hearthcache/hearth/flashtier"
)

// fillCompact writes so many full buffers to the device of bucket compact, of which
// nothing can be reclaimed before they are released.
func fillCompact(t *testing.T, c *Cache, buffers int) (release func()) {
	t.Helper()
	w := c.flash.NewWriter(flashtier.BucketCompact)
	var held []*flashtier.Batch
	for i := range buffers {
		dst, err := w.Reserve(4, 230<<10)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Commit(uint64(i), []byte("key!"), dst[:230<<10], 0, 0, 0, 0); err != nil {
			t.Fatal(err)
		}
		b, err := w.Flush()
		if err != nil || b.Err() != nil {
			t.Fatal(err, b.Err())
		}
		held = append(held, b)
	}
	return func() {
		for _, b := range held {
			b.Release()
		}
	}
}

// TestReclaimWhereWanted has one device too full, and the other not: what is on that
// one is left alone.
func TestReclaimWhereWanted(t *testing.T) {
	o := deviceOptions(t.TempDir(), 2)
	o.Devices[1].Size, o.Devices[1].Bucket = 4<<20, "compact"
	o.Reclaim.FreePages = 4
	c := openTest(t, o)
	release := fillCompact(t, c, 4) // a page, with which the device has fewer than it should
	defer release()
	for i := range 1000 { // most of them on flash, on a few pages of the other device
		if err := c.Set(context.Background(), Item{Key: fmt.Sprint(i), Value: make([]byte, 20_000)}); err != nil {
			t.Fatal(err)
		}
	}
	if c.reclaimer.keepFree(); c.Stats().FlashEvicted > 0 {
		t.Errorf("%d items went from the device that has room", c.Stats().FlashEvicted)
	}
}

// TestPageForItsWriter fills the device that demotions go to several times over,
// while that of another bucket has room: pages are freed on the first one.
func TestPageForItsWriter(t *testing.T) {
	o := deviceOptions(t.TempDir(), 2)
	o.Devices[0].Size, o.Devices[1].Bucket = 8<<20, "compact"
	o.Reclaim.RescuePercent = -1
	c := openTest(t, o)
	for range 10 { // some pages, which are the oldest
		fillCompact(t, c, 4)()
	}
	for i := range 2000 {
		if err := c.Set(context.Background(), Item{Key: fmt.Sprint(i), Value: make([]byte, 20_000)}); err != nil {
			t.Fatalf("set %d: %v", i, err)
		}
	}
	if got := c.flash.all[1].Stats().PageReclaims; got > 0 {
		t.Errorf("%d pages of the device with room were freed", got)
	}
	takes := func(d *device) bool { return d.takes(flashtier.BucketDefault) }
	for v, ok := c.flash.PickOf(false, takes); ok; v, ok = c.flash.PickOf(false, takes) {
		if v.ID >= c.flash.all[1].first {
			t.Errorf("page %d is to be freed for a page of bucket default", v.ID)
		}
	}
}
