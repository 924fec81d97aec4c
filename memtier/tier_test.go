package memtier

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"
)

func put(t testing.TB, tier *Tier, key string, value []byte, cas uint64) Write {
	t.Helper()
	w := Write{Hash: tier.Hash([]byte(key)), Key: []byte(key), Value: value, NewCAS: cas}
	if st := tier.Store(&w, 1); st != Stored {
		t.Fatalf("store %q, %d bytes: %v %+v", key, len(value), st, tier.Stats())
	}
	return w
}

func get(tier *Tier, key string) ([]byte, Item, Status) {
	return tier.Get(tier.Hash([]byte(key)), []byte(key), nil, 1, nil)
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want error
	}{
		{Options{}, ErrLimit},
		{Options{Limit: 8<<20 - 1}, ErrLimit},
		{Options{Limit: 64 << 20, HotBytes: 33 << 20}, ErrLimit},
		{Options{Limit: 64 << 20, HotBytes: -1}, ErrLimit},
		{Options{Limit: 64 << 20, HotBytes: 1000}, ErrLimit},
		{Options{Limit: 64 << 20, MaxItem: LargestItem + 1}, ErrMaxItem},
		{Options{Limit: 64 << 20, MaxItem: -1}, ErrMaxItem},
		{Options{Limit: 8 << 20}, nil},
		{Options{Limit: 1 << 40, HotBytes: 1 << 20, MaxItem: LargestItem}, nil},
	} {
		tier, err := New(c.o)
		if !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.o, err, c.want)
		}
		if tier != nil {
			tier.Close()
		}
	}
}

