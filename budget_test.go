package hearth

import (
	"context"
	"fmt"
	"testing"
)

// held is all that a cache says it takes of its memory.
func held(s *Stats) int64 {
	f := &s.Flash
	return s.Mem.Used + f.WriteBuffers + f.ReadBufferBytes + f.CatalogMemory + f.JournalBytes
}

// TestBudget overwrites small values, whose deaths and blobs are most of what the
// catalog gets: all together stays within Memory, and the catalog within its share.
func TestBudget(t *testing.T) {
	ofAmounts(t)
	t.Parallel()
	opts := Options{Memory: 24 << 20, FlashSize: 256 << 20, MaxItem: 64 << 10}
	c := openTest(t, opts)
	value := make([]byte, 100)
	full := opts.withDefaults()
	for i := range 400_000 {
		if err := c.Set(context.Background(), Item{Key: fmt.Sprint(i % 200_000), Value: value}); err != nil {
			t.Fatal(err)
		}
		if i%10_000 != 0 {
			continue
		}
		s := c.Stats()
		if n := held(&s); n > opts.Memory {
			t.Fatalf("after %d sets %d of %d bytes are in use: %+v", i, n, opts.Memory, s.Mem)
		}
		if n := s.Flash.CatalogMemory; n > full.catalogBytes() {
			t.Fatalf("after %d sets the catalog has %d of %d bytes", i, n, full.catalogBytes())
		}
	}
	if s := c.Stats(); s.Flash.CatalogMemory == 0 || s.Mem.FlashItems == 0 {
		t.Errorf("catalog has %d bytes, %d items are on flash", s.Flash.CatalogMemory, s.Mem.FlashItems)
	}
}
