package hearth

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"
)

// TestTune changes options of a running cache: values that have come of age move
// to flash, but for those that are too small now, which stay.
func TestTune(t *testing.T) {
	t.Parallel()
	c := openTest(t, Options{Memory: 32 << 20, FlashSize: 64 << 20, MaxItem: 64 << 10})
	ctx := context.Background()
	for key, size := range map[string]int{"small": 10, "large": 1000} {
		if err := c.Set(ctx, Item{Key: key, Value: make([]byte, size)}); err != nil {
			t.Fatal(err)
		}
	}
	c.SetMinFlashItem(100)
	c.SetFlashAge(time.Second)
	for deadline := time.Now().Add(10 * time.Second); c.Stats().Mem.FlashItems == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("nothing came to flash: %+v", c.Stats().Mem)
		}
	}
	if it, err := c.Get(ctx, "large"); err != nil || len(it.Value) != 1000 {
		t.Errorf("the large value: %v", err)
	}
	if it, err := c.Get(ctx, "small"); err != nil || len(it.Value) != 10 {
		t.Errorf("the small value: %v", err)
	}
	if s := c.Stats(); s.DroppedSmall != 0 || s.HitsFlash != 1 || s.HitsRAM != 1 {
		t.Errorf("dropped %d, %d hits on flash, %d in RAM", s.DroppedSmall, s.HitsFlash, s.HitsRAM)
	}
	if err := c.SetAdmit("prob:2"); !errors.Is(err, ErrOptions) {
		t.Errorf("prob:2: %v", err)
	}
}

// TestSetMemory changes the memory of a cache with values in all its parts, both
// ways: all of it keeps to the new bound, copies of flash values included, and less
// than the index needs is refused.
func TestSetMemory(t *testing.T) {
	t.Parallel()
	c := openTest(t, Options{Memory: 48 << 20, FlashSize: 256 << 20, MaxItem: 64 << 10, HotPercent: 25, Backpressure: time.Minute})
	ctx := context.Background()
	const n = 20_000
	fillAndRead := func() {
		t.Helper()
		for i := range n {
			if err := c.Set(ctx, Item{Key: strconv.Itoa(i), Value: make([]byte, 3200)}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 3 * n {
			if _, err := c.Get(ctx, strconv.Itoa(i%(n/8))); err != nil {
				t.Fatal(err)
			}
		}
	}
	fillAndRead()
	for _, memory := range []int64{24 << 20, 80 << 20} {
		if err := c.SetMemory(memory); err != nil {
			t.Fatal(err)
		}
		await(t, "settled memory", func() bool {
			s := c.Stats()
			share := memory / 4
			return held(&s) <= memory && s.Split.Hot > share-share/8 && s.Split.Hot <= share
		})
		fillAndRead()
		if s := c.Stats(); held(&s) > memory || s.Memory != memory || s.Mem.HotItems == 0 {
			t.Errorf("%d of %d bytes in use: %+v", held(&s), memory, s.Mem)
		}
	}
	if err := c.SetMemory(10 << 20); !errors.Is(err, ErrOptions) {
		t.Errorf("too little: %v", err)
	}
}
