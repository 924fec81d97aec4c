package hearth

import (
	"context"
	"errors"
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
