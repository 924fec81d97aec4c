package memtier

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// newSeed gives a random test its seed and says which.
func newSeed(t testing.TB) uint64 {
	seed := uint64(time.Now().UnixNano())
	if v, err := strconv.ParseUint(os.Getenv("MEMTIER_SEED"), 10, 64); err == nil {
		seed = v
	}
	t.Logf("seed %d (MEMTIER_SEED=%d repeats it)", seed, seed)
	return seed
}

func newTier(t testing.TB, o Options) *Tier {
	t.Helper()
	tier, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tier.Close(); err != nil {
			t.Error(err)
		}
	})
	return tier
}

// flashRecord is a record of the fake flash tier.
type flashRecord struct {
	key, value []byte
	flags      uint32
	cas        uint64
}

// entry is what the model knows of a key.
type entry struct {
	value   []byte
	flags   uint32
	exptime uint32
	cas     uint64
}

// model does every operation on a tier and on a map, and compares. A miss where
// the map has the key is allowed only after an eviction.
type model struct {
	wanted  Status // of the Store under way, by what was there when it was tried
	t       *testing.T
	r       *rand.Rand
	tier    *Tier
	keys    int
	typical int
	longest int
	now     uint32
	cas     uint64
	want    map[string]*entry
	flash   map[Loc]flashRecord
	next    uint64 // flash address
	noFlash bool
	steps   int // of a thousand ops, those that empty a segment
	flushes bool
	buf     []byte
	ops     int
	hits    [16]int
}

func (m *model) fail(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf("op %d: %s", m.ops, fmt.Sprintf(format, args...))
}

func (m *model) key() []byte {
	n := m.r.IntN(m.keys)
	return fmt.Appendf(nil, "key%0*d", 1+n%40, n)
}

func (m *model) value() []byte {
	n := m.r.IntN(m.typical)
	switch m.r.IntN(40) {
	case 0:
		n = m.r.IntN(m.longest)
	case 1:
		n = 0
	}
	if m.r.IntN(3) == 0 {
		return strconv.AppendUint(nil, m.r.Uint64()>>m.r.IntN(64), 10)
	}
	v := make([]byte, n)
	for i := range v {
		v[i] = byte(m.ops + i)
	}
	return v
}

func (m *model) exptime() uint32 {
	switch m.r.IntN(6) {
	case 0:
		return m.now + uint32(m.r.IntN(30))
	case 1:
		return 1
	}
	return 0
}

// live is the model's entry, nil if absent or expired.
func (m *model) live(key []byte) *entry {
	e := m.want[string(key)]
	if e != nil && e.exptime != 0 && e.exptime <= m.now {
		delete(m.want, string(key))
		return nil
	}
	return e
}

// read verifies a flash record as the cache would.
func (m *model) read(key []byte, it Item) (flashRecord, bool) {
	rec, ok := m.flash[it.Loc]
	if !ok {
		m.fail("%q is at %x, where nothing was ever written or what was has died", key, it.Loc)
	}
	return rec, bytes.Equal(rec.key, key)
}

func (m *model) check(key []byte, value []byte, it Item) {
	m.t.Helper()
	e := m.live(key)
	if e == nil {
		m.fail("%q found with %d bytes, the model has none", key, len(value))
	}
	if !bytes.Equal(e.value, value) || e.flags != it.Flags || e.cas != it.CAS || e.exptime != it.Exptime {
		m.fail("%q: got %.60q flags %d cas %d exptime %d\nwant %.60q flags %d cas %d exptime %d (now %d)",
			key, value, it.Flags, it.CAS, it.Exptime, e.value, e.flags, e.cas, e.exptime, m.now)
	}
}

// missed accounts for a key that the tier does not have.
func (m *model) missed(key []byte) {
	m.t.Helper()
	if m.live(key) == nil {
		return
	}
	if m.tier.Stats().Evictions == 0 {
		m.fail("%q is gone, and nothing was evicted", key)
	}
	delete(m.want, string(key))
}

