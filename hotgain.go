package hearth

import "sync/atomic"

// hotGain decides how much is spent on hot values, by what they give. To ask for
// one and to offer one cost together about as much as a third of a read from the
// page cache, in vain where every value is as likely to be read as any other.
// So while less than one lookup in hotWorth hits, only one in hotSample is made;
// that is enough to notice when it changes.
type hotGain struct {
	asked, hits atomic.Uint64 // since the last weigh
	rereads     atomic.Uint64 // reads from flash of values that had been read before
	sparing     atomic.Bool
}

const (
	hotWorth  = 32
	hotSample = 16
	// hotWeigh is how many lookups there must have been to judge by.
	hotWeigh = 1000
	// hotOffers is how many reads of values that had been read before there are
	// for each that is offered. What is read often enough to be worth its RAM is
	// soon among them.
	hotOffers = 8
)

// tries tells whether the hot values are to be asked for a value.
func (g *hotGain) tries() bool {
	n := g.asked.Add(1)
	return !g.sparing.Load() || n%hotSample == 0
}

// offers tells whether a value that was read again is to be offered.
func (g *hotGain) offers() bool {
	every := uint64(hotOffers)
	if g.sparing.Load() {
		every *= hotSample
	}
	return g.rereads.Add(1)%every == 0
}

// weigh looks at what there was since it last did, if that is enough. Only one
// goroutine calls it.
func (g *hotGain) weigh() {
	asked := g.asked.Load()
	if g.sparing.Load() {
		asked /= hotSample
	}
	if asked < hotWeigh {
		return
	}
	g.sparing.Store(g.hits.Load()*hotWorth < asked)
	g.asked.Store(0)
	g.hits.Store(0)
}
