package oracle

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random tests (0: from the clock)")

func randomSeed(t *testing.T) uint64 {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	return seed
}

// world is a cache of one key in which every operation happens at one step
// between its begin and its end, and a number of clients that use it.
type world struct {
	*rand.Rand
	o       *Oracle
	now     time.Duration
	digits  bool
	clients []client
	value   []byte   // nil: absent
	made    []*event // the changes that value is made of
	past    []event  // changes that were answered
	old     []memory // values of the past
	breach  []Breach
	kills   int
}

// client has at most one operation under way.
type client struct {
	op    *Op
	flush *Flush
	event event
	did   bool // it has happened
	found bool
	value []byte
	seen  Seen
	last  []byte // the value of seen
}

type event struct {
	kind       Kind
	begin, end time.Duration
}

// memory is a value of the past, and when the last change in it was over.
type memory struct {
	value []byte
	made  []*event
}

func newWorld(seed uint64, clients int, digits bool) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 1)), digits: digits, clients: make([]client, clients), now: 1}
	w.o = New(Options{
		Keys: 1, Run: seed, Digits: func(uint32) bool { return digits },
		Now:      func() time.Duration { return w.now },
		OnBreach: func(b Breach) { w.breach = append(w.breach, b) },
	})
	return w
}

func (w *world) step() {
	w.now++
	if w.IntN(2000) == 0 {
		w.kill()
		return
	}
	c := &w.clients[w.IntN(len(w.clients))]
	switch {
	case c.op == nil && c.flush == nil:
		w.begin(c)
	case !c.did:
		w.happen(c)
	default:
		w.end(c)
	}
}

func (w *world) begin(c *client) {
	if w.IntN(100) == 0 {
		c.flush, c.event = w.o.BeginFlush(0), event{kind: Delete, begin: w.now}
		return
	}
	kinds := []Kind{Get, Get, Get, Get, Get, Set, Set, Add, CAS, Append, Append, Prepend, Delete}
	if w.digits {
		kinds = []Kind{Get, Get, Get, Get, Set, Incr, Incr, Incr, Incr, Incr, CAS, Delete}
	}
	c.event = event{kind: kinds[w.IntN(len(kinds))], begin: w.now}
	if c.event.kind == CAS && c.last == nil {
		c.event.kind = Set
	}
	if c.event.kind == CAS {
		c.op = w.o.BeginCAS(0, 0, c.seen)
	} else {
		c.op = w.o.Begin(c.event.kind, 0, 0)
	}
}

// happen lets the client's operation take effect.
func (w *world) happen(c *client) {
	c.did, c.found, c.value = true, w.value != nil, w.value
	if c.flush != nil {
		w.become(nil)
		return
	}
	own := func() []byte { return c.op.Value(nil, ChunkSize+w.IntN(40)) }
	switch c.event.kind {
	case Set:
		w.become(own(), &c.event)
	case Add:
		if !c.found {
			w.become(own(), &c.event)
		}
	case CAS:
		c.found = w.value != nil && string(w.value) == string(c.last)
		if c.found {
			w.become(own(), &c.event)
		}
	case Append, Prepend:
		if c.found && len(w.value) < 2000 {
			value := slices.Concat(w.value, own())
			if c.event.kind == Prepend {
				value = slices.Concat(own(), w.value)
			}
			w.become(value, append(slices.Clone(w.made), &c.event)...)
		} else {
			c.found = false
		}
	case Incr:
		if c.found {
			var n uint64
			fmt.Sscan(string(w.value), &n)
			c.value = fmt.Append(nil, n+1)
			w.become(c.value, append(slices.Clone(w.made), &c.event)...)
		}
	case Delete:
		w.become(nil)
	}
}

func (w *world) become(value []byte, made ...*event) {
	if w.value != nil {
		w.old = append(w.old, memory{w.value, w.made})
		w.old = w.old[max(0, len(w.old)-50):]
	}
	// The client's event is reused: keep a copy, which end completes.
	for i, e := range made {
		if i == len(made)-1 {
			copied := *e
			copied.end = never
			made[i] = &copied
		}
	}
	w.value, w.made = value, made
}

func (w *world) end(c *client) {
	op, flush, found, value := c.op, c.flush, c.found, c.value
	c.event.end = w.now
	for _, m := range append(w.old, memory{w.value, w.made}) {
		for _, e := range m.made {
			if e.begin == c.event.begin {
				e.end = w.now
			}
		}
	}
	c.op, c.flush, c.did = nil, nil, false
	switch {
	case flush != nil:
		flush.Applied()
	case c.event.kind == Get && found:
		c.seen, _ = op.Got(value)
		c.last = value
		return
	case c.event.kind == Add && found, c.event.kind == CAS && !found:
		op.NotApplied()
		return
	case c.event.kind == Delete && !found:
		op.Absent()
	case c.event.kind != Set && c.event.kind != Add && !found:
		op.Absent()
		return
	case c.event.kind == Incr:
		var n uint64
		fmt.Sscan(string(value), &n)
		op.Number(n)
		return
	default:
		op.Applied()
	}
	w.past = append(w.past, c.event)
	w.past = w.past[max(0, len(w.past)-50):]
}

// kill ends the server's run. It may forget the value, if only altogether.
func (w *world) kill() {
	w.kills++
	for i := range w.clients {
		c := &w.clients[i]
		if c.op != nil {
			c.op.Unknown()
		} else if c.flush != nil {
			c.flush.Unknown()
		}
		c.op, c.flush, c.did = nil, nil, false
	}
	w.now++
	w.o.Restart(false)
	if w.IntN(2) == 0 {
		w.become(nil)
	}
}

