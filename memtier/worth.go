package memtier

import (
	"math/bits"
	"sync"
)

// Which records a segment that is emptied keeps. FIFO with reinsertion, as in
// CLOCK, S3-FIFO and Segcache, keeps what was read since it was last looked at.
// That takes a large value that was read once for as good as a small one, and
// lets go of a small one that has just not been read yet. Here each record has a
// worth, how often it was used to the square of which over its length
//
//	(1 + 4 uses)² / units
//
// twice that while it is young, as it has not had the time that others had to be
// used, and about half of what is emptied is kept, that of the most worth. As in
// GreedyDual-Size-Frequency and in LHD it is hits for the room taken that count;
// the square keeps large values that are read often, so that the share of bytes
// that hit does not pay for the share of requests that do.
//
// How much worth that takes is learned from the segments emptied lately, so that
// a record is looked at once. Where much is dead, because it was overwritten or
// deleted, all that is alive is within the half, and nothing has to leave.

const (
	// worthSteps is how many steps there are in a doubling of worth.
	worthSteps = 4
	// worths is above every worth.
	worths = worthSteps*(extentBits+9) + 1
	// keptSegments is of how many segments' emptying the threshold tells.
	keptSegments = 8
	// partOf is the whole of threshold.part.
	partOf = 256
)

// worth is that of a record of so many units with these access bits, in steps of
// the logarithm.
func worth(access uint, units uint64, gen generation) int {
	uses := access & readsMax
	if access&overwritten != 0 {
		uses++
	}
	w := worthSteps*extentBits + 2*steps(1+4*uint64(uses)) - steps(units)
	if gen == young {
		w += worthSteps
	}
	return w
}

// steps is the logarithm of x, not 0, to the base 2, in steps.
func steps(x uint64) int {
	whole := bits.Len64(x) - 1
	return worthSteps*whole + int(x<<2>>whole&3)
}

// threshold says what worth a record must have to be kept.
type threshold struct {
	least int // that is kept
	// part, in 256ths, is how much is kept of what was used and has one step less.
	part uint64
	// used has what was used kept, and nothing else: before anything was learned.
	used bool
}

// keeps tells whether a record is kept. The hash decides about those on the edge.
func (k threshold) keeps(access uint, worth int, hash uint64) bool {
	if k.used {
		return access > 0
	}
	return worth >= k.least || worth == k.least-1 && access > 0 && hash%partOf < k.part
}

// census counts units of records by worth.
type census [worths]uint64

// keeper learns the threshold.
type keeper struct {
	mu    sync.Mutex
	units census // alive in the segments emptied lately
	all   uint64 // units of those segments
	now   threshold
}

func (k *keeper) threshold() threshold {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == 0 {
		return threshold{used: true}
	}
	return k.now
}

// learn is told what was alive in a victim of so many units. What it was told
// before counts for less, by a share that grows with the victim.
func (k *keeper) learn(alive *census, used, segment uint64) {
	if used == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	fade := used + (keptSegments-1)*segment
	for i := range k.units {
		k.units[i] += alive[i] - k.units[i]*used/fade
	}
	k.all += used - k.all*used/fade
	k.now = k.units.threshold(k.all / 2)
}

// threshold is the one above which at most so many units are.
func (c *census) threshold(most uint64) threshold {
	for w := worths - 1; w >= 0; w-- {
		if c[w] > most {
			return threshold{least: w + 1, part: most * partOf / c[w]}
		}
		most -= c[w]
	}
	return threshold{}
}
