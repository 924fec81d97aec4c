package oracle

import (
	"sync"
	"sync/atomic"
	"time"
)

// defaultSlack allows for a server's clock of whole seconds that is read once a
// second, and for a busy machine.
const defaultSlack = 3 * time.Second

// Options say what an Oracle watches.
type Options struct {
	// Keys is how many keys there are: the numbers below it.
	Keys int
	// Digits tells which keys hold numbers, for Incr. Nil: none.
	Digits func(key uint32) bool
	// Run goes into every value, so that those of another run are wrong.
	Run uint64
	// Slack is how much earlier or later than asked a value may expire, or a
	// delayed flush_all happen. 0 means 3 s.
	Slack time.Duration
	// Now is a monotonic clock. Nil means the time since New.
	Now func() time.Duration
	// OnBreach is told of every value that was not possible. It must not call
	// the oracle. Nil: only counted.
	OnBreach func(Breach)
}

// Oracle has the histories of all keys of one cache. Its methods and those of
// its Ops may be called from any goroutine, but for Restart.
type Oracle struct {
	run       uint64
	slack     time.Duration
	now       func() time.Duration
	digits    func(key uint32) bool
	onBreach  func(Breach)
	histories []history
	versions  atomic.Uint64
	flying    atomic.Int64  // Ops and Flushes that have not ended
	casMost   atomic.Uint64 // the highest CAS number that was seen

	mu     sync.Mutex // held by who replaces era
	era    atomic.Pointer[era]
	counts counts
}

// era is what holds for all keys. It is replaced, never changed.
type era struct {
	ends    []time.Duration // of the server's runs that are over
	flushes []flushed
	casMost uint64        // seen in them
	binding time.Duration // what was stored or seen after it must not be missed
}

// New is an oracle for a cache that is empty.
func New(options Options) *Oracle {
	o := &Oracle{
		run: options.Run, slack: options.Slack, now: options.Now, digits: options.Digits, onBreach: options.OnBreach,
		histories: make([]history, options.Keys),
	}
	if o.slack == 0 {
		o.slack = defaultSlack
	}
	if o.now == nil {
		start := time.Now()
		o.now = func() time.Duration { return time.Since(start) + 1 }
	}
	if o.digits == nil {
		o.digits = func(uint32) bool { return false }
	}
	o.era.Store(&era{binding: never})
	return o
}

// Begin says that an operation is about to be sent. ttl is for those that store
// or retime: 0 lives for ever.
func (o *Oracle) Begin(kind Kind, key uint32, ttl time.Duration) *Op {
	return o.begin(kind, key, ttl, Seen{})
}

// BeginCAS is Begin of a set that is to happen only if the value still is the
// one that was seen.
func (o *Oracle) BeginCAS(key uint32, ttl time.Duration, from Seen) *Op {
	return o.begin(CAS, key, ttl, from)
}

func (o *Oracle) begin(kind Kind, key uint32, ttl time.Duration, from Seen) *Op {
	h := &o.histories[key]
	op := &Op{
		o: o, h: h, kind: kind, key: key, ttl: ttl, from: from,
		digits: o.digits(key), settled: never, seenIn: -1,
	}
	if kind.kept() {
		op.version = o.versions.Add(1)
	}
	o.flying.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	op.begin, op.run, op.overBefore = o.now(), len(o.era.Load().ends), h.incrsOver
	h.active = append(h.active, op)
	if kind == Incr {
		h.incrs++
	}
	if kind.kept() {
		h.ops = append(h.ops, op)
	}
	return op
}

// Restart says that the server's process is gone, and that all Ops have been
// ended. keeps says that the next run is to have all that this one had, as
// after a graceful stop: then what must not be missed stays so.
func (o *Oracle) Restart(keeps bool) {
	if n := o.flying.Load(); n != 0 {
		panic("oracle: restart while operations are under way")
	}
	o.change(func(e *era) {
		now := o.now()
		e.ends = append(e.ends[:len(e.ends):len(e.ends)], now)
		if !keeps {
			e.unbind(now)
		}
		e.casMost = o.casMost.Load()
		e.forgetFlushes(o.slack, now)
	})
}

// ForbidMisses says that from now on nothing may be lost: a miss of what is
// stored, or seen, after this call is a breach.
func (o *Oracle) ForbidMisses() { o.change(func(e *era) { e.binding = o.now() }) }

// AllowMisses ends ForbidMisses.
func (o *Oracle) AllowMisses() { o.change(func(e *era) { e.binding = never }) }

func (o *Oracle) change(edit func(*era)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := *o.era.Load()
	edit(&e)
	o.era.Store(&e)
}

// unbind says that what was stored up to t may be missed.
func (e *era) unbind(t time.Duration) {
	if e.binding != never {
		e.binding = max(e.binding, t)
	}
}