func (m *model) get(key []byte) {
	out, it, st := m.tier.Get(m.tier.Hash(key), key, m.buf[:0], m.now)
	m.hits[st]++
	switch st {
	case Hit:
		m.check(key, out, it)
	case OnFlash:
		rec, own := m.read(key, it)
		if !own {
			m.missed(key)
			return
		}
		it.Flags, it.CAS = rec.flags, rec.cas
		m.check(key, rec.value, it)
	case Expired:
		m.dead(it.Loc)
		if m.live(key) != nil {
			m.fail("%q expired, the model has it", key)
		}
	case Miss:
		m.missed(key)
	default:
		m.fail("get: %v", st)
	}
}

// dead takes a flash record away, once.
func (m *model) dead(l Loc) {
	if !l.OnFlash() {
		return
	}
	if _, ok := m.flash[l]; !ok {
		m.fail("%x died twice", l)
	}
	delete(m.flash, l)
}

// expect is what the mode's rule gives for the model's state.
func (m *model) expect(w *Write) Status {
	e := m.live(w.Key)
	switch {
	case w.Mode == Add && e != nil, w.Mode >= Append && e == nil, w.Mode == Replace && e == nil:
		return NotStored
	case w.Mode == CAS && e == nil:
		return NotFound
	case w.Mode == CAS && e.cas != w.Expect:
		return Exists
	}
	return Stored
}

func (m *model) apply(w *Write) {
	e := &entry{flags: w.Flags, exptime: w.Exptime, cas: w.NewCAS}
	old := m.want[string(w.Key)]
	switch w.Mode {
	case Append:
		e.value = append(append(e.value, old.value...), w.Value...)
	case Prepend:
		e.value = append(append(e.value, w.Value...), old.value...)
	default:
		e.value = append(e.value, w.Value...)
	}
	if w.Mode >= Append {
		e.flags, e.exptime = old.flags, old.exptime
	}
	m.want[string(w.Key)] = e
}

func (m *model) store(w *Write) Status {
	st := m.tier.Store(w, m.now)
	for st == NoRoom {
		m.step(true)
		if w.HasDisplaced {
			m.dead(w.Displaced)
		}
		if m.live(w.Key) != nil {
			m.get(w.Key) // settles whether the step evicted it
		}
		m.wanted = m.expect(w)
		st = m.tier.Store(w, m.now)
	}
	if w.HasDisplaced {
		m.dead(w.Displaced)
	}
	return st
}

func (m *model) set() {
	m.cas++
	w := &Write{Key: m.key(), Value: m.value(), Flags: m.r.Uint32(), Exptime: m.exptime(), NewCAS: m.cas,
		Mode: Mode(m.r.IntN(int(Prepend) + 1))}
	w.Hash = m.tier.Hash(w.Key)
	if e := m.live(w.Key); w.Mode == CAS && e != nil && m.r.IntN(3) > 0 {
		w.Expect = e.cas
	}
	if m.live(w.Key) != nil {
		m.get(w.Key) // settles whether it was evicted
	}
	m.wanted = m.expect(w)
	st := m.store(w)
	want := m.wanted
	if st == OnFlash {
		st = m.storeAt(w, want)
	}
	if st == TooLarge {
		if e := m.live(w.Key); w.Mode < Append || len(e.value)+len(w.Value) <= m.tier.item {
			m.fail("%d bytes too large", len(w.Value))
		}
		return
	}
	m.hits[st]++
	if st != want {
		m.fail("%q mode %d: %v, want %v", w.Key, w.Mode, st, want)
	}
	if st == Stored {
		m.apply(w)
	}
}

// storeAt does what the cache does with a condition that hangs on flash.
func (m *model) storeAt(w *Write, want Status) Status {
	rec, own := m.read(w.Key, Item{Loc: w.Displaced})
	if !own {
		m.fail("tag collision in a small test")
	}
	if want != Stored {
		return want
	}
	full := *w
	full.At = w.Displaced
	switch w.Mode {
	case Append:
		full.Value = append(append([]byte(nil), rec.value...), w.Value...)
	case Prepend:
		full.Value = append(append([]byte(nil), w.Value...), rec.value...)
	}
	if w.Mode >= Append {
		full.KeepExptime, full.Flags, full.Exptime = true, rec.flags, 12345
	}
	return m.store(&full)
}

