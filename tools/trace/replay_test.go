package trace

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hearthcache/hearth"
)

// memory is a target that forgets nothing, but for what a test plants.
type memory struct {
	items map[string][]byte
	cas   map[string]uint64
	last  uint64
	now   time.Duration
	// spoil may change what a get finds; lose says which write is not done though
	// it is answered so.
	spoil func(key string, value []byte) []byte
	lose  func(c *Call) bool
}

func newMemory() *memory { return &memory{items: map[string][]byte{}, cas: map[string]uint64{}} }

func (m *memory) At(t time.Duration)    { m.now = t }
func (m *memory) TTL(s uint32) uint32   { return s }
func (m *memory) Close() error          { return nil }
func (m *memory) Usage() (Usage, error) { return Usage{Items: int64(len(m.items))}, nil }

func (m *memory) Do(calls []Call) error {
	for i := range calls {
		m.do(&calls[i])
	}
	return nil
}

func (m *memory) do(c *Call) {
	key := string(c.Key)
	value, there := m.items[key]
	if c.Op.reads() {
		if c.CAS = m.cas[key]; there {
			c.Status, c.Found = Hit, value
			if m.spoil != nil {
				c.Found = m.spoil(key, slices.Clone(value))
			}
		}
		return
	}
	wants := map[Op]bool{Set: true, Add: !there, CAS: there && c.CAS == m.cas[key]}
	if want, conditional := wants[c.Op]; conditional && !want || !conditional && !there {
		return
	}
	c.Status = Done
	if m.lose != nil && m.lose(c) {
		return
	}
	m.last++
	m.cas[key] = m.last
	switch c.Op {
	case Delete:
		delete(m.items, key)
	case Incr:
		n, _ := strconv.ParseUint(string(value), 10, 64)
		m.items[key] = strconv.AppendUint(nil, n+1, 10)
	case Prepend:
		m.items[key] = slices.Concat(c.Value, value)
	default:
		m.items[key] = slices.Clone(c.Value)
	}
}

func replayOf(t *testing.T, name string, s Scale, target Target) *Result {
	t.Helper()
	w, _ := FindWorkload(name)
	g, err := NewGenerator(w, s)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), g, target, Config{})
	if err != nil {
		t.Fatal(name, err)
	}
	return r
}

// timeless is a library whose clock stands still, so that nothing expires.
type timeless struct{ *Library }

func (timeless) At(time.Duration) {}

