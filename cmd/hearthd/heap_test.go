package main

import "testing"

// TestGCPercent holds the garbage to its bound where that does not ask for a
// collection at every turn.
func TestGCPercent(t *testing.T) {
	for _, c := range []struct {
		memory int64
		live   uint64
		want   int
	}{
		{64 << 20, 0, mostGCPercent},
		{64 << 20, 1 << 20, mostGCPercent},
		{64 << 20, 16 << 20, 100},
		{1 << 30, 32 << 20, 100},
		{1 << 40, 64 << 20, 100},
		{64 << 20, 1 << 30, leastGCPercent},
	} {
		if got := gcPercent(c.memory, c.live); got != c.want {
			t.Errorf("-m %d, %d live: %d %%, not %d", c.memory>>20, c.live, got, c.want)
		}
	}
}
