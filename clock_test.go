package hearth

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// TestClock: the cache's clock follows the wall clock forwards, and goes on at its
// own pace where that is set back.
func TestClock(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	k := clock{started: start}
	for i, step := range []struct{ up, wall, want time.Duration }{
		{0, 0, 0},
		{5, 5, 5},
		{10, 3610, 3610}, // set forward, or the machine slept
		{20, 3620, 3620},
		{30, 30, 3630}, // set back
		{40, 41, 3640},
		{50, 3700, 3700}, // and right after all
		{60, 3600, 3710},
	} {
		got := k.at(start.Add(step.wall*time.Second), step.up*time.Second).Sub(start)
		if got != step.want*time.Second {
			t.Errorf("step %d: %v, want %v", i, got, step.want*time.Second)
		}
	}
}

// TestClockSetBack: what has expired stays so, for a clock that has nothing but the
// wall's time as well.
func TestClockSetBack(t *testing.T) {
	var now atomic.Int64
	now.Store(1_800_000_000)
	c := openTest(t, Options{Memory: 16 << 20, Clock: func() time.Time { return time.Unix(now.Load(), 0) }})
	it := Item{Key: "k", Value: []byte("v"), Expires: time.Unix(1_800_000_010, 0)}
	if err := c.Set(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	now.Store(1_800_000_020)
	for end := time.Now().Add(10 * time.Second); c.Now() < 1_800_000_020; time.Sleep(tick) {
		if time.Now().After(end) {
			t.Fatal("the clock stands still")
		}
	}
	now.Store(1_800_000_005)
	time.Sleep(3 * tick)
	if _, err := c.Get(t.Context(), "k"); !errors.Is(err, ErrNotFound) {
		t.Errorf("what had expired is back: %v", err)
	}
}
