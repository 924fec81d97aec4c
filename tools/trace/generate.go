package trace

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/hearthcache/hearth/tools/seeded"
)

// Scale says how much of a workload is generated.
type Scale struct {
	// WorkingSet is the bytes of keys and values that are asked for at a time.
	// 0 means 1 GiB.
	WorkingSet int64
	// Keys is how many these are; 0 means as many as WorkingSet has.
	Keys uint64
	// Requests is how long the trace is; 0 means some for each key, by the
	// workload.
	Requests uint64
	// Seed of all that is random; 0 means 1.
	Seed uint64
}

// Generator makes a workload's requests. It is a Reader.
type Generator struct {
	w        *Workload
	seed     uint64
	requests uint64
	done     uint64
	interval float64 // nanoseconds between two requests
	rng      seeded.Rand
	popular  popularity
	spread   seeded.Permutation // of ranks over slots, so that new keys come at all ranks
	slots    []uint64           // rank to key; keys change
	next     uint64             // number of the next new key
	replaced uint64             // slots that have got a new key so far
	// Shares of the requests, or of the sets with newBySet, that bring a key
	// asked for once, and one that takes a slot.
	once, fresh float64
}

const (
	maxKeys  = 1 << 32
	megabyte = 1e6
)

// NewGenerator is of the workload at that scale.
func NewGenerator(w *Workload, s Scale) (*Generator, error) {
	if s.WorkingSet == 0 {
		s.WorkingSet = 1 << 30
	}
	if s.Seed == 0 {
		s.Seed = 1
	}
	if s.Keys == 0 {
		s.Keys = w.keysFor(float64(s.WorkingSet))
	}
	if s.Requests == 0 {
		s.Requests = uint64(w.perKey * float64(s.Keys))
	}
	if s.Keys < 1 || s.Keys > maxKeys || s.WorkingSet < 0 {
		return nil, fmt.Errorf("%d keys of %d bytes: want 1 to %d keys", s.Keys, s.WorkingSet, uint64(maxKeys))
	}
	g := &Generator{
		w: w, seed: s.Seed, requests: s.Requests, rng: seeded.NewRand(seeded.Mix(s.Seed)), next: s.Keys,
		spread: seeded.NewPermutation(s.Keys, s.Seed),
	}
	g.interval = float64(time.Second) / w.rateFor(s.Keys)
	g.once = w.oneHit * w.compulsory
	g.fresh = w.compulsory - g.once
	if w.newBySet {
		sets := w.shareOf(Set)
		g.once, g.fresh = g.once/sets, g.fresh/sets
	}
	g.choosePopularity(s.Keys)
	return g, nil
}

func (g *Generator) choosePopularity(keys uint64) {
	if g.w.alpha == 0 {
		g.popular = newShares(keys, g.w.hottest, g.w.shares)
		return
	}
	g.popular = seeded.NewZipf(g.w.alpha, keys)
	g.slots = make([]uint64, keys)
	for i := range g.slots {
		g.slots[i] = uint64(i)
	}
}

// keysFor is how many keys have so many bytes at a time. With newBySet most of
// them are of those that are set and never read again.
func (w *Workload) keysFor(bytes float64) uint64 {
	if w.newBySet {
		bytes *= 1 - w.oneHit
	}
	return uint64(math.Max(1, bytes/w.itemBytes()))
}

// rateFor is the rate of a cluster that has so many keys, as the production's
// cluster is to its working set. Without TTLs any rate will do.
func (w *Workload) rateFor(keys uint64) float64 {
	if w.workingMB == 0 {
		return 100_000
	}
	bytes := float64(keys) * w.itemBytes()
	if w.newBySet {
		bytes /= 1 - w.oneHit
	}
	return w.rate * bytes / (w.workingMB * megabyte)
}

// shareOf is the share of requests that are op.
func (w *Workload) shareOf(op Op) float64 {
	of, all := 0.0, 0.0
	for _, o := range w.ops {
		all += o.share
		if o.of == op {
			of = o.share
		}
	}
	return of / all
}

// Next makes the next request.
func (g *Generator) Next(r *Request) error {
	if g.done == g.requests {
		return io.EOF
	}
	op := pick(g.w.ops, g.rng.Float())
	key := g.key(op)
	for op == Incr && !g.w.isCounter(key) {
		key = g.ranked()
	}
	*r = Request{Time: time.Duration(float64(g.done) * g.interval), Op: op, Key: key}
	g.w.describe(r)
	g.done++
	return nil
}

// key chooses the key for an operation: one asked for this once, a new one in
// the slot whose turn it is, or that of a rank.
func (g *Generator) key(op Op) uint64 {
	if op == LoneGet {
		return g.newKey()
	}
	if u := g.rng.Float(); op == Set || !g.w.newBySet {
		switch {
		case u < g.once:
			return g.newKey()
		case u < g.once+g.fresh:
			return g.replace()
		}
	}
	return g.ranked()
}

// ranked is a key by its popularity.
func (g *Generator) ranked() uint64 {
	rank := g.popular.Draw(&g.rng)
	if g.slots == nil {
		return rank
	}
	return g.slots[rank]
}

func (g *Generator) newKey() uint64 {
	g.next++
	return g.next - 1
}

// replace gives the slot whose turn it is a new key.
func (g *Generator) replace() uint64 {
	slot := g.spread.At(g.replaced % uint64(len(g.slots)))
	g.replaced++
	g.slots[slot] = g.newKey()
	return g.slots[slot]
}

// describe fills in what belongs to the key's number.
func (w *Workload) describe(r *Request) {
	of := seeded.NewRand(seeded.Mix(r.Key))
	keys := pick(w.keys, of.Float())
	r.KeySize = keys.min + int(of.Below(uint64(keys.max-keys.min+1)))
	r.ValueSize = w.values.at(of.Float())
	if w.ttls != nil {
		r.TTL = pick(w.ttls, of.Float())
	}
	r.Counter = w.isCounter(r.Key)
}

func (w *Workload) isCounter(key uint64) bool {
	return w.counters > 0 && float64(seeded.Mix(key^0x636e74)>>11)/(1<<53) < w.counters
}
