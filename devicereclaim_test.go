package hearth

import (
	"context"
	"fmt"
	"testing"

	"github.com/hearthcache/hearth/flashtier"
)

// fillCompact writes so many pages of the device of bucket compact, of which none can
// be reclaimed before they are released.
func fillCompact(t *testing.T, c *Cache, pages int) (release func()) {
	t.Helper()
	w := c.flash.NewWriter(flashtier.BucketCompact)
	var held []*flashtier.Batch
	for i := range 4 * pages {
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
		if i%4 != 0 {
			b.Release()
			continue
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
	release := fillCompact(t, c, 3) // of four, with which the device has fewer free than it should
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
