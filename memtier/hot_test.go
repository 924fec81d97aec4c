package memtier

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

func TestHotIsNeverStale(t *testing.T) {
	tier := newTier(t, Options{Limit: 64 << 20, HotBytes: 8 << 20})
	key, value := []byte("key"), bytes.Repeat([]byte("0123456789"), 300)
	h, loc := tier.Hash(key), FlashLoc(77)
	it := Item{Flags: 5, CAS: 6, Class: 7}
	tier.HotPut(h, key, loc, 3, it, value)
	tier.hot.cache.Wait()
	out, got, ok := tier.HotGet(h, key, loc, 3, []byte("x"), 0)
	if !ok || string(out) != "x"+string(value) || got.Flags != 5 || got.CAS != 6 || got.Class != 7 || got.ValueLen != len(value) {
		t.Fatalf("%v, %d bytes, %+v", ok, len(out), got)
	}
	for name, f := range map[string]func() ([]byte, Item, bool){
		"version":    func() ([]byte, Item, bool) { return tier.HotGet(h, key, loc, 4, nil, 0) },
		"address":    func() ([]byte, Item, bool) { return tier.HotGet(h, key, loc+1, 3, nil, 0) },
		"key":        func() ([]byte, Item, bool) { return tier.HotGet(h, []byte("kez"), loc, 3, nil, 0) },
		"key length": func() ([]byte, Item, bool) { return tier.HotGet(h, []byte("key0"), loc, 3, nil, 0) },
		"hash":       func() ([]byte, Item, bool) { return tier.HotGet(h+1, key, loc, 3, nil, 0) },
	} {
		if out, _, ok := f(); ok || len(out) > 0 {
			t.Errorf("another %s gets %d bytes", name, len(out))
		}
	}
	tier.HotPut(h, key, loc, 4, it, value[:5])
	tier.hot.cache.Wait()
	if out, _, ok := tier.HotGet(h, key, loc, 4, nil, 0); !ok || string(out) != "01234" {
		t.Errorf("the newer copy: %v %q", ok, out)
	}
	if _, _, ok := tier.HotGet(h, key, loc, 3, nil, 0); ok {
		t.Error("the older copy is still there")
	}
}

// Many put and get in a cache too small for them, so that chains change hands
// all the time. What a reader gets must be whole, and the one asked for.
func TestHotIsNeverTorn(t *testing.T) {
	t.Run("many", func(t *testing.T) { testHotTorn(t, 3000, 1) })
	t.Run("few and long", func(t *testing.T) { testHotTorn(t, 3, 100) })
}

func testHotTorn(t *testing.T, keys uint64, times int) {
	seed := newSeed(t)
	tier := newTier(t, Options{Limit: 64 << 20, HotBytes: 1 << 20})
	ops := 200000 / (1 + times/10)
	if testing.Short() {
		ops /= 10
	}
	var hits atomic.Int64
	var wg sync.WaitGroup
	for g := range uint64(6) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, g))
			var want, out []byte
			for range ops / 6 {
				k, version := r.Uint64N(keys), uint32(r.IntN(3))
				key := binary.LittleEndian.AppendUint64(nil, k)
				want = bytes.Repeat(pattern(want, int(k), uint64(version), 20000/times), times)
				if r.IntN(2) == 0 {
					tier.HotPut(tier.Hash(key), key, FlashLoc(k), version, Item{CAS: k}, want)
					continue
				}
				var ok bool
				var it Item
				if out, it, ok = tier.HotGet(tier.Hash(key), key, FlashLoc(k), version, out[:0], 0); !ok {
					continue
				}
				hits.Add(1)
				if !bytes.Equal(out, want) || it.CAS != k {
					t.Errorf("key %d version %d: %d bytes are not those put", k, version, len(out))
					return
				}
			}
		})
	}
	wg.Wait()
	tier.hot.cache.Wait()
	st := tier.Stats()
	t.Logf("%d hits, %+v", hits.Load(), st)
	if hits.Load() == 0 || st.HotBytes > st.HotReserved || st.HotItems == 0 {
		t.Errorf("%d hits, %+v", hits.Load(), st)
	}
	if r := resident(t, tier.hot.arena.base, tier.hot.arena.size); r > st.HotReserved {
		t.Errorf("%d bytes resident", r)
	}
	tier.hot.cache.Clear()
	if n, used := tier.hot.items.Load(), tier.hot.arena.used(); n != 0 || used != 0 {
		t.Errorf("%d copies, %d bytes leaked", n, used)
	}
}

// A reader may come with a handle that ristretto has given up meanwhile.
func TestHotOldHandle(t *testing.T) {
	h, err := newHot(1<<20, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	key, value := []byte("key"), make([]byte, 1000)
	put := func() uint64 {
		first, _ := h.arena.store(0, key, FlashLoc(1), 2, Item{}, value)
		return h.take(first)
	}
	old := put()
	if out, _, ok := h.read(old, key, FlashLoc(1), 2, nil, 0); !ok || len(out) != 1000 {
		t.Fatal("not there")
	}
	h.free(old)
	h.free(old)
	if n, used := h.items.Load(), h.arena.used(); n != 0 || used != 0 {
		t.Errorf("freed twice: %d copies, %d bytes", n, used)
	}
	for range 3 {
		if _, _, ok := h.read(old, key, FlashLoc(1), 2, nil, 0); ok {
			t.Error("an old handle still reads")
		}
		put()
	}
}