func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	tier := newTier(t, Options{Limit: 64 << 20})
	keys := make([][]byte, 1000)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key-%d", i)
	}
	buf, value := make([]byte, 0, 4096), []byte("123456789012345678901234567890")
	i := 0
	next := func() (uint64, []byte) {
		i++
		k := keys[i%len(keys)]
		return tier.Hash(k), k
	}
	var w Write
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"store", func() {
			h, k := next()
			w = Write{Hash: h, Key: k, Value: value[:1+i%30], NewCAS: uint64(i)}
			if st := tier.Store(&w, 1); st != Stored {
				t.Fatal(st)
			}
		}},
		{"get", func() { h, k := next(); tier.Get(h, k, buf, 1, nil) }},
		{"touch", func() { h, k := next(); tier.Touch(h, k, buf, 0, 1, WithValue|AsRead, nil) }},
		{"incr", func() {
			h, k := next()
			if _, _, st := tier.incr(h, k, 1, false, uint64(i), 0, 1); st != Stored && st != NotNumeric {
				t.Fatal(st)
			}
		}},
		{"append", func() {
			h, k := next()
			w = Write{Hash: h, Key: k, Value: value[:1], NewCAS: uint64(i), Mode: Append}
			if st := tier.Store(&w, 1); st != Stored {
				t.Fatal(st)
			}
		}},
		{"delete", func() { h, k := next(); tier.Delete(h, k, 1) }},
		{"miss", func() { h, k := next(); tier.Get(h, k, buf, 1, nil) }},
	} {
		if n := testing.AllocsPerRun(1000, c.f); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

// A large value has memory of its own, which is back as soon as it is replaced
// or deleted.
func TestLarge(t *testing.T) {
	tier := newTier(t, Options{Limit: 420 << 20, MaxItem: LargestItem})
	before := tier.Stats().Used
	value := make([]byte, LargestItem)
	for i := range value {
		value[i] = byte(i >> 12)
	}
	for i, n := range []int{1 << 20, 5 << 20, LargestItem, LargestItem - 1, 700 << 10} {
		w := put(t, tier, "k", value[:n], uint64(i+1))
		out, it, st := get(tier, "k")
		if st != Hit || !bytes.Equal(out, value[:n]) || it.CAS != uint64(i+1) || it.Loc != w.NewItem.Loc {
			t.Fatalf("%d bytes: %v, %d bytes back, %+v", n, st, len(out), it)
		}
		if used := tier.Stats().Used - before; used > int64(n)+3<<20 {
			t.Errorf("%d bytes in use for a value of %d", used, n)
		}
	}
	w := Write{Hash: tier.Hash([]byte("k")), Key: []byte("k"), Value: value[:4<<20], Mode: Append, NewCAS: 9}
	if st := tier.Store(&w, 1); st != Stored {
		t.Fatal(st)
	}
	if out, _, _ := get(tier, "k"); !bytes.Equal(out[:700<<10], value[:700<<10]) || !bytes.Equal(out[700<<10:], value[:4<<20]) {
		t.Error("append to a large value")
	}
	w.Mode, w.Value = Add, value[:3<<20]
	if st := tier.Store(&w, 1); st != NotStored {
		t.Errorf("add: %v", st)
	}
	w.Mode, w.Value = Set, make([]byte, LargestItem+1)
	if st := tier.Store(&w, 1); st != TooLarge {
		t.Errorf("one byte too many: %v", st)
	}
	if _, st := tier.Delete(w.Hash, w.Key, 1); st != Deleted {
		t.Error(st)
	}
	if used := tier.Stats().Used - before; used > 2<<20 {
		t.Errorf("%d bytes in use for nothing", used)
	}
	if r := resident(t, tier.segs.large, tier.segs.size[1]); r != 0 {
		t.Errorf("%d bytes of large segments are resident", r)
	}
}

// What does not fit at all is refused at once; what would fit says how much it
// wants, so that enough segments are emptied.
func TestLargeRoom(t *testing.T) {
	tier := newTier(t, Options{Limit: 64 << 20, MaxItem: LargestItem})
	value := make([]byte, 100<<20)
	w := Write{Hash: 1, Key: []byte("k"), Value: value}
	if st := tier.Store(&w, 1); st != TooLarge {
		t.Errorf("100 MiB of 64: %v", st)
	}
	for i := 0; tier.FreeSegments() > 1; i++ {
		put(t, tier, strconv.Itoa(i), value[:100000], uint64(i))
	}
	w.Value = value[:40<<20]
	for st := tier.Store(&w, 1); st != Stored; st = tier.Store(&w, 1) {
		if st != NoRoom || tier.LowWater() < 40 {
			t.Fatalf("%v, low water %d", st, tier.LowWater())
		}
		<-tier.Room()
		drain(tier)
	}
	if low := tier.LowWater(); low > 10 {
		t.Errorf("low water is %d after the large write", low)
	}
	if st := tier.Store(&w, 1); st != NoRoom || tier.LowWater() < 40 {
		t.Fatalf("%v, low water %d", st, tier.LowWater())
	}
	tier.SetLimit(40 << 20)
	if low := tier.LowWater(); low > 10 {
		t.Errorf("low water is %d, for a write that will never fit", low)
	}
}

// Records that are read are kept, those that are not leave first; and what is
// not read again leaves too.
func TestKeepsWhatIsRead(t *testing.T) {
	ofAmounts(t)
	tier := newTier(t, Options{Limit: 16 << 20})
	value := make([]byte, 500)
	round := func(from int) {
		for i := from; i < from+20000; i++ {
			w := Write{Hash: tier.Hash(fmt.Append(nil, i)), Key: fmt.Append(nil, i), Value: value, NewCAS: uint64(i + 1)}
			for tier.Store(&w, 1) == NoRoom {
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
			for j := range 1000 {
				if i%1000 == 0 && from == 0 {
					get(tier, strconv.Itoa(4*j))
				}
			}
		}
	}
	count := func() (n int) {
		for j := range 1000 {
			h := tier.Hash(fmt.Append(nil, 4*j))
			s := tier.lock(h)
			if tier.findLocked(s, h) != nil {
				n++
			}
			s.mu.Unlock()
		}
		return n
	}
	round(0)
	round(20000)
	if n := count(); n < 990 {
		t.Errorf("%d of 1000 items that were read are left", n)
	}
	for i := 2; i < 24; i++ {
		round(i * 20000)
	}
	if n := count(); n > 480 { // as many as the segment of the kept that is not full holds
		t.Errorf("%d of 1000 items are left long after they were last read", n)
	}
}

// FlushAll costs the caller nothing, and nothing comes back.
func TestFlushAll(t *testing.T) {
	tier := newTier(t, Options{Limit: 64 << 20})
	for i := range 300000 {
		putFlash(tier, hashOf(uint64(i)), uint64(i+1))
	}
	put(t, tier, "k", []byte("v"), 1)
	start := time.Now()
	tier.FlushAll()
	t.Logf("%v", time.Since(start))
	if tier.repointed(hashOf(7), FlashLoc(8), 0, FlashLoc(99), 1) || tier.DeleteAt(hashOf(6), FlashLoc(7)) ||
		tier.SetExptimeAt(hashOf(5), FlashLoc(6), 9, AsRead) {
		t.Error("changed an item that was flushed")
	}
	if _, _, st := get(tier, "k"); st != Miss {
		t.Error(st)
	}
	put(t, tier, "k", []byte("w"), 2)
	if _, _, st := get(tier, "k"); st != Hit {
		t.Error(st)
	}
	bytes := tier.Stats().IndexBytes
	if st := tier.Stats(); st.IndexItems != 1 || st.ValueBytes != 1 || st.FlashItems != 0 {
		t.Errorf("%+v", st)
	}
	for i := range 300000 {
		putFlash(tier, hashOf(uint64(i+1e6)), uint64(i+1))
	}
	if st := tier.Stats(); st.IndexBytes > bytes+bytes/10 || st.IndexItems != 300001 {
		t.Errorf("the index took %d bytes before, now %+v", bytes, st)
	}
}

func TestSetLimit(t *testing.T) {
	tier := newTier(t, Options{Limit: 64 << 20})
	value := make([]byte, 1000)
	for i := 0; tier.FreeSegments() > tier.LowWater(); i++ {
		put(t, tier, strconv.Itoa(i), value, uint64(i+1))
	}
	tier.SetLimit(32 << 20)
	if tier.FreeSegments() >= 0 {
		t.Errorf("%d segments free", tier.FreeSegments())
	}
	drain(tier)
	st := tier.Stats()
	r := resident(t, tier.segs.arena, tier.segs.size[0]) + resident(t, tier.index.base, tier.index.size)
	if st.Used > 32<<20 || r > st.Used {
		t.Errorf("%d bytes resident, %+v", r, st)
	}
	tier.SetLimit(128 << 20)
	for i := range 90000 {
		put(t, tier, strconv.Itoa(i), value, uint64(i+1))
	}
	tier.SetLimit(math.MaxInt64)
	if l := tier.Stats().Limit; l != 4*64<<20 {
		t.Errorf("limit %d", l)
	}
}

// A victim's records are not overwritten in place, or the write would be lost
// with it.
func TestVictimIsNotOverwritten(t *testing.T) {
	tier := newTier(t, Options{Limit: 64 << 20})
	first := put(t, tier, "k", []byte("one"), 1)
	if w := put(t, tier, "k", []byte("two"), 2); w.NewItem.Loc != first.NewItem.Loc {
		t.Error("not overwritten in place")
	}
	if !tier.SealActive(0, 1) {
		t.Fatal("not sealed")
	}
	v, ok := tier.TakeOldest(0, 1)
	if !ok || !v.Next() {
		t.Fatal("no victim")
	}
	if verdict, _, out := v.Judge(1, false, nil); verdict != Demote || out != nil {
		t.Errorf("%v %q", verdict, out)
	}
	verdict, it, out := v.Judge(1, false, []byte{})
	if verdict != Demote || string(out) != "two" || it.CAS != 2 || string(v.Key()) != "k" {
		t.Fatalf("%v %q %+v", verdict, out, it)
	}
	w := put(t, tier, "k", []byte("now"), 3)
	if w.NewItem.Loc == first.NewItem.Loc {
		t.Error("overwritten in a victim")
	}
	if tier.repointed(v.Hash(), v.Loc(), it.CAS, FlashLoc(1), 1) {
		t.Error("an old version was put in the place of a new one")
	}
	v.Free()
	if out, _, st := get(tier, "k"); st != Hit || string(out) != "now" {
		t.Errorf("%v %q", st, out)
	}
}

// A segment into which a write is about to point is not taken.
func TestWriterHoldsSegment(t *testing.T) {
	tier := newTier(t, Options{Limit: 64 << 20})
	l, ok := tier.segs.alloc(young, 10, 1, 1)
	if !ok || !tier.SealActive(0, 1) {
		t.Fatal("not sealed")
	}
	if _, ok := tier.TakeOldest(0, 1); ok {
		t.Error("taken under a writer")
	}
	tier.segs.record(l).init([]byte("k"), 0, 10, 0)
	tier.segs.settle(l)
	tier.segs.done(l)
	if _, ok := tier.TakeOldest(1, 1); ok {
		t.Error("taken too young")
	}
	if _, ok := tier.TakeOldest(1, 2); !ok {
		t.Error("not taken")
	}
}

// What nobody found a place for is evicted with its segment, not left dangling.
func TestFreeEvicts(t *testing.T) {
	for _, judge := range []bool{false, true} {
		tier := newTier(t, Options{Limit: 64 << 20})
		for i := range 100 {
			put(t, tier, strconv.Itoa(i), []byte("v"), uint64(i+1))
		}
		tier.SealActive(0, 1)
		v, _ := tier.TakeOldest(0, 1)
		for judge && v.Next() {
			if verdict, it, _ := v.Judge(1, false, nil); verdict == Demote && it.CAS%2 == 0 {
				tier.repointed(v.Hash(), v.Loc(), it.CAS, FlashLoc(it.CAS), 1)
			}
		}
		v.Free()
		want := Stats{Evictions: 100}
		if judge {
			want = Stats{Evictions: 50, IndexItems: 50, FlashItems: 50}
		}
		st := tier.Stats()
		if st.Evictions != want.Evictions || st.EvictedUnread != want.Evictions || st.IndexItems != want.IndexItems ||
			st.FlashItems != want.FlashItems || st.ValueBytes != 0 {
			t.Errorf("judged %v: %+v", judge, st)
		}
	}
}

// A slot is only repointed, and a flash value only replaced, if it is what the
// caller has read.
func TestReplaceOnlyWhatWasRead(t *testing.T) {
	tier := newTier(t, Options{Limit: 64 << 20})
	w := put(t, tier, "k", []byte("one"), 1)
	put(t, tier, "k", []byte("two"), 2)
	if tier.repointed(w.Hash, w.NewItem.Loc, 1, FlashLoc(1), 1) {
		t.Error("replaced a record of another CAS")
	}
	if !tier.repointed(w.Hash, w.NewItem.Loc, 2, FlashLoc(1), 1) {
		t.Error("not replaced")
	}
	at := Write{Hash: w.Hash, Key: w.Key, Value: []byte("three"), NewCAS: 3, Found: Found{Loc: FlashLoc(2), Own: true}}
	if st := tier.Store(&at, 1); st != Changed || at.HasDisplaced {
		t.Errorf("%v %+v", st, at)
	}
	at.Found.Loc = FlashLoc(1)
	if st := tier.Store(&at, 1); st != Stored || !at.HasDisplaced || at.Displaced != FlashLoc(1) {
		t.Errorf("%v %+v", st, at)
	}
	if st := tier.Store(&at, 1); st != Changed {
		t.Errorf("%v %+v", st, at)
	}
}

// Warm changes nothing that can be seen.
func TestWarm(t *testing.T) {
	tier := newTier(t, Options{Limit: 64 << 20})
	put(t, tier, "k", []byte("v"), 1)
	putFlash(tier, hashOf(1), 1)
	hashes := []uint64{tier.Hash([]byte("k")), hashOf(1), hashOf(2)}
	before := tier.Stats()
	tier.Warm(nil)
	tier.Warm(hashes[:1])
	tier.Warm(hashes)
	if st := tier.Stats(); st != before {
		t.Errorf("%+v, before %+v", st, before)
	}
	if _, it, st := get(tier, "k"); st != Hit || it.Accessed {
		t.Errorf("%v %+v", st, it)
	}
	if !raceEnabled && testing.AllocsPerRun(100, func() { tier.Warm(hashes) }) != 0 {
		t.Error("it allocates")
	}
}
