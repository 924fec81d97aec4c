package memtier

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// pattern is the value of a key's version: its length and every byte follow
// from the two, so that a torn or foreign value is seen. The race detector does
// not look at mapped memory; this does.
func pattern(dst []byte, key int, version uint64, longest int) []byte {
	r := rand.NewPCG(uint64(key), version)
	n := 8 + int(r.Uint64()%200)
	if r.Uint64()%20 == 0 {
		n = 8 + int(r.Uint64()%uint64(longest))
	}
	dst = binary.LittleEndian.AppendUint64(dst[:0], version)
	for x := r.Uint64(); len(dst) < n; x = x*6364136223846793005 + 1 {
		dst = append(dst, byte(x>>56))
	}
	return dst
}

// versioned is one key of a storm.
type versioned struct {
	mu      sync.Mutex // held by whoever changes the key
	version uint64     // last one written, under mu
	// floor is the oldest version that may still be read: the last one
	// acknowledged, or one not written yet after a delete.
	floor atomic.Uint64
	_     [40]byte
}

// storm runs writers, readers, an evictor and a flusher against one tier.
type storm struct {
	t       *testing.T
	tier    *Tier
	longest int
	keys    []versioned
	cas     atomic.Uint64
	evict   sync.Mutex // one evictor at a time
	flush   sync.RWMutex
	hits    [16]atomic.Int64

	mu    sync.Mutex
	flash map[Loc]flashRecord
	next  uint64
}

func (s *storm) name(k int) []byte { return fmt.Appendf(nil, "key-%d", k) }

func (s *storm) lookup(l Loc) (flashRecord, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec, ok := s.flash[l]
	return rec, ok
}

func (s *storm) write(k int, value []byte) {
	v := &s.keys[k]
	s.flush.RLock()
	defer s.flush.RUnlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.version++
	w := Write{Key: s.name(k), Value: pattern(value, k, v.version, s.longest), Flags: uint32(v.version), NewCAS: s.cas.Add(1)}
	w.Hash = s.tier.Hash(w.Key)
	for s.tier.Store(&w, 1) == NoRoom {
		s.emptyOne()
	}
	s.died(w.Displaced, w.HasDisplaced)
	v.floor.Store(v.version)
}

func (s *storm) died(l Loc, ok bool) {
	if !ok {
		return
	}
	s.mu.Lock()
	delete(s.flash, l)
	s.mu.Unlock()
}

func (s *storm) delete(k int) {
	v := &s.keys[k]
	s.flush.RLock()
	defer s.flush.RUnlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	it, _ := s.tier.Delete(s.tier.Hash(s.name(k)), s.name(k), 1)
	s.died(it.Loc, it.Loc.OnFlash())
	v.floor.Store(v.version + 1)
}

func (s *storm) read(k int, buf, want []byte) {
	key := s.name(k)
	s.tier.Warm([]uint64{s.tier.Hash(key), s.tier.Hash(s.name(0))})
	floor := s.keys[k].floor.Load()
	for range 100 {
		out, it, st := s.tier.Get(s.tier.Hash(key), key, buf[:0], 1, nil)
		if st == OnFlash {
			rec, ok := s.lookup(it.Loc)
			if !ok {
				continue // it changed meanwhile
			}
			if string(rec.key) != string(key) {
				s.t.Errorf("%q is at the record of %q", key, rec.key)
				return
			}
			out, it.Flags = rec.value, rec.flags
		} else if st == Miss {
			s.hits[st].Add(1)
			return
		}
		s.hits[st].Add(1)
		s.judge(k, floor, out, it, want)
		return
	}
	s.t.Errorf("%q: no flash record in a hundred tries", key)
}

func (s *storm) judge(k int, floor uint64, out []byte, it Item, want []byte) {
	if len(out) < 8 {
		s.t.Errorf("key %d: %d bytes", k, len(out))
		return
	}
	version := binary.LittleEndian.Uint64(out)
	switch {
	case version < floor:
		s.t.Errorf("key %d: stale: version %d after %d was acknowledged", k, version, floor)
	case string(pattern(want, k, version, s.longest)) != string(out):
		s.t.Errorf("key %d version %d: torn: %d bytes", k, version, len(out))
	case it.Flags != uint32(version):
		s.t.Errorf("key %d version %d: flags %d", k, version, it.Flags)
	}
}

