package hearth

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hearthcache/hearth/memtier"
)

// The RAM that index and buffers leave is divided between segments, which have what
// was written lately, and copies of flash values that are read again. Which of them
// deserves more is told by the reads from flash that a bit more of either would have
// spared: see memtier.Margin. What more gives here is about what less costs there,
// so memory moves to where it would have given clearly more.

const (
	balanceEvery  = 5 * time.Second
	balanceSettle = 250 * time.Millisecond // between two looks whether a move is done
	// balanceHits is how many spared reads there must be to judge by, and
	// balanceRounds after how many rounds fewer are forgotten.
	balanceHits   = 512
	balanceRounds = 12
	// Bounds of the share of copies, in percent: of Memory, and of what the index
	// leaves.
	hotLeastPercent, hotMostPercent = 2, 60
)

// Split tells how RAM is divided between segments and copies of flash values, and
// why.
type Split struct {
	Adapts    bool   // false where Options.HotPercent fixes it, and without flash
	Hot       int64  // bytes for copies
	Moves     uint64 // how often some went from one to the other
	Last, Why string // what was done when last judged: "to_fresh", "to_hot" or "stay"
	// FreshHits and HotHits are how many reads from flash one MiB more for
	// segments, or for copies, would have made hits in RAM, when last judged.
	FreshHits, HotHits float64
}

// balance moves the split. Only its loop, or a test, calls settle and weigh.
type balance struct {
	mem    *memtier.Tier
	memory *atomic.Int64
	want   atomic.Int64 // share of copies, bytes

	mu     sync.Mutex // guards what follows; held across a move
	seen   memtier.Margin
	rounds int
	told   Split
}

// balanceLoop judges the split now and then, and completes moves.
func (c *Cache) balanceLoop() {
	defer c.loops.Done()
	settle := time.NewTicker(balanceSettle)
	defer settle.Stop()
	weigh := time.NewTicker(balanceEvery)
	defer weigh.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-settle.C:
			c.balance.settle()
		case <-weigh.C:
			if c.balance.told.Adapts {
				c.balance.weigh()
			}
		}
	}
}

// settle goes on with a move that is not complete.
func (b *balance) settle() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if want := b.want.Load(); want != b.told.Hot {
		b.told.Hot = b.mem.MoveHot(want)
	}
}

// weigh judges by what there was since it last did, if that is enough.
func (b *balance) weigh() {
	m := b.mem.Margin()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &b.seen
	s.FreshHits, s.HotHits, s.Demoted = s.FreshHits+m.FreshHits, s.HotHits+m.HotHits, s.Demoted+m.Demoted
	s.Bytes, s.Room = m.Bytes, m.Room
	b.rounds++
	share := b.want.Load()
	to, why := judge(s, share, max(b.mem.HotLeast(), b.memory.Load()*hotLeastPercent/100))
	if why == tooFew && b.rounds < balanceRounds {
		return
	}
	mebibytes := float64(s.Bytes) / (1 << 20)
	b.told.FreshHits, b.told.HotHits = float64(s.FreshHits)/mebibytes, float64(s.HotHits)/mebibytes
	b.told.Last, b.told.Why = "stay", why
	if to != share {
		b.told.Moves++
		b.told.Last = "to_fresh"
		if to > share {
			b.told.Last = "to_hot"
		}
		b.want.Store(to)
		b.told.Hot = b.mem.MoveHot(to)
	}
	b.rounds, b.seen = 0, memtier.Margin{}
}

// Why the split is as it is.
const (
	tooFew       = "too_few_reads_to_judge"
	indexGrown   = "the_index_has_grown"
	hotGives     = "copies_would_give_more"
	freshGives   = "fresh_values_would_give_more"
	atBound      = "at_its_bound"
	nothingMoves = "too_little_is_written"
	evenly       = "both_give_alike"
)

// judge says what the share of copies should be, and why. It moves by half of the
// margin that was looked at.
func judge(m *memtier.Margin, share, least int64) (to int64, why string) {
	step, most := m.Bytes/2, max(least, m.Room*hotMostPercent/100)
	switch {
	case share > most:
		return most, indexGrown
	case m.FreshHits+m.HotHits < balanceHits:
		return share, tooFew
	case clearlyMore(m.HotHits, m.FreshHits):
		if share == most {
			return share, atBound
		}
		return min(most, share+step), hotGives
	case !clearlyMore(m.FreshHits, m.HotHits):
		return share, evenly
	case m.Demoted < step: // new room would stay empty
		return share, nothingMoves
	case share <= least:
		return share, atBound
	}
	return max(least, share-step), freshGives
}

// clearlyMore tells whether a is more than b by a quarter, and by more than chance
// would have it: both are sampled, one in so many.
func clearlyMore(a, b int64) bool {
	return a > b+b/4 && float64(a-b) > 2*math.Sqrt(float64((a+b)*memtier.GhostSample))
}

// split is the present state for Stats.
func (b *balance) split() Split {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.told
}
