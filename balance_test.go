package hearth

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hearthcache/hearth/memtier"
)

// TestJudge moves memory to where it gives clearly more, within bounds, and only
// where there is something to fill it.
func TestJudge(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		fresh, hot, demoted, share, room int64
		to                               int64
		why                              string
	}{
		{100, 200, 50 * mib, 10 * mib, 100 * mib, 10 * mib, tooFew},
		{1000, 1100, 50 * mib, 10 * mib, 100 * mib, 10 * mib, evenly},
		{300, 500, 50 * mib, 10 * mib, 100 * mib, 10 * mib, evenly}, // by chance
		{1000, 3000, 0, 10 * mib, 100 * mib, 12 * mib, hotGives},
		{1000, 3000, 0, 59 * mib, 100 * mib, 60 * mib, hotGives},
		{1000, 3000, 0, 60 * mib, 100 * mib, 60 * mib, atBound},
		{3000, 1000, 50 * mib, 10 * mib, 100 * mib, 8 * mib, freshGives},
		{3000, 1000, 50 * mib, 3 * mib, 100 * mib, 2 * mib, freshGives},
		{3000, 1000, 50 * mib, 2 * mib, 100 * mib, 2 * mib, atBound},
		{3000, 1000, 1 * mib, 10 * mib, 100 * mib, 10 * mib, nothingMoves},
		{0, 0, 0, 50 * mib, 50 * mib, 30 * mib, indexGrown},
	} {
		m := memtier.Margin{FreshHits: c.fresh, HotHits: c.hot, Demoted: c.demoted, Bytes: 4 * mib, Room: c.room}
		if to, why := judge(&m, c.share, 2*mib); to != c.to || why != c.why {
			t.Errorf("%+v: to %d, %s", c, to, why)
		}
	}
}

// splitTest is a cache whose split is judged when the test says so.
type splitTest struct {
	t    *testing.T
	c    *Cache
	rng  *rand.Rand
	next int
}

func newSplitTest(t *testing.T) *splitTest {
	c := openTest(t, Options{Memory: 32 << 20, FlashSize: 512 << 20, MaxItem: 64 << 10, HotPercent: 20, Backpressure: time.Minute})
	return &splitTest{t: t, c: c, rng: seeded(t)}
}

func (s *splitTest) write() {
	it := Item{Key: fmt.Sprint(s.next), Value: make([]byte, 1000)}
	if err := s.c.Set(context.Background(), it); err != nil {
		s.t.Fatal(err)
	}
	s.next++
}

func (s *splitTest) read(i int) {
	if _, err := s.c.Get(context.Background(), fmt.Sprint(i)); err != nil && !errors.Is(err, ErrNotFound) {
		s.t.Fatal(err)
	}
}

// judged has the split judged after each of some rounds, and gives the share of
// hits in RAM in the first three and in the last three.
func (s *splitTest) judged(rounds int, round func()) (first, last float64) {
	var hits []float64
	for range rounds {
		before := s.c.Stats()
		round()
		after := s.c.Stats()
		ram := after.HitsRAM + after.HitsHot - before.HitsRAM - before.HitsHot
		hits = append(hits, float64(ram)/float64(ram+after.HitsFlash-before.HitsFlash))
		s.c.balance.weigh()
		for end := time.Now().Add(5 * time.Second); s.c.Stats().Split.Hot != s.c.balance.want.Load() && time.Now().Before(end); {
			s.c.balance.settle()
			time.Sleep(time.Millisecond)
		}
		if held(&after) > after.Memory {
			s.t.Fatalf("%d of %d bytes in use: %+v", held(&after), after.Memory, after.Mem)
		}
	}
	for i := range 3 {
		first, last = first+hits[i]/3, last+hits[rounds-1-i]/3
	}
	s.t.Logf("hits in RAM %.3f, then %.3f; %+v", first, last, s.c.Stats().Split)
	return first, last
}

// TestSplitFresh reads each value once, when some megabytes more have been written
// than segments hold: they get more, and there are more hits.
func TestSplitFresh(t *testing.T) {
	t.Parallel()
	s := newSplitTest(t)
	for range 20_000 {
		s.write()
	}
	round := func() {
		for range 6000 {
			s.write()
			s.read(s.next - 8000 - s.rng.IntN(12_000))
		}
	}
	for range 3 {
		round()
	}
	share := s.c.Stats().Split.Hot
	first, last := s.judged(10, round)
	if now := s.c.Stats().Split.Hot; now > share/2 || last < first+0.008 {
		t.Errorf("copies had %d bytes and have %d, hits went from %.3f to %.3f", share, now, first, last)
	}
}

// TestSplitHot reads the same values on flash again and again, more than there is
// room for copies of: those get more, and there are more hits.
func TestSplitHot(t *testing.T) {
	t.Parallel()
	s := newSplitTest(t)
	for range 60_000 {
		s.write()
	}
	share := s.c.Stats().Split.Hot
	first, last := s.judged(15, func() {
		for i := range 16_000 {
			s.read(s.rng.IntN(1 + s.rng.IntN(16_000)))
			if i%20 == 0 {
				s.write()
			}
		}
	})
	if now := s.c.Stats().Split.Hot; now < share*4/3 || last < first+0.1 {
		t.Errorf("copies had %d bytes and have %d, hits went from %.3f to %.3f", share, now, first, last)
	}
}

// TestSplitAlone has nothing to adapt: a cache without flash, and one whose share
// of copies is fixed or none.
func TestSplitAlone(t *testing.T) {
	t.Parallel()
	for _, opts := range []Options{
		{Memory: 16 << 20}, {Memory: 32 << 20, FlashSize: 64 << 20, HotPercent: 20}, {Memory: 32 << 20, FlashSize: 64 << 20, HotPercent: -1},
	} {
		c := openTest(t, opts)
		if s := c.Stats().Split; s.Adapts {
			t.Errorf("%+v: %+v", opts, s)
		}
	}
	if s := openTest(t, Options{Memory: 32 << 20, FlashSize: 64 << 20}).Stats().Split; !s.Adapts {
		t.Errorf("by default %+v", s)
	}
}
