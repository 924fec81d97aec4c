package memtier

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
)

// hotKey is a key, some of them so long that they reach into a second block.
func hotKey(i int) []byte {
	return fmt.Appendf(nil, "key-%d-%s", i, bytes.Repeat([]byte("k"), i*37%240))
}

// TestHotHashes lists copies, and none that was freed, or that only lies where
// another one goes on.
func TestHotHashes(t *testing.T) {
	tier := newTier(t, Options{Limit: 64 << 20, HotBytes: 8 << 20})
	if got := tier.HotHashes(10); len(got) != 0 {
		t.Errorf("%d hashes of nothing", len(got))
	}
	var want []uint64
	for i := range 300 {
		key := hotKey(i)
		value := bytes.Repeat(key, i%30)
		tier.HotPut(tier.Hash(key), key, FlashLoc(uint64(i)), 1, Item{}, value)
		want = append(want, tier.Hash(key))
	}
	tier.hot.cache.Wait()
	for i := range 100 { // their blocks are used again by longer ones
		tier.hot.cache.Del(tier.Hash(hotKey(i)))
	}
	tier.hot.cache.Wait()
	for i := 300; i < 320; i++ {
		key := hotKey(i)
		tier.HotPut(tier.Hash(key), key, FlashLoc(uint64(i)), 1, Item{}, bytes.Repeat(key, 50))
		want = append(want, tier.Hash(key))
	}
	tier.hot.cache.Wait()
	want = want[100:]
	slices.Sort(want)
	got := tier.HotHashes(1000)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d hashes, want those of %d keys", len(got), len(want))
	}
	if got := tier.HotHashes(7); len(got) != 7 {
		t.Errorf("%d hashes, want at most 7", len(got))
	}
}

// TestHotHashesMeanwhile lists copies while they come and go.
func TestHotHashesMeanwhile(t *testing.T) {
	tier := newTier(t, Options{Limit: 64 << 20, HotBytes: 1 << 20})
	const keys = 2000
	known := map[uint64]bool{}
	for i := range keys {
		known[tier.Hash(hotKey(i))] = true
	}
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		for i := range 5 * keys {
			key := hotKey(i % keys)
			tier.HotPut(tier.Hash(key), key, FlashLoc(uint64(i)), 1, Item{}, bytes.Repeat(key, i%13))
		}
	})
	for listed := 0; ; {
		for _, h := range tier.HotHashes(keys) {
			listed++
			if !known[h] {
				t.Fatalf("hash %x is of no key", h)
			}
		}
		select {
		case <-done:
			if listed == 0 {
				t.Error("nothing was listed")
			}
			wg.Wait()
			return
		default:
		}
	}
}

// TestHotRoom fills the hot cache: there is room until little of it is left.
func TestHotRoom(t *testing.T) {
	if newTier(t, Options{Limit: 64 << 20}).HotRoom() {
		t.Error("room without a hot cache")
	}
	tier := newTier(t, Options{Limit: 64 << 20, HotBytes: 1 << 20})
	value := make([]byte, 1000)
	n := 0
	for ; tier.HotRoom() && n < 10_000; n++ {
		tier.HotPut(tier.Hash(hotKey(n)), hotKey(n), FlashLoc(1), 1, Item{}, value)
		tier.hot.cache.Wait()
	}
	st := tier.Stats()
	if n < 400 || st.HotItems != int64(n) || st.HotBytes < 700<<10 {
		t.Errorf("no room after %d copies: %+v", n, st)
	}
}

// TestPeek finds slots in RAM and on flash, and counts no read.
func TestPeek(t *testing.T) {
	tier := newTier(t, Options{Limit: 64 << 20})
	key := []byte("key")
	h := tier.Hash(key)
	if _, ok := tier.Peek(h); ok {
		t.Error("there is nothing")
	}
	w := Write{Hash: h, Key: key, Value: []byte("value"), Exptime: 77}
	tier.Store(&w, 1)
	it, ok := tier.Peek(h)
	if again, _ := tier.Peek(h); !ok || it.Loc != w.NewItem.Loc || it.Exptime != 77 || it.Accessed || again.Accessed {
		t.Errorf("%v, %+v, then %+v", ok, it, again)
	}
	tier.Repoint(h, w.NewItem.Loc, 0, FlashLoc(9), 3)
	if it, ok := tier.Peek(h); !ok || it.Loc != FlashLoc(9) || it.Class != 3 || it.Exptime != 77 {
		t.Errorf("on flash: %v, %+v", ok, it)
	}
}
