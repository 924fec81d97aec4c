package memtier

import (
	"fmt"
	"testing"
)

// recount counts the items of each class one by one.
func recount(t *Tier) (classes [Classes]int64) {
	for _, s := range t.index.shards() {
		s.mu.Lock()
		s.tab.each(t.index.base, func(p *slot) bool {
			classes[t.class(p)]++
			return true
		})
		s.mu.Unlock()
	}
	return classes
}

func TestClasses(t *testing.T) {
	class := smallest
	for units := uint64(1); units <= LargestItem>>unitShift+100; units++ {
		if int(units)<<unitShift > ClassBytes(class) {
			class++
		}
		if got := classOf(units); got != class {
			t.Fatalf("%d bytes are of class %d, not %d", units<<unitShift, got, class)
		}
	}
	if class >= Classes {
		t.Errorf("there are %d classes", class+1)
	}
	for _, row := range []struct{ key, value, class int }{
		{1, 1, 2}, {10, 30, 2}, {10, 31, 3}, {10, 62, 3}, {10, 63, 4}, {250, 1 << 20, 31},
	} {
		if got := ClassOf(row.key, row.value); got != row.class {
			t.Errorf("key of %d and value of %d bytes: class %d, not %d", row.key, row.value, got, row.class)
		}
	}
}

// TestClassesOfItems: they follow items to flash, and evictions are counted by
// them.
func TestClassesOfItems(t *testing.T) {
	tier := newTier(t, Options{Limit: 64 << 20})
	if st := tier.Stats(); st.Oldest != 0 {
		t.Errorf("the oldest of no items is of %d", st.Oldest)
	}
	put(t, tier, "a", make([]byte, 10), 1)
	timed := Write{Hash: tier.Hash([]byte("b")), Key: []byte("b"), Value: make([]byte, 10), NewCAS: 2, Exptime: 100}
	if st := tier.Store(&timed, 1); st != Stored {
		t.Fatal(st)
	}
	put(t, tier, "c", make([]byte, 1000), 3)
	putFlash(tier, hashOf(1), 1)
	large := ClassOf(1, 1000)
	want := [Classes]int64{FlashClass: 1, 2: 2}
	want[large] = 1
	st := tier.Stats()
	if st.Classes != want {
		t.Errorf("got %v, want %v", st.Classes, want)
	}
	tier.SealActive(0, 5)
	v, _ := tier.TakeOldest(0, 5)
	for v.Next() {
		if verdict, it, _ := v.Judge(5, false, nil); verdict == Demote && it.CAS == 1 {
			tier.repointed(v.Hash(), v.Loc(), it.CAS, FlashLoc(9), 1)
		}
	}
	v.Free()
	st = tier.Stats()
	if want = [Classes]int64{FlashClass: 2}; st.Classes != want {
		t.Errorf("got %v, want %v", st.Classes, want)
	}
	left := [Classes]Departures{2: {Evicted: 1, EvictedTimed: 1, EvictedUnread: 1}}
	left[large] = Departures{Evicted: 1, EvictedUnread: 1}
	if st.Left != left {
		t.Errorf("left are %v, want %v", st.Left, left)
	}
}

// TestSweep drops what is past its time, of the classes asked for, and goes over
// the index just once.
func TestSweep(t *testing.T) {
	tier := newTier(t, Options{Limit: 64 << 20})
	const n = 20_000
	for i := range n {
		w := Write{Hash: tier.Hash(fmt.Append(nil, i)), Key: fmt.Append(nil, i), Value: make([]byte, 8+i%2*200), NewCAS: 1, Exptime: uint32(i % 4)}
		if st := tier.Store(&w, 0); st != Stored {
			t.Fatal(st)
		}
		if i%4 == 1 && i%8 == 1 {
			tier.repointed(w.Hash, w.NewItem.Loc, 1, FlashLoc(uint64(i)), 1)
		}
	}
	sweep := func(which func(int) bool) (checked, dropped, flash int) {
		for part := 0; ; part++ {
			gone, c, d, ok := tier.Sweep(part, which, 2, nil)
			for _, it := range gone {
				if !it.Loc.OnFlash() || it.Loc.Units()%8 != 1 {
					t.Errorf("gone is %+v", it)
				}
			}
			flash += len(gone)
			if checked, dropped = checked+c, dropped+d; !ok {
				return checked, dropped, flash
			}
		}
	}
	small := func(class int) bool { return class == ClassOf(1, 8) }
	// At 2 those of exptime 1 and 2 have expired: all with 1 are large ones, or on flash.
	if c, d, f := sweep(small); c != n || d != n/4 || f != 0 {
		t.Errorf("small ones: %d checked, %d dropped, %d of them on flash", c, d, f)
	}
	if c, d, f := sweep(nil); c != n-n/4 || d != n/4 || f != n/8 {
		t.Errorf("all: %d checked, %d dropped, %d of them on flash", c, d, f)
	}
	st := tier.Stats()
	if large := ClassOf(1, 208); st.Left[FlashClass].Swept != n/8 || st.Left[ClassOf(1, 8)].Swept != n/4 || st.Left[large].Swept != n/8 {
		t.Errorf("swept %v", st.Left)
	}
	if st.IndexItems != n/2 || st.Expired != n/2 || st.ExpiredUnread != n/2 || st.Classes != recount(tier) {
		t.Errorf("%+v", st)
	}
}
