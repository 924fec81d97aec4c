package memtier

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// TestScan sees every item once, while others come and go and so many are added
// that all shards split.
func TestScan(t *testing.T) {
	seed := newSeed(t)
	r := rand.New(rand.NewPCG(seed, 1))
	tier := newTier(t, Options{Limit: 64 << 20, Seed: seed})
	tier.index.most = 2 // pages: shards split early
	const stay = 20_000
	staying := make(map[string]int, stay)
	next := uint64(0)
	for i := range stay {
		key := fmt.Sprint("stay", i)
		w := put(t, tier, key, []byte("value"), uint64(i+1))
		staying[key] = 0
		if i%2 == 0 { // on flash
			next++
			tier.repointed(w.Hash, w.NewItem.Loc, w.NewCAS, FlashLoc(next), 1)
		}
	}
	onFlash := map[Loc]int{}
	scan, more := tier.NewScan(), 0
	before := len(tier.index.shards())
	for {
		_, key, it, st := scan.Next(nil, 1)
		switch st {
		case Hit:
			if n, ok := staying[string(key)]; ok {
				staying[string(key)] = n + 1
			}
		case OnFlash:
			onFlash[it.Loc]++
		}
		if st == Miss {
			break
		}
		for i := 0; i < 40 && more < 200_000; i++ { // grow while it is under way
			more++
			put(t, tier, fmt.Sprint("more", more), nil, 1)
		}
		if key := fmt.Sprint("more", 1+r.IntN(more)); r.IntN(2) == 0 {
			tier.Delete(tier.Hash([]byte(key)), []byte(key), 1)
		}
	}
	if after := len(tier.index.shards()); after < 2*before {
		t.Errorf("%d shards, then %d: they did not split", before, after)
	}
	for i := range stay {
		key := fmt.Sprint("stay", i)
		if n := staying[key]; i%2 == 1 && n != 1 {
			t.Errorf("%s in RAM was seen %d times", key, n)
		}
	}
	for l := range next {
		if n := onFlash[FlashLoc(l+1)]; n != 1 {
			t.Errorf("flash record %d was seen %d times", l+1, n)
		}
	}
}

// TestScanMoved sees items that move between the copy of their hashes and their
// turn, and drops those whose time has passed.
func TestScanMoved(t *testing.T) {
	tier := newTier(t, Options{Limit: 64 << 20})
	var writes []Write
	for i := range 10_000 {
		writes = append(writes, put(t, tier, fmt.Sprint("key", i), []byte("value"), 1))
	}
	scan := tier.NewScan()
	seen := map[uint64]Status{}
	for i := 0; ; i++ {
		h, _, it, st := scan.Next(nil, 1)
		if st == Miss {
			break
		}
		seen[h] = st
		if it.Accessed {
			t.Error("a scan counts as a read")
		}
		if i == 0 { // the first shard's hashes have been copied
			for i, w := range writes {
				tier.repointed(w.Hash, w.NewItem.Loc, 1, FlashLoc(uint64(i+1)), 1)
			}
			for _, w := range writes[:100] {
				tier.SetExptimeAt(w.Hash, tier.LocOf(w.Hash), 1, 0)
			}
		}
	}
	n := map[Status]int{}
	for _, st := range seen {
		n[st]++
	}
	if n[Hit] != 1 || n[Expired] < 99 || n[Hit]+n[Expired]+n[OnFlash] != len(writes) {
		t.Errorf("seen: %v", n)
	}
	if st := tier.Stats(); st.IndexItems != int64(len(writes)-n[Expired]) {
		t.Errorf("%d items are left of %d less %d", st.IndexItems, len(writes), n[Expired])
	}
}

// BenchmarkScan tells what an item costs, and how long the longest step is.
func BenchmarkScan(b *testing.B) {
	tier := newTier(b, Options{Limit: 1 << 30})
	for i := range 2_000_000 {
		putFlash(tier, hashOf(uint64(i)), uint64(i+1))
	}
	var longest time.Duration
	scan := tier.NewScan()
	for b.Loop() {
		begun := time.Now()
		if _, _, _, st := scan.Next(nil, 1); st == Miss {
			scan = tier.NewScan()
		}
		longest = max(longest, time.Since(begun))
	}
	b.ReportMetric(float64(longest.Microseconds()), "us-longest")
}
