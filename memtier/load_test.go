package memtier

import (
	"testing"
)

func TestLoad(t *testing.T) {
	m, err := New(Options{Limit: 16 << 20, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	const n, now = 200_000, 1000
	for i := range uint64(n) {
		h := i * 0x9e3779b97f4a7c15
		if lost, ok := m.Load(h, FlashLoc(i), 3, now+1, now); !ok || lost != (Item{}) {
			t.Fatalf("load %d: %v, lost %+v", i, ok, lost)
		}
	}
	for i := range uint64(n) {
		h := i * 0x9e3779b97f4a7c15
		if _, it, st := m.Get(h, []byte("k"), nil, now, nil); st != OnFlash || it.Loc != FlashLoc(i) || it.Class != 3 || it.Exptime != now+1 {
			t.Fatalf("get %d: %v, %+v", i, st, it)
		}
	}
	if lost, ok := m.Load(0, FlashLoc(n), 4, 0, now); !ok || lost.Loc != FlashLoc(0) {
		t.Errorf("a later record of the same hash: %v, lost %+v", ok, lost)
	}
	if loc := m.LocOf(0); loc != FlashLoc(n) {
		t.Errorf("the earlier record stayed: %v", loc)
	}
	if s := m.Stats(); s.IndexItems != n || s.FlashItems != n {
		t.Errorf("%d items, %d on flash", s.IndexItems, s.FlashItems)
	}
}

// TestExpect loads what was announced, far more and far less: no item is lost,
// and tables that were made for them are not rebuilt again and again.
func TestExpect(t *testing.T) {
	var grown int64 // bytes of an index that nothing was told
	for _, expected := range []int64{0, 1000, 500_000, 600_000, 3_000_000} {
		m, err := New(Options{Limit: 128 << 20})
		if err != nil {
			t.Fatal(err)
		}
		const n = 500_000
		hash := func(i uint64) uint64 { return i * 0x9e3779b97f4a7c15 }
		for i := range uint64(n) {
			if i == n/20 {
				m.Expect(expected)
			}
			if _, ok := m.Load(hash(i), FlashLoc(i), 0, 0, 0); !ok {
				t.Fatalf("expected %d: load %d failed", expected, i)
			}
		}
		for i := range uint64(n) {
			if loc := m.LocOf(hash(i)); loc != FlashLoc(i) {
				t.Fatalf("expected %d: item %d is at %v", expected, i, loc)
			}
		}
		s := m.Stats()
		t.Logf("expected %d: %d tables rebuilt, %.1f bytes an item", expected, s.Resizes, float64(s.IndexBytes)/n)
		if expected == 0 {
			grown = s.IndexBytes
		}
		if expected == n && float64(s.IndexBytes) > 1.05*float64(grown) {
			t.Errorf("expected %d: %d bytes, where growing takes %d", expected, s.IndexBytes, grown)
		}
		m.Close()
	}
}

func BenchmarkLoad(b *testing.B) {
	m, err := New(Options{Limit: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	for i := range b.N {
		// 4096 in a row with the same first eight bits, as a recovery has them.
		h := uint64(i) * 0x9e3779b97f4a7c15
		h = h>>8 | uint64(i/4096)<<56
		m.Load(h, FlashLoc(uint64(i)), 3, 0, 0)
	}
}
