package hearth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

// settings are the caches that every model test runs on. In all of them RAM is
// far smaller than the data.
var settings = []struct {
	name  string
	flash bool
	room  bool // everything that is written fits: no miss is allowed
	opts  Options
}{
	{name: "ram", opts: Options{Memory: 16 << 20, MaxItem: 64 << 10}},
	{name: "flash", flash: true, room: true, opts: Options{Memory: 16 << 20, MaxItem: 64 << 10, FlashSize: 256 << 20, PageSize: 4 << 20, HotPercent: -1}},
	{name: "hot", flash: true, room: true, opts: Options{Memory: 20 << 20, MaxItem: 64 << 10, FlashSize: 256 << 20, PageSize: 4 << 20, HotPercent: 30}},
	{name: "reclaim", flash: true, opts: Options{Memory: 16 << 20, MaxItem: 64 << 10, FlashSize: 8 << 20, PageSize: 1 << 20}},
	{name: "direct", flash: true, opts: Options{Memory: 16 << 20, MaxItem: 64 << 10, FlashSize: 16 << 20, PageSize: 2 << 20, IOEngine: "pread+direct"}},
	{name: "uring", flash: true, room: true, opts: Options{Memory: 16 << 20, MaxItem: 64 << 10, FlashSize: 256 << 20, PageSize: 4 << 20, IOEngine: "uring+direct"}},
}

// openTest opens a cache in a directory of the test, and closes it at the end.
func openTest(t testing.TB, opts Options) *Cache {
	t.Helper()
	c, err := Open(t.TempDir(), quiet(opts))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// quiet has a cache that has no logger log nothing.
func quiet(o Options) Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// ofAmounts skips a test of how much there is of something, by one goroutine: the
// race detector, for which there is -short, would be long over it and find nothing.
func ofAmounts(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("of amounts, not for -short")
	}
}

func seeded(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// model is a map that obeys what the cache promises.
type model struct {
	t     *testing.T
	c     *Cache
	rng   *rand.Rand
	items map[string]*Item
	room  bool
	miss  int
}

func TestModel(t *testing.T) {
	for _, s := range settings {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			m := &model{t: t, c: openTest(t, s.opts), rng: seeded(t), items: map[string]*Item{}, room: s.room}
			for range 30_000 {
				m.step()
			}
			for key := range m.items {
				m.get(key)
			}
			st := m.c.Stats()
			t.Logf("misses %d, ram %d, hot %d, flash %d, demoted %d", m.miss, st.HitsRAM, st.HitsHot, st.HitsFlash, st.Demoted)
			if s.flash && (st.HitsFlash == 0 || st.Demoted == 0) {
				t.Errorf("the flash tier was not used: %d hits, %d demoted", st.HitsFlash, st.Demoted)
			}
			if s.opts.HotPercent > 0 && st.HitsHot == 0 {
				t.Error("no hot value was ever hit")
			}
		})
	}
}

func (m *model) step() {
	key := "key-" + strconv.Itoa(m.rng.IntN(6000))
	ctx := context.Background()
	switch n := m.rng.IntN(100); {
	case n < 40:
		m.get(key)
	case n < 70:
		m.store(key, m.c.Set, true, true)
	case n < 75:
		m.store(key, m.c.Add, false, true)
	case n < 80:
		m.store(key, m.c.Replace, true, false)
	case n < 84:
		m.join(key, m.c.Append, func(old, data []byte) []byte { return append(bytes.Clone(old), data...) })
	case n < 88:
		m.join(key, m.c.Prepend, func(old, data []byte) []byte { return append(bytes.Clone(data), old...) })
	case n < 92:
		m.number("n" + key)
	case n < 94:
		m.swap(key)
	case n < 97:
		m.delete(key)
	default:
		err := m.c.Touch(ctx, key, time.Now().Add(time.Hour))
		m.check(key, err, nil, ErrNotFound)
	}
}