func (m *model) incr() {
	key := m.key()
	delta, decr := m.r.Uint64()>>m.r.IntN(64), m.r.IntN(2) == 0
	if m.live(key) != nil {
		m.get(key)
	}
	m.cas++
	n, it, st := m.tier.Incr(m.tier.Hash(key), key, delta, decr, m.cas, 0, m.now)
	for st == NoRoom {
		m.step(true)
		n, it, st = m.tier.Incr(m.tier.Hash(key), key, delta, decr, m.cas, 0, m.now)
	}
	e := m.live(key)
	switch {
	case e == nil:
		if st != NotFound {
			m.fail("incr of nothing: %v", st)
		}
		m.dead(it.Loc)
	case st == OnFlash:
		m.read(key, it)
	case st == NotNumeric:
		if old, ok := ParseNumber(e.value); ok {
			m.fail("%q reads as %d, not as no number", e.value, old)
		}
	case st == Stored:
		old, _ := ParseNumber(e.value)
		want := strconv.FormatUint(Advance(old, delta, decr), 10)
		if strconv.FormatUint(n, 10) != want {
			m.fail("incr %q by %d: %d, want %s", e.value, delta, n, want)
		}
		pad := max(0, len(e.value)-len(want))
		e.value, e.cas = append([]byte(want), bytes.Repeat([]byte(" "), pad)...), m.cas
	default:
		m.fail("incr: %v", st)
	}
}

func (m *model) touch() {
	key, exptime := m.key(), m.exptime()
	want := m.r.IntN(2) == 0
	out, it, st := m.tier.Touch(m.tier.Hash(key), key, m.buf[:0], exptime, m.now, want)
	switch st {
	case Hit:
		e := m.live(key)
		if e == nil {
			m.fail("touched %q, the model has none", key)
		}
		e.exptime = exptime
		if want && !bytes.Equal(out, e.value) || it.CAS != e.cas || it.Exptime != exptime {
			m.fail("touch %q: %.60q %+v, want %+v", key, out, it, e)
		}
	case OnFlash:
		if _, own := m.read(key, it); own {
			if !m.tier.SetExptimeAt(m.tier.Hash(key), it.Loc, exptime) {
				m.fail("exptime not set")
			}
			m.want[string(key)].exptime = exptime
		}
	case Expired:
		m.dead(it.Loc)
	case Miss:
		m.missed(key)
	}
}

func (m *model) del() {
	key := m.key()
	it, st := m.tier.Delete(m.tier.Hash(key), key, m.now)
	m.dead(it.Loc)
	if st == Deleted && m.live(key) == nil {
		m.fail("deleted %q, the model has none", key)
	}
	if st == NotFound {
		m.missed(key)
	}
	delete(m.want, string(key))
}

// step empties one segment, as the cache's loop would. With force it does so
// until a segment is free.
func (m *model) step(force bool) {
	for {
		v, ok := m.tier.TakeOldest(0, m.now)
		if !ok {
			if force && !m.tier.SealActive(0, m.now) {
				m.fail("no room and nothing to empty: %+v", m.tier.Stats())
			}
		} else {
			m.empty(v)
		}
		if !force || m.tier.FreeSegments() >= m.tier.LowWater() {
			return
		}
	}
}

func (m *model) empty(v *Victim) {
	for v.Next() {
		verdict, it, out := v.Judge(m.now, m.r.IntN(4) > 0, m.buf[:0])
		if len(out) > v.ValueCap() {
			m.fail("a value of %d bytes where %d were the most", len(out), v.ValueCap())
		}
		if verdict != Demote {
			continue
		}
		if m.noFlash {
			if !v.Evict() {
				m.fail("evict: not there")
			}
			continue
		}
		m.next++
		to := FlashLoc(m.next)
		m.flash[to] = flashRecord{bytes.Clone(v.Key()), bytes.Clone(out), it.Flags, it.CAS}
		if m.r.IntN(8) == 0 { // the item changes while the write is in flight
			m.set()
		}
		if !m.tier.repointed(v.Hash(), v.Loc(), it.CAS, to, uint8(m.next)) {
			delete(m.flash, to)
		}
	}
	v.Free()
}

