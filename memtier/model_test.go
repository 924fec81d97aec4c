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

// ofAmounts skips a test of how much there is of something, by one goroutine: the
// race detector, for which there is -short, would be long over it and find nothing.
func ofAmounts(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("of amounts, not for -short")
	}
}

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
	state      State
}

// entry is what the model knows of a key.
type entry struct {
	value   []byte
	flags   uint32
	exptime uint32
	cas     uint64
	state   State // but for Fetched
	fetched bool
}

// model does every operation on a tier and on a map, and compares. A miss where
// the map has the key is allowed only after an eviction.
type model struct {
	wanted  Status // of the Store under way, by what was there when it was tried
	becomes *entry // what it is to store
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
	// emptying is how many segments are being emptied.
	emptying int
	hits     [16]int
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
	if !bytes.Equal(e.value, value) || e.flags != it.Flags || e.cas != it.CAS || e.exptime != it.Exptime ||
		e.state != it.State&^Fetched || e.fetched != (it.Accessed || it.State&Fetched != 0) {
		m.fail("%q: got %.60q %+v\nwant %.60q flags %d cas %d exptime %d state %d fetched %v (now %d)",
			key, value, it, e.value, e.flags, e.cas, e.exptime, e.state, e.fetched, m.now)
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

func (m *model) get(key []byte) { m.look(key, true) }

// look gets a key, and leaves no trace of that if quiet.
func (m *model) look(key []byte, asRead bool) {
	find := m.tier.Get
	if !asRead {
		find = m.tier.GetQuiet
	}
	out, it, st := find(m.tier.Hash(key), key, m.buf[:0], m.now, nil)
	m.hits[st]++
	switch st {
	case Hit:
		m.check(key, out, it)
		m.live(key).fetched = asRead || m.live(key).fetched
	case OnFlash:
		rec, own := m.read(key, it)
		if !own {
			m.missed(key)
			return
		}
		it.Flags, it.CAS, it.State = rec.flags, rec.cas, rec.state
		m.check(key, rec.value, it)
		m.live(key).fetched = asRead || m.live(key).fetched
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

func (m *model) touch() {
	key, exptime := m.key(), m.exptime()
	look := Look(m.r.IntN(4))
	out, it, st := m.tier.Touch(m.tier.Hash(key), key, m.buf[:0], exptime, m.now, look, nil)
	switch st {
	case Hit:
		e := m.live(key)
		if e == nil {
			m.fail("touched %q, the model has none", key)
		}
		before := e.exptime
		e.exptime = exptime
		e.fetched = e.fetched || look&AsRead != 0
		if look&WithValue != 0 && !bytes.Equal(out, e.value) || it.CAS != e.cas || it.Exptime != before {
			m.fail("touch %q: %.60q %+v, want %+v", key, out, it, e)
		}
	case OnFlash:
		if _, own := m.read(key, it); own {
			if !m.tier.SetExptimeAt(m.tier.Hash(key), it.Loc, exptime, look) {
				m.fail("exptime not set")
			}
			e := m.want[string(key)]
			e.exptime, e.fetched = exptime, e.fetched || look&AsRead != 0
		}
	case Expired:
		m.dead(it.Loc)
	case Miss:
		m.missed(key)
	}
}

func (m *model) del() {
	key := m.key()
	if e := m.live(key); e != nil && m.r.IntN(2) == 0 {
		m.delIf(key, e)
		return
	}
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

// delIf deletes by a CAS that may be the item's.
func (m *model) delIf(key []byte, e *entry) {
	m.settle(key)
	cas := e.cas + uint64(m.r.IntN(2))
	h := m.tier.Hash(key)
	it, st := m.tier.DeleteIf(h, key, cas, m.now)
	if st == OnFlash {
		rec, _ := m.read(key, it)
		switch {
		case rec.cas != cas:
			st = Exists
		case !m.tier.DeleteAt(h, it.Loc):
			m.fail("%q is no longer at %x", key, it.Loc)
		default:
			m.dead(it.Loc)
			st = Deleted
		}
	}
	want := Deleted
	if m.live(key) == nil {
		want = NotFound
	} else if cas != e.cas {
		want = Exists
	}
	if st != want {
		m.fail("delete %q if %d: %v, want %v", key, cas, st, want)
	}
	if st == Deleted {
		delete(m.want, string(key))
	}
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
	m.emptying++
	defer func() { m.emptying-- }()
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
		m.flash[to] = flashRecord{bytes.Clone(v.Key()), bytes.Clone(out), it.Flags, it.CAS, it.State}
		if m.r.IntN(8) == 0 { // the item changes while the write is in flight
			m.set(m.key())
		}
		switch key := bytes.Clone(v.Key()); m.r.IntN(8) { // or this very one
		case 0:
			m.look(key, true)
		case 1:
			m.set(key)
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
	case n < 780:
		m.set(m.key())
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
		if _, _, st := m.tier.Get(m.tier.Hash([]byte(k)), []byte(k), nil, m.now, nil); st == Hit {
			bytes += int64(len(e.value))
			ram++
		}
	}
	st := m.tier.Stats()
	if st.ValueBytes != bytes || st.IndexItems-st.FlashItems != ram || st.FlashItems != int64(len(m.flash)) {
		m.fail("%d items, %d bytes in RAM, %d on flash; stats say %+v", ram, bytes, len(m.flash), st)
	}
	if classes := recount(m.tier); classes != st.Classes {
		m.fail("items by class are %v; stats say %v", classes, st.Classes)
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
