package memtier

import (
	"fmt"
	"testing"
)

func TestWorthGrowsWithUsesAndFallsWithLength(t *testing.T) {
	for units := uint64(headerBytes >> unitShift); units < 1<<extentBits; units += 1 + units/3 {
		for access := range uint(8) {
			w := worth(access, units, kept)
			early := worth(access, units, young)
			if w < 0 || early >= worths {
				t.Fatalf("access %d, %d units: worth %d, or %d, is not within 0 and %d", access, units, w, early, worths)
			}
			if early-w != worthSteps {
				t.Errorf("access %d, %d units: worth %d, while young %d", access, units, w, early)
			}
			if access&readsMax > 0 && w <= worth(access-1, units, kept) {
				t.Errorf("access %d, %d units: worth %d, not more than with a read less", access, units, w)
			}
			if more := worth(access, min(2*units, 1<<extentBits-1), kept); units < 1<<(extentBits-1) && w-more != worthSteps {
				t.Errorf("access %d, %d units: worth %d, twice as long %d", access, units, w, more)
			}
		}
	}
	if worth(overwritten, 20, kept) != worth(1, 20, kept) {
		t.Error("an overwrite is not worth a read")
	}
}

func TestThresholdIsWhatHalfIsAbove(t *testing.T) {
	var c census
	c[10], c[20], c[30] = 100, 40, 20
	rows := map[uint64]threshold{
		0: {least: 31}, 19: {least: 31, part: 19 * partOf / 20}, 20: {least: 21}, 59: {least: 21, part: 39 * partOf / 40},
		60: {least: 11}, 110: {least: 11, part: partOf / 2}, 160: {}, 1000: {},
	}
	for most, want := range rows {
		if got := c.threshold(most); got != want {
			t.Errorf("at most %d: %+v, want %+v", most, got, want)
		}
	}
	edge := threshold{least: 11, part: partOf / 2}
	for hash, want := range map[uint64]bool{0: true, partOf/2 - 1: true, partOf / 2: false, partOf - 1: false} {
		if edge.keeps(1, 10, hash) != want || edge.keeps(0, 10, hash) || !edge.keeps(0, 11, hash) || edge.keeps(3, 9, hash) {
			t.Errorf("hash %d: not %v on the edge, or wrong beside it", hash, want)
		}
	}
}

func TestKeeperForgets(t *testing.T) {
	var k keeper
	const segment = 1000
	var small, large census
	small[50], large[10] = 900, 900
	if !k.threshold().used {
		t.Error("knows before it was told")
	}
	for range 100 {
		k.learn(&small, segment, segment)
	}
	if got := k.threshold(); got.least != 51 {
		t.Errorf("%+v, want 51", got)
	}
	for range 100 {
		k.learn(&large, segment, segment)
	}
	if got := k.threshold(); got.least != 11 {
		t.Errorf("%+v, want 11", got)
	}
	if k.all < (keptSegments-1)*segment || k.all > (keptSegments+1)*segment {
		t.Errorf("remembers %d units, want those of %d segments", k.all, keptSegments)
	}
}

// makeRoom empties the oldest segment and drops what is not kept.
func makeRoom(t *testing.T, tier *Tier) {
	t.Helper()
	v, ok := tier.TakeOldest(0, 1)
	if !ok {
		t.Fatal("nothing to empty")
	}
	for v.Next() {
		if verdict, _, _ := v.Judge(1, true, nil); verdict == Demote {
			v.Evict()
		}
	}
	v.Free()
}

func fill(t *testing.T, tier *Tier, key string, size int) {
	t.Helper()
	w := Write{Hash: tier.Hash([]byte(key)), Key: []byte(key), Value: make([]byte, size), NewCAS: 1}
	for tier.Store(&w, 1) == NoRoom {
		makeRoom(t, tier)
	}
}

// Of values that are read alike more of the small stay than of the large; but a
// large one that is read often is worth more than a small one that is not.
func TestKeepsHitsForTheRoomTaken(t *testing.T) {
	ofAmounts(t)
	tier := newTier(t, Options{Limit: 16 << 20})
	left := map[string]int{}
	for i := range 20000 {
		fill(t, tier, fmt.Sprint("small", i), 200)
		fill(t, tier, fmt.Sprint("large", i), 2000)
		fill(t, tier, fmt.Sprint("read", i%100), 10000)
		for range 3 {
			get(tier, fmt.Sprint("read", i%100))
		}
	}
	for i := range 20000 {
		for _, kind := range []string{"small", "large", "read"} {
			if _, _, st := get(tier, fmt.Sprint(kind, i)); st == Hit {
				left[kind]++
			}
		}
	}
	if left["small"] < 2*left["large"] || left["large"] < 500 || left["read"] != 100 {
		t.Errorf("left are %v", left)
	}
}

// While what is alive has room, what dies makes it: nothing is dropped, read or not.
func TestNothingLeavesWhileHalfIsDead(t *testing.T) {
	tier := newTier(t, Options{Limit: 16 << 20})
	for i := range 60000 {
		fill(t, tier, fmt.Sprint(i), 500)
		if i%12 == 0 {
			fill(t, tier, fmt.Sprint("long", i), 500)
		}
		if i >= 6000 {
			tier.Delete(tier.Hash(fmt.Append(nil, i-6000)), fmt.Append(nil, i-6000), 1)
		}
	}
	if n := tier.Stats().Evictions; n > 1000 { // in the first segments, until the keeper has learned
		t.Errorf("%d evictions", n)
	}
}