// emptyOne demotes the oldest segment.
func (s *storm) emptyOne() {
	s.evict.Lock()
	defer s.evict.Unlock()
	v, ok := s.tier.TakeOldest(0, 1)
	if !ok {
		s.tier.SealActive(0, 1)
		return
	}
	var batch []Loc
	buf := make([]byte, 0, 1<<20)
	for v.Next() {
		verdict, it, out := v.Judge(1, true, buf[:0])
		if verdict != Demote {
			continue
		}
		s.mu.Lock()
		s.next++
		to := FlashLoc(s.next)
		s.flash[to] = flashRecord{append([]byte(nil), v.Key()...), append([]byte(nil), out...), it.Flags, it.CAS, it.State}
		s.mu.Unlock()
		if !s.tier.repointed(v.Hash(), v.Loc(), it.CAS, to, 1) {
			s.died(to, true)
			continue
		}
		batch = append(batch, to)
	}
	v.Free()
	for i, l := range batch { // some of the flash is reclaimed at once
		if rec, ok := s.lookup(l); ok && i%4 == 0 && s.tier.DeleteAt(s.tier.Hash(rec.key), l) {
			s.died(l, true)
		}
	}
}

func (s *storm) flushAll() {
	s.flush.Lock()
	defer s.flush.Unlock()
	s.tier.FlushAll()
	for i := range s.keys {
		s.keys[i].floor.Store(s.keys[i].version + 1)
	}
}

func (s *storm) worker(seed uint64, ops int) {
	r := rand.New(rand.NewPCG(seed, 3))
	buf, want := make([]byte, 0, s.longest+8), make([]byte, 0, s.longest+8)
	for i := range ops {
		k := r.IntN(len(s.keys))
		switch n := r.IntN(100); {
		case n < 60:
			s.read(k, buf, want)
		case n < 90:
			s.write(k, want)
		case n < 95:
			s.delete(k)
		case n < 98:
			s.tier.Touch(s.tier.Hash(s.name(k)), s.name(k), nil, 0, 1, AsRead, nil)
		case n == 98 && (len(s.keys) < 1000 || i%16 == 0):
			s.emptyOne()
		case n == 99 && i%3000 == 0:
			s.flushAll()
		}
	}
}

func TestConcurrent(t *testing.T) {
	for _, c := range []struct {
		name    string
		keys    int
		longest int
	}{{"one shard's worth", 40, 3000}, {"many", 20000, 3000}, {"large", 300, 200000}} {
		t.Run(c.name, func(t *testing.T) {
			seed := newSeed(t)
			s := &storm{t: t, tier: newTier(t, Options{Limit: 9 << 20, Seed: seed}), longest: c.longest,
				keys: make([]versioned, c.keys), flash: map[Loc]flashRecord{}}
			ops := 20000
			if testing.Short() {
				ops = 4000
			}
			var wg sync.WaitGroup
			for i := range uint64(8) {
				wg.Go(func() { s.worker(seed+i, ops) })
			}
			wg.Wait()
			st := s.tier.Stats()
			if st.Evictions != 0 || st.Used > st.Limit || int(st.FlashItems) > len(s.flash) {
				t.Errorf("%d records on flash; %+v", len(s.flash), st)
			}
			t.Logf("misses %d hits %d on flash %d", s.hits[Miss].Load(), s.hits[Hit].Load(), s.hits[OnFlash].Load())
		})
	}
}

// Shards grow and split while all of them are in use: what was put is found, at
// every moment.
func TestConcurrentGrowth(t *testing.T) {
	seed := newSeed(t)
	tier := newTier(t, Options{Limit: 64 << 20})
	tier.index.most = 4
	const each = 40000
	var wg sync.WaitGroup
	for g := range uint64(8) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, g))
			for i := range uint64(each) {
				if !putFlash(tier, hashOf(seed+g*each+i), 1+g*each+i) {
					t.Error("no room")
					return
				}
				j := r.Uint64N(i + 1)
				_, it, st := tier.Get(hashOf(seed+g*each+j), nil, nil, 1, nil)
				if st != OnFlash || it.Loc != FlashLoc(1+g*each+j) {
					t.Errorf("item %d of %d: %v %+v", j, i, st, it)
					return
				}
			}
		})
	}
	wg.Wait()
	st := tier.Stats()
	if st.IndexItems != 8*each || st.IndexShards < 400 {
		t.Errorf("%+v", st)
	}
}
