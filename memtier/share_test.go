package memtier

import (
	"encoding/binary"
	"testing"
)

// TestMoveHot makes the share of copies smaller and larger: what is left of them is
// right, and memory is given back before the segments may use it.
func TestMoveHot(t *testing.T) {
	tier := newTier(t, Options{Limit: 64 << 20, HotBytes: 16 << 20})
	keys := make([][]byte, 40_000)
	put := func() (there int) {
		for i := range keys {
			keys[i] = binary.LittleEndian.AppendUint64(nil, uint64(i))
			tier.HotPut(tier.Hash(keys[i]), keys[i], FlashLoc(uint64(i)), 1, Item{}, pattern(nil, i, 1, 900))
			if i%16 == 0 {
				tier.hot.cache.Wait()
			}
		}
		for i, key := range keys {
			value, _, ok := tier.HotGet(tier.Hash(key), key, FlashLoc(uint64(i)), 1, nil, 0)
			if ok && string(value) != string(pattern(nil, i, 1, 900)) {
				t.Fatalf("copy %d is not what was put", i)
			}
			if ok {
				there++
			}
		}
		return there
	}
	check := func(share int64) {
		t.Helper()
		st := tier.Stats()
		held := resident(t, tier.hot.arena.base, tier.hot.arena.size)
		if st.HotReserved != share || held+st.HotItems*hotEntry > share || st.Used > st.Limit {
			t.Errorf("share %d: %d resident, %+v", share, held, st)
		}
	}
	many := put()
	check(16 << 20)
	for range 3 {
		if got := tier.MoveHot(4 << 20); got != 4<<20 {
			t.Fatalf("moved to %d", got)
		}
	}
	check(4 << 20)
	if got := tier.Stats().HotItems; got < int64(many)/8 {
		t.Errorf("of %d copies %d are left", many, got)
	}
	few := put()
	check(4 << 20)
	if got := tier.MoveHot(24 << 20); got != 24<<20 {
		t.Fatalf("moved to %d", got)
	}
	if more := put(); few >= many/2 || more <= many {
		t.Errorf("%d copies in 16 MiB, %d in 4, %d in 24", many, few, more)
	}
	check(24 << 20)
	if got := tier.MoveHot(70 << 20); got != 24<<20 || tier.FreeSegments() >= 0 {
		t.Errorf("moved to %d although segments have not made room for it; %d free", got, tier.FreeSegments())
	}
}

// TestMargin counts reads of what left lately, on either side, and no others.
func TestMargin(t *testing.T) {
	tier := newTier(t, Options{Limit: 64 << 20, HotBytes: 16 << 20})
	const n, size = 200_000, 1 << 10
	hash := func(i int) uint64 { return tier.Hash(binary.LittleEndian.AppendUint64(nil, uint64(i))) }
	for i := range n {
		tier.fresh.note(hash(i), size)
	}
	window := int(tier.window.Load() / size)
	for i := range n {
		tier.Missed(hash(i))
	}
	m := tier.Margin()
	if m.FreshHits < int64(window*8/10) || m.FreshHits > int64(window*12/10) || m.HotHits != 0 || m.Demoted != n*size {
		t.Errorf("of %d reads of values in the margin: %+v", window, m)
	}
	if m = tier.Margin(); m.FreshHits != 0 || m.Demoted != 0 {
		t.Errorf("counted twice: %+v", m)
	}
}