// Where nothing is ever dropped, what misses is what was never asked for, or
// deleted, before: the library must say the same as a map.
func TestLibraryWithRoomHitsLikeAMap(t *testing.T) {
	for _, name := range []string{"W1", "W4", "W7", "W8", "W9"} {
		s := Scale{Keys: 300, Requests: 6000}
		want := replayOf(t, name, s, newMemory())
		l, err := OpenLibrary(LibraryOptions{Options: hearth.Options{Memory: 128 << 20}})
		if err != nil {
			t.Fatal(err)
		}
		got := replayOf(t, name, s, timeless{l})
		if got.All.Hits != want.All.Hits || got.All.Reads != want.All.Reads || got.Bad() || want.Bad() || got.All.Refused > 0 {
			t.Errorf("%s: library\n%+v, a map\n%+v", name, got.All, want.All)
		}
		if got.Usage.Items < 100 || got.Usage.Memory < 1<<20 {
			t.Errorf("%s: usage %+v", name, got.Usage)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestLibraryWithFlash(t *testing.T) {
	l, err := OpenLibrary(LibraryOptions{Options: hearth.Options{
		Memory: 16 << 20, MaxItem: 64 << 10, FlashSize: 64 << 20, PageSize: 4 << 20, IOEngine: "pread",
	}})
	if err != nil {
		t.Fatal(err)
	}
	dir := l.dir
	r := replayOf(t, "W8", Scale{Keys: 3000, Requests: 12000}, l)
	if r.Bad() || r.Usage.FlashWritten < 1<<20 || r.All.HitRatio() < .5 {
		t.Errorf("%+v, usage %+v", r.All, r.Usage)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is left behind: %v", dir, err)
	}
}

func TestExpiryByTheTracesClock(t *testing.T) {
	l, err := OpenLibrary(LibraryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	call := func(op Op, value string, ttl uint32) Status {
		c := []Call{{Op: op, Key: []byte("k"), Value: []byte(value), TTL: ttl}}
		if err := l.Do(c); err != nil {
			t.Fatal(err)
		}
		return c[0].Status
	}
	l.At(time.Hour)
	if call(Set, "v", 20) != Done || call(Get, "", 0) != Hit {
		t.Fatal("not stored")
	}
	l.At(time.Hour + 21*time.Second)
	for deadline := time.Now().Add(10 * time.Second); call(Get, "", 0) == Hit; {
		if time.Now().After(deadline) {
			t.Fatal("the item outlives its TTL")
		}
		time.Sleep(time.Millisecond) // the cache looks at its clock ten times a second
	}
}

// Each plant is a breach of what a cache promises; each must be found.
func TestPlantedValuesAreFound(t *testing.T) {
	other := appendStream(nil, 999, 1<<32|64, 64)
	flip := func(key string, v []byte) []byte { v[len(v)/2] ^= 1; return v }
	plants := map[string]struct {
		workload, want string
		plant          func(*memory)
	}{
		"flipped bit":       {"W8", " is wrong", func(m *memory) { m.spoil = flip }},
		"flipped in number": {"W9", "is not the number", func(m *memory) { m.spoil = func(_ string, v []byte) []byte { v[0] = '-'; return v } }},
		"cut":               {"W4", " bytes of a value of ", func(m *memory) { m.spoil = func(_ string, v []byte) []byte { return v[:len(v)-1] } }},
		"another key's":     {"W4", " is wrong", func(m *memory) { m.spoil = func(string, []byte) []byte { return other } }},
		"lost set":          {"W2", "stale: write ", func(m *memory) { m.lose = func(c *Call) bool { return c.Op == Set && m.items[string(c.Key)] != nil } }},
		"lost delete":       {"W7", "stale: write ", func(m *memory) { m.lose = func(c *Call) bool { return c.Op == Delete } }},
		"lost cas":          {"W4", "stale: write ", func(m *memory) { m.lose = func(c *Call) bool { return c.Op == CAS } }},
		"lost increment":    {"W9", "changed ", func(m *memory) { m.lose = func(c *Call) bool { return c.Op == Incr } }},
		"lost prepend":      {"W8", "changed ", func(m *memory) { m.lose = func(c *Call) bool { return c.Op == Prepend } }},
	}
	for name, p := range plants {
		m := newMemory()
		p.plant(m)
		r := replayOf(t, p.workload, Scale{Keys: 40, Requests: 5000}, m)
		if !r.Bad() || !slices.ContainsFunc(r.All.Examples, func(e string) bool { return strings.Contains(e, p.want) }) {
			t.Errorf("%s: %d wrong, examples %q", name, r.All.Wrong, r.All.Examples)
		}
	}
}

func TestMissesAreSetOnce(t *testing.T) {
	m := newMemory()
	from := list{
		{Op: Get, Key: 1, KeySize: 10, ValueSize: 100}, {Op: Get, Key: 1, KeySize: 10, ValueSize: 100},
		{Op: LoneGet, Key: 2, KeySize: 10, ValueSize: 100}, {Op: Get, Key: 3, KeySize: 10},
		{Op: Get, Key: 4, KeySize: 10, ValueSize: 50}, {Op: Set, Key: 4, KeySize: 10, ValueSize: 70},
	}
	r, err := Run(t.Context(), &from, m, Config{})
	if err != nil || len(m.items) != 2 || m.last != 2 || len(m.items["0000000004"]) != 70 || r.All.Reads != 5 || r.All.Hits != 0 {
		t.Errorf("%v, %d writes, items %q, %+v", err, m.last, m.items, r.All)
	}
}

func TestWarmUpIsLeftOut(t *testing.T) {
	r := replayOf(t, "W1", Scale{Keys: 500, Requests: 4 * stepEvery}, newMemory())
	if r.Steady.Requests < 2*stepEvery || r.Steady.Requests > 3*stepEvery || r.SteadyHit <= r.Hit || r.All.Requests != 4*stepEvery {
		t.Errorf("%+v", r)
	}
}

func TestResultsAreTheSameForASeed(t *testing.T) {
	s := Scale{Keys: 300, Requests: 5000, Seed: 7}
	a, b := replayOf(t, "W7", s, newMemory()), replayOf(t, "W7", s, newMemory())
	if a.All.Hits != b.All.Hits || a.All.Stored != b.All.Stored {
		t.Errorf("%+v, then %+v", a.All, b.All)
	}
	var text bytes.Buffer
	if err := a.Print(&text); err != nil || !strings.Contains(text.String(), fmt.Sprintf("%d reads", a.All.Reads)) {
		t.Errorf("%v\n%s", err, &text)
	}
	if out, err := json.Marshal(a); err != nil || !strings.Contains(string(out), `"steady_hit_ratio":0.`) {
		t.Errorf("%v %s", err, out)
	}
}

func TestBadConfig(t *testing.T) {
	for _, c := range []Config{{WarmUp: 1}, {WarmUp: -1}, {Batch: -1}} {
		if _, err := Run(t.Context(), &list{}, newMemory(), c); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
	if _, err := Dial("127.0.0.1:1", -1, 0); err == nil {
		t.Error("speed -1: no error")
	}
}

func BenchmarkGenerate(b *testing.B) {
	for _, name := range []string{"W1", "W4"} {
		b.Run(name, func(b *testing.B) {
			w, _ := FindWorkload(name)
			g, err := NewGenerator(w, Scale{Keys: 1_000_000, Requests: 1 << 60})
			if err != nil {
				b.Fatal(err)
			}
			var r Request
			for b.Loop() {
				g.Next(&r)
			}
		})
	}
}