// reclaim drops some flash records, as a reclaimed page would.
func (m *model) reclaim() {
	n := 0
	for l, rec := range m.flash {
		if !m.tier.DeleteAt(m.tier.Hash(rec.key), l) {
			m.fail("flash record %x of %q is not in the index", l, rec.key)
		}
		delete(m.flash, l)
		delete(m.want, string(rec.key))
		if n++; n == 10 {
			return
		}
	}
}

func (m *model) op() {
	m.ops++
	switch n := m.r.IntN(1000); {
	case n < 400:
		m.get(m.key())
	case n < 700:
		m.set()
	case n < 780:
		m.incr()
	case n < 850:
		m.touch()
	case n < 900:
		m.del()
	case n < 901:
		m.reclaim()
	case n < 940:
		m.now += uint32(m.r.IntN(2))
	case n < 940+m.steps:
		m.step(false)
	case n == 999 && m.flushes && m.r.IntN(20) == 0:
		m.tier.FlushAll()
		clear(m.want)
		clear(m.flash)
	}
	if raceEnabled && m.ops%50 != 0 {
		return // summing up takes long
	}
	if st := m.tier.Stats(); st.Used > st.Limit || st.IndexBytes+st.SegmentBytes+st.HotReserved != st.Used {
		m.fail("over the limit: %+v", st)
	}
}

// verify compares every key and the counters at the end.
func (m *model) verify() {
	for k := range m.want {
		m.get([]byte(k))
	}
	for n := range m.keys {
		m.get(fmt.Appendf(nil, "key%0*d", 1+n%40, n))
	}
	var bytes, ram int64
	for k, e := range m.want {
		if _, _, st := m.tier.Get(m.tier.Hash([]byte(k)), []byte(k), nil, m.now); st == Hit {
			bytes += int64(len(e.value))
			ram++
		}
	}
	st := m.tier.Stats()
	if st.ValueBytes != bytes || st.IndexItems-st.FlashItems != ram || st.FlashItems != int64(len(m.flash)) {
		m.fail("%d items, %d bytes in RAM, %d on flash; stats say %+v", ram, bytes, len(m.flash), st)
	}
}

func TestModel(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		m    model
	}{
		{"small", Options{Limit: 8 << 20}, model{keys: 500, typical: 200, longest: 2000, steps: 30, flushes: true}},
		{"tight", Options{Limit: 8 << 20}, model{keys: 20000, typical: 2000, longest: 5000}},
		{"stepping", Options{Limit: 8 << 20}, model{keys: 30000, typical: 200, longest: 5000, steps: 10}},
		{"large", Options{Limit: 16 << 20}, model{keys: 2000, typical: 10000, longest: 1 << 20}},
		{"no flash", Options{Limit: 8 << 20}, model{keys: 30000, typical: 2000, longest: 60000, noFlash: true}},
		{"huge pages", Options{Limit: 192 << 20}, model{keys: 3000, typical: 50000, longest: 1 << 20, steps: 1, flushes: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			seed := newSeed(t)
			c.o.Seed = seed
			m := c.m
			m.t, m.r, m.tier, m.now = t, rand.New(rand.NewPCG(seed, 1)), newTier(t, c.o), 1000
			m.want, m.flash, m.buf = map[string]*entry{}, map[Loc]flashRecord{}, make([]byte, 0, 2<<20)
			n := 100000
			if testing.Short() || raceEnabled {
				n = 20000
			}
			for range n {
				m.op()
			}
			m.verify()
			t.Logf("outcomes %v, %+v", m.hits, m.tier.Stats())
		})
	}
}