// lie returns a value of the past of which it is certain that it was replaced,
// and tells whether there was one.
func (w *world) lie() (told bool, v Verdict) {
	w.now++
	for _, m := range w.old {
		over := time.Duration(0)
		for _, e := range m.made {
			over = max(over, e.end)
		}
		replaced := slices.ContainsFunc(w.past, func(e event) bool {
			return e.kind != Append && e.kind != Prepend && e.begin > over && e.end < w.now
		})
		if replaced {
			op := w.o.Begin(Get, 0, 0)
			w.now++
			_, v := op.Got(m.value)
			return true, v
		}
	}
	return false, Fine
}

// TestHonest: what a cache that is right returns is never called impossible.
func TestHonest(t *testing.T) {
	seed := randomSeed(t)
	kills := 0
	for i := range uint64(20) {
		w := newWorld(seed+i, 1+int(i)%7, i%3 == 0)
		for range 10_000 {
			w.step()
		}
		if len(w.breach) > 0 {
			t.Fatalf("seed %d, %d clients, digits %t: %v", seed+i, len(w.clients), w.digits, &w.breach[0])
		}
		if n := w.o.Counts(); n.Values < 200 {
			t.Errorf("seed %d: %d values", seed+i, n.Values)
		}
		kills += w.kills
	}
	if kills < 20 {
		t.Errorf("seed %d: %d kills", seed, kills)
	}
}

// TestLies: a value of which is certain that it was replaced is always found.
func TestLies(t *testing.T) {
	seed := randomSeed(t)
	lies := 0
	for i := range uint64(20) {
		w := newWorld(seed+i, 1+int(i)%7, i%3 == 0)
		for range 3_000 {
			w.step()
			if w.IntN(50) > 0 {
				continue
			}
			if told, v := w.lie(); told {
				lies++
				if v == Fine {
					t.Fatalf("seed %d: a lie was believed\n%v", seed+i, &w.o.histories[0])
				}
			}
		}
		if n := int(w.o.Counts().Stale()); n != len(w.breach) {
			t.Fatalf("seed %d: %d stale, %d breaches: %v", seed+i, n, len(w.breach), &w.breach[0])
		}
	}
	if lies < 100 {
		t.Errorf("only %d lies", lies)
	}
}

// TestPruning: a history stays small however long it gets.
func TestPruning(t *testing.T) {
	seed := randomSeed(t)
	for _, digits := range []bool{false, true} {
		w := newWorld(seed, 6, digits)
		most := 0
		for range 30_000 {
			w.step()
			h := &w.o.histories[0]
			most = max(most, len(h.ops)+len(h.seen)+len(w.o.era.Load().flushes))
		}
		if h := &w.o.histories[0]; most > 100 || cap(h.ops) > 100 || cap(h.seen) > 100 {
			t.Errorf("a history of up to %d operations, now with room for %d and %d", most, cap(h.ops), cap(h.seen))
		}
	}
}

// TestForgetting: each of these is forgotten, however often it is repeated.
func TestForgetting(t *testing.T) {
	for _, row := range []struct{ before, again string }{
		{"", "set! a"},
		{"set a", "set! b; get! b"},
		{"set! a; append b", "get! a b"},
		{"set! a", "touch! t ttl=5"},
		{"set! a", "gat g; got g a"},
		{"set! a", "delete! d"},
		{"set! a; append! b", "flush f; ok f"},
		{"", "append! b; flush f; ok f; stop"},
		{"", "flush f 5; lost f; kill"},
		{"", "touch t; lost t; kill; set! a"},
		{"", "set a; lost a; kill; set! b"},
		{"forbid; set! a", "get g; absent g; stop"},
		{"forbid; set! a", "get! a; stop"},
	} {
		s := newScript(t, false)
		if row.before != "" {
			s.run(row.before)
		}
		for range 50 {
			s.run(row.again)
		}
		h, flushes := &s.o.histories[0], s.o.era.Load().flushes
		if len(h.ops) > 4 || len(h.seen) > 4 || len(flushes) > 4 && !strings.HasSuffix(row.again, "f") {
			t.Errorf("%q: %d operations, %d sights and %d flushes remembered", row.again, len(h.ops), len(h.seen), len(flushes))
		}
	}
}

// TestConcurrent is for the race detector: many clients of one map.
func TestConcurrent(t *testing.T) {
	const clients, keys = 8, 4
	o := New(Options{Keys: keys, OnBreach: func(b Breach) { t.Error(&b) }})
	var shared [keys]chan []byte // each holds the key's value
	for i := range shared {
		shared[i] = make(chan []byte, 1)
		shared[i] <- nil
	}
	done := make(chan bool)
	for i := range clients {
		go func() {
			defer func() { done <- true }()
			r := rand.New(rand.NewPCG(uint64(i), 2))
			for range 2000 {
				key := uint32(r.IntN(keys))
				kind := []Kind{Get, Get, Set, Delete}[r.IntN(4)]
				op := o.Begin(kind, key, 0)
				value := <-shared[key]
				switch kind {
				case Get:
					shared[key] <- value
					if value != nil {
						op.Got(value)
					} else {
						op.Absent()
					}
				case Set:
					shared[key] <- op.Value(nil, 100)
					op.Applied()
				case Delete:
					shared[key] <- nil
					if value != nil {
						op.Applied()
					} else {
						op.Absent()
					}
				}
			}
		}()
	}
	for range clients {
		<-done
	}
	if n := o.Counts(); n.Ops != clients*2000 {
		t.Errorf("%d operations, want %d", n.Ops, clients*2000)
	}
}
