package loadgen

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// mostSlow bounds how many slow requests are kept until they are taken.
const mostSlow = 10_000

// Slow is a request that took longer than a threshold.
type Slow struct {
	Verb string        `json:"verb"`
	Key  uint64        `json:"key"`
	From time.Duration `json:"from_ns"` // when it was sent or due, since the run's start
	To   time.Duration `json:"to_ns"`   // when its last reply had come
}

// Interval is what Latencies has heard since it was last asked.
type Interval struct {
	Gets    Latency
	Changes Latency // sets, deletes, touches
	Slow    []Slow
}

// Latencies hears the latency of each request of a run, for someone who looks at
// them interval by interval. It may be used by many goroutines.
type Latencies struct {
	threshold time.Duration
	mu        sync.Mutex
	gets      *hdrhistogram.Histogram
	changes   *hdrhistogram.Histogram
	slow      []Slow
}

// NewLatencies keeps the requests that take longer than threshold one by one.
func NewLatencies(threshold time.Duration) *Latencies {
	return &Latencies{
		threshold: threshold,
		gets:      hdrhistogram.New(shortest, longest, digits),
		changes:   hdrhistogram.New(shortest, longest, digits),
	}
}

// Take gives what was heard since the last Take.
func (l *Latencies) Take() Interval {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := Interval{Gets: summarise(l.gets), Changes: summarise(l.changes), Slow: l.slow}
	l.gets.Reset()
	l.changes.Reset()
	l.slow = nil
	return taken
}

// answer hears of a request. The nil Latencies does not listen.
func (l *Latencies) answer(o *op, now int64) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.gets
	if o.verb != get {
		h = l.changes
	}
	record(h, now-o.start)
	if now-o.start > int64(l.threshold) && len(l.slow) < mostSlow {
		l.slow = append(l.slow, Slow{
			Verb: o.verb.String(), Key: o.asks[0].key, From: time.Duration(o.start), To: time.Duration(now),
		})
	}
}
