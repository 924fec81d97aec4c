package loadgen

import (
	"maps"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are kept from 1 us to a little over a minute, to three digits.
const (
	shortest = 1_000
	longest  = 100_000_000_000
	digits   = 3
)

// maxExamples bounds how many wrong values are described.
const maxExamples = 10

// counts is what one worker has seen. Of keys asked for, each is one of hits,
// misses, wrong, stale, or belongs to a refused get.
type counts struct {
	requests uint64 // answered
	keys     uint64 // in them
	stored   uint64
	deleted  uint64 // items; a delete may find none
	touched  uint64 // likewise
	hits     uint64 // value returned, every byte right and not too old
	misses   uint64
	wrong    uint64 // bytes, length or flags are not the key's
	stale    uint64 // a value that had been overwritten before the get was sent
	refused  uint64
	received uint64 // bytes
	sent     uint64 // bytes
	refusals map[string]uint64
	examples []string
	gets     *hdrhistogram.Histogram
	sets     *hdrhistogram.Histogram // and deletes and touches
	latency  *Latencies              // may be nil
}

func newCounts(l *Latencies) *counts {
	return &counts{
		latency:  l,
		refusals: make(map[string]uint64),
		gets:     hdrhistogram.New(shortest, longest, digits),
		sets:     hdrhistogram.New(shortest, longest, digits),
	}
}

// answer counts a request whose last reply has come.
func (c *counts) answer(o *op, now int64) {
	c.requests++
	c.keys += uint64(len(o.asks))
	h := c.gets
	if o.verb != get {
		h = c.sets
	}
	record(h, now-o.start)
	c.latency.answer(o, now)
}

// record clamps the time to what h holds, so that there is no error.
func record(h *hdrhistogram.Histogram, ns int64) {
	_ = h.RecordValue(min(max(ns, shortest), longest))
}

// refuse counts a request answered by an error, by the error's text.
func (c *counts) refuse(o *op, line []byte) {
	c.refused++
	// Looking a string(line) up does not allocate; only a new text does.
	if _, known := c.refusals[string(line)]; !known && len(c.refusals) >= 100 {
		line = []byte("other errors")
	}
	c.refusals[string(line)]++
}

func (c *counts) example(text string) {
	if len(c.examples) < maxExamples {
		c.examples = append(c.examples, text)
	}
}

func (c *counts) merge(o *counts) {
	c.requests += o.requests
	c.keys += o.keys
	c.stored += o.stored
	c.deleted += o.deleted
	c.touched += o.touched
	c.hits += o.hits
	c.misses += o.misses
	c.wrong += o.wrong
	c.stale += o.stale
	c.refused += o.refused
	c.received += o.received
	c.sent += o.sent
	maps.Copy(c.refusals, sum(c.refusals, o.refusals))
	for _, e := range o.examples {
		c.example(e)
	}
	c.gets.Merge(o.gets)
	c.sets.Merge(o.sets)
}

func sum(a, b map[string]uint64) map[string]uint64 {
	total := maps.Clone(a)
	for text, n := range b {
		total[text] += n
	}
	return total
}
