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

// splitKeys is how many keys there are, written in turn: the index stays as it is.
const splitKeys = 80_000

func (s *splitTest) write() {
	it := Item{Key: fmt.Sprint(s.next % splitKeys), Value: make([]byte, 1000)}
	if err := s.c.Set(context.Background(), it); err != nil {
		s.t.Fatal(err)
	}
	s.next++
}

func (s *splitTest) read(i int) {
	if _, err := s.c.Get(context.Background(), fmt.Sprint(i%splitKeys)); err != nil && !errors.Is(err, ErrNotFound) {
		s.t.Fatal(err)
	}
}

// hits is the share of hits that were in RAM, over some rounds.
func (s *splitTest) hits(rounds int, round func()) float64 {
	before := s.c.Stats()
	for range rounds {
		round()
	}
	after := s.c.Stats()
	ram := after.HitsRAM + after.HitsHot - before.HitsRAM - before.HitsHot
	return float64(ram) / float64(ram+after.HitsFlash-before.HitsFlash)
}

// judged has the split judged after each of some rounds.
func (s *splitTest) judged(rounds int, round func()) {
	for range rounds {
		round()
		s.c.balance.weigh()
		for end := time.Now().Add(5 * time.Second); s.c.Stats().Split.Hot != s.c.balance.want.Load() && time.Now().Before(end); {
			s.c.balance.settle()
			time.Sleep(time.Millisecond)
		}
		if now := s.c.Stats(); held(&now) > now.Memory {
			s.t.Fatalf("%d of %d bytes in use: %+v", held(&now), now.Memory, now.Mem)
		}
	}
	s.t.Logf("%+v", s.c.Stats().Split)
}

// TestSplitFresh reads values the more often the later they were written, more of
// them than segments hold: those get more, and there are more hits.
func TestSplitFresh(t *testing.T) {
	ofAmounts(t)
	t.Parallel()
	s := newSplitTest(t)
	for range splitKeys {
		s.write()
	}
	round := func() {
		for range 6000 {
			s.write()
			s.read(s.next - 1 - s.rng.IntN(1+s.rng.IntN(40_000)))
		}
	}
	s.hits(15, round) // until there is a balance of what enters RAM and what leaves
	share, first := s.c.Stats().Split.Hot, s.hits(15, round)
	s.judged(12, round)
	if now, last := s.c.Stats().Split.Hot, s.hits(15, round); now > share*3/4 || last < first+0.005 {
		t.Errorf("copies had %d bytes and have %d, hits went from %.3f to %.3f", share, now, first, last)
	}
}

// TestSplitHot reads the same values on flash again and again, more than there is
// room for copies of: those get more, and there are more hits.
func TestSplitHot(t *testing.T) {
	ofAmounts(t)
	t.Parallel()
	s := newSplitTest(t)
	for range 60_000 {
		s.write()
	}
	round := func() {
		for i := range 16_000 {
			s.read(s.rng.IntN(1 + s.rng.IntN(16_000)))
			if i%20 == 0 {
				s.write()
			}
		}
	}
	share, first := s.c.Stats().Split.Hot, s.hits(3, round)
	s.judged(12, round)
	if now, last := s.c.Stats().Split.Hot, s.hits(3, round); now < share*4/3 || last < first+0.1 {
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
