package flashtier

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A latency is counted in microseconds, in buckets of a fourth of a power of two,
// so that a quantile is at most a fifth too high.
const (
	latencySteps    = 4
	latencyStepBits = 2
	// LatencyBuckets is how many buckets there are; the last takes all above.
	LatencyBuckets = 26 * latencySteps
)

// inlineSample is how many of the reads that are done as soon as they are
// submitted there are for one that is timed: such a read costs little more than
// two looks at the clock.
const inlineSample = 16

// epoch is what times are told from: time.Since of it reads one clock, time.Now
// two.
var epoch = time.Now()

// latencies counts how long reads took. It is for any number of goroutines.
type latencies struct {
	buckets [LatencyBuckets]atomic.Uint64
	micros  atomic.Uint64
	inline  atomic.Uint32
}

// begin is when a read that may be done inline is submitted, or 0 if it is not
// among those that are timed.
func (l *latencies) begin() time.Duration {
	if l.inline.Add(1)%inlineSample == 0 {
		return time.Since(epoch)
	}
	return 0
}

// add counts n reads that took so long.
func (l *latencies) add(took time.Duration, n uint64) {
	us := uint64(max(0, took.Microseconds()))
	l.buckets[latencyBucket(us)].Add(n)
	l.micros.Add(us * n)
}

func latencyBucket(us uint64) int {
	if us < latencySteps {
		return int(us)
	}
	log := bits.Len64(us) - 1 - latencyStepBits
	return min(log*latencySteps+int(us>>log), LatencyBuckets-1)
}

// Latency is a look at how long reads took.
type Latency struct {
	Counts [LatencyBuckets]uint64 // reads by bucket
	Micros uint64                 // microseconds of all of them together
}

// LatencyBound is the least time that is too long for bucket i.
func LatencyBound(i int) time.Duration {
	us := uint64(i + 1)
	if i >= latencySteps {
		log := i/latencySteps - 1
		us = uint64(latencySteps+i%latencySteps+1) << log
	}
	return time.Duration(us) * time.Microsecond
}

// Reads is how many there were.
func (l *Latency) Reads() (n uint64) {
	for _, c := range l.Counts {
		n += c
	}
	return n
}

// Quantile is a time within which the share q of the reads was done, 0 without
// reads.
func (l *Latency) Quantile(q float64) time.Duration {
	left := uint64(q * float64(l.Reads()))
	for i, n := range l.Counts {
		if n > 0 && left <= n {
			return LatencyBound(i)
		}
		left -= n
	}
	return 0
}

func (l *latencies) look() (s Latency) {
	for i := range l.buckets {
		s.Counts[i] = l.buckets[i].Load()
	}
	s.Micros = l.micros.Load()
	return s
}