// check holds err against what the model says: present if the key is there,
// absent if not. A key that the cache has lost counts as a miss.
func (m *model) check(key string, err, present, absent error) bool {
	m.t.Helper()
	_, ok := m.items[key]
	switch {
	case ok && errors.Is(err, present), !ok && errors.Is(err, absent):
		return ok
	case ok && errors.Is(err, absent):
		m.lost(key)
		return false
	}
	m.t.Fatalf("%s: %v, in the model: %v", key, err, ok)
	return false
}

func (m *model) lost(key string) {
	m.t.Helper()
	m.miss++
	delete(m.items, key)
	if m.room {
		m.t.Fatalf("%s was lost though there is room", key)
	}
}

func (m *model) get(key string) {
	m.t.Helper()
	it, err := m.c.Get(context.Background(), key)
	if !m.check(key, err, nil, ErrNotFound) {
		return
	}
	want := m.items[key]
	if !bytes.Equal(it.Value, want.Value) || it.Flags != want.Flags {
		m.t.Fatalf("%s: got %d bytes %.40q flags %d, want %d bytes %.40q flags %d",
			key, len(it.Value), it.Value, it.Flags, len(want.Value), want.Value, want.Flags)
	}
}

func (m *model) value() []byte {
	b := make([]byte, m.rng.IntN(6000))
	for i := range b {
		b[i] = byte('a' + m.rng.IntN(26))
	}
	return b
}

func (m *model) store(key string, do func(context.Context, Item) error, ifPresent, ifAbsent bool) {
	m.t.Helper()
	it := Item{Key: key, Value: m.value(), Flags: m.rng.Uint32()}
	want := func(can bool) error {
		if can {
			return nil
		}
		return ErrNotStored
	}
	err := do(context.Background(), it)
	_, ok := m.items[key]
	if ok && want(ifPresent) != err && want(ifAbsent) == err {
		m.lost(key)
	} else if ok && want(ifPresent) != err || !ok && want(ifAbsent) != err {
		m.t.Fatalf("%s: %v, in the model: %v", key, err, ok)
	}
	if err == nil {
		m.items[key] = &it
	}
}

func (m *model) join(key string, do func(context.Context, string, []byte) error, joined func(old, data []byte) []byte) {
	m.t.Helper()
	data := m.value()[:0:0]
	data = append(data, []byte(fmt.Sprintf("<%d>", m.rng.IntN(1000)))...)
	if m.check(key, do(context.Background(), key, data), nil, ErrNotStored) {
		m.items[key].Value = joined(m.items[key].Value, data)
	}
}

func (m *model) number(key string) {
	m.t.Helper()
	ctx := context.Background()
	delta := uint64(m.rng.IntN(100))
	n, err := m.c.Incr(ctx, key, delta)
	if !m.check(key, err, nil, ErrNotFound) {
		it := Item{Key: key, Value: []byte("100000000"), Flags: 7}
		if err := m.c.Set(ctx, it); err != nil {
			m.t.Fatal(err)
		}
		m.items[key] = &it
		return
	}
	old, _ := strconv.ParseUint(string(bytes.TrimRight(m.items[key].Value, " ")), 10, 64)
	if n != old+delta {
		m.t.Fatalf("%s: %d plus %d gave %d", key, old, delta, n)
	}
	m.items[key].Value = strconv.AppendUint(nil, n, 10)
}

func (m *model) swap(key string) {
	m.t.Helper()
	ctx := context.Background()
	it, err := m.c.Get(ctx, key)
	if !m.check(key, err, nil, ErrNotFound) {
		return
	}
	it.CAS++
	if err := m.c.CompareAndSwap(ctx, it); !m.check(key, err, ErrCASConflict, ErrNotFound) {
		return
	}
	it.CAS--
	it.Value = m.value()
	if err := m.c.CompareAndSwap(ctx, it); m.check(key, err, nil, ErrNotFound) {
		m.items[key] = &it
	}
}

func (m *model) delete(key string) {
	m.t.Helper()
	m.check(key, m.c.Delete(context.Background(), key), nil, ErrNotFound)
	delete(m.items, key)
}
