package oracle

import (
	"fmt"
	"strings"
	"sync/atomic"
)

// Verdict is what the oracle says of a reply.
type Verdict uint8

// The verdicts. Stale, Resurrected and Expired are all of values that were
// right once.
const (
	Fine        Verdict = iota
	Stale               // an older value
	Resurrected         // a value from before a delete, flush_all or refused set
	Expired             // a value whose time was over
	Wrong               // bytes that never were the value
	Lost                // a miss where one was forbidden
)

var verdictNames = [...]string{"fine", "stale", "resurrected", "expired", "wrong", "lost"}

// String is one word.
func (v Verdict) String() string { return verdictNames[v] }

// Breach is a reply that was not possible.
type Breach struct {
	Key     uint32
	Verdict Verdict
	Text    string // why it was not
	History string // the last operations on the key, a line each
}

// String is the breach with its key's history.
func (b *Breach) String() string {
	return fmt.Sprintf("%v: key %d: %s\n%s", b.Verdict, b.Key, b.Text, b.History)
}

// Counts are what an Oracle has judged so far.
type Counts struct {
	Ops      uint64 // that have ended
	Values   uint64 // returned, and checked
	Misses   uint64
	CameBack uint64 // values returned after a miss, though not stored again
	Breaches [len(verdictNames)]uint64
}

// Stale is how many values were returned that were right once.
func (c Counts) Stale() uint64 {
	return c.Breaches[Stale] + c.Breaches[Resurrected] + c.Breaches[Expired]
}

// Wrong is how many values were returned that never were right.
func (c Counts) Wrong() uint64 { return c.Breaches[Wrong] }

// Lost is how many forbidden misses there were.
func (c Counts) Lost() uint64 { return c.Breaches[Lost] }

type counts struct {
	ops, values, misses, cameBack atomic.Uint64
	breaches                      [len(verdictNames)]atomic.Uint64
}

// Counts gives the counts so far.
func (o *Oracle) Counts() Counts {
	n := &o.counts
	c := Counts{Ops: n.ops.Load(), Values: n.values.Load(), Misses: n.misses.Load(), CameBack: n.cameBack.Load()}
	for i := range c.Breaches {
		c.Breaches[i] = n.breaches[i].Load()
	}
	return c
}

func (t *trial) breach(v Verdict, text string) Verdict {
	t.o.counts.breaches[v].Add(1)
	if t.o.onBreach != nil {
		t.o.onBreach(Breach{Key: t.op.key, Verdict: v, Text: text, History: t.h.String() + t.era.String()})
	}
	return v
}

// String is the last ends of runs, and the flushes that are remembered.
func (e *era) String() string {
	var text strings.Builder
	for _, end := range e.ends[max(0, len(e.ends)-3):] {
		fmt.Fprintf(&text, "  %12.6f  end of a run of the server\n", end.Seconds())
	}
	for _, f := range e.flushes {
		fmt.Fprintf(&text, "  %12.6f to %12.6f  flush_all, answered: %t\n", f.begin.Seconds(), f.settled.Seconds(), f.answered)
	}
	return text.String()
}
