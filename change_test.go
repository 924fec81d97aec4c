package hearth

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hearthcache/hearth/memtier"
)

// known is what a plain model of memcached's rules has of an item.
type known struct {
	value                 []byte
	flags, exptime        uint32
	cas                   uint64
	stale, token, fetched bool
	reopened              bool // that it was fetched may have been forgotten
}

func (e *known) String() string {
	if e == nil {
		return "nothing"
	}
	return fmt.Sprintf("%d bytes %.30q flags %d exptime %d cas %d stale %v token %v fetched %v reopened %v", len(e.value), e.value,
		e.flags, e.exptime, e.cas, e.stale, e.token, e.fetched, e.reopened)
}

// brief is what a change was asked.
func brief(ch *Change) string {
	return fmt.Sprintf("verb %d %d bytes %.30q flags %d exptime %d delta %d compare %v %d new %d invalidate %v drop %v exptime %v vivify %v %d %d token %v",
		ch.Verb, len(ch.Value), ch.Value, ch.Flags, ch.Exptime, ch.Delta, ch.Compare, ch.Expect, ch.NewCAS, ch.Invalidate,
		ch.DropValue, ch.SetExptime, ch.Vivify, ch.Initial, ch.VivifyExptime, ch.TokenSent)
}

// world does changes of all kinds at random, with every field that a Change has,
// on a cache and on a plain model, and closes, kills and opens the cache.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	opts    Options
	dir     string
	c       *Cache
	wake    waiter
	clock   atomic.Int64
	items   map[string]*known
	room    bool
	cas     uint64         // the last that the cache chose
	seen    map[Status]int // outcomes
	ch      Change
	look    Lookup
	from    [2]int // hits in RAM and on flash
	demoted uint64
}

func newWorld(t *testing.T, opts Options, room bool) *world {
	w := &world{t: t, rng: seeded(t), opts: quiet(opts), dir: t.TempDir(), wake: make(waiter, 1),
		items: map[string]*known{}, room: room, seen: map[Status]int{}}
	w.clock.Store(2_000_000_000)
	w.opts.Clock = func() time.Time { return time.Unix(w.clock.Load(), 0) }
	if opts.FlashSize == 0 {
		w.opts.MemoryFile = filepath.Join(w.dir, "memory")
	}
	w.open()
	return w
}

func (w *world) open() {
	w.t.Helper()
	c, err := Open(w.dir, w.opts)
	if err != nil {
		w.t.Fatal(err)
	}
	w.c = c
	for _, e := range w.items {
		e.reopened = true
	}
}

// kill ends the cache as a SIGKILL does, but for writes that are under way.
func (w *world) kill() {
	w.t.Helper()
	c := w.c
	c.closed.Store(true)
	close(c.stop)
	c.loops.Wait()
	err := errors.Join(c.closeFlash(), c.mem.Close())
	if c.image != nil {
		err = errors.Join(err, c.dropImage())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.open()
	room := w.room
	w.room = false // what was in RAM only is lost
	w.checkAll()
	w.room = room
}

// live is the model's item, nil if there is none.
func (w *world) live(key string) *known {
	e := w.items[key]
	if e != nil && e.exptime != 0 && e.exptime <= w.c.Now() {
		delete(w.items, key)
		return nil
	}
	return e
}

// find looks a key up to the end.
func (w *world) find(key string, a Access) ([]byte, Meta, Status) {
	value, m, st := w.c.FindWith([]byte(key), a, nil)
	if st != Pending {
		w.from[0]++
		return value, m, st
	}
	w.look.StartWith(w.c, []byte(key), a, m, w.wake, 0)
	for value, m, st = w.look.Step(nil); st == Pending; value, m, st = w.look.Step(nil) {
		<-w.wake
	}
	w.from[1]++
	return value, m, st
}

// check looks a key up and holds what comes against the model.
func (w *world) check(key string, a Access) {
	w.t.Helper()
	e := w.live(key)
	value, m, st := w.find(key, a)
	switch {
	case st == Miss && e == nil:
		return
	case st == Miss:
		w.lost(key)
		return
	case st != Hit || e == nil:
		w.t.Fatalf("%s: %v with %d bytes, in the model: %v", key, st, len(value), e)
	}
	if m.Before != e.exptime {
		w.t.Fatalf("%s: expiry time %d before, want %v", key, m.Before, e)
	}
	if a.Touch {
		e.exptime = a.Exptime
	}
	if why := e.differs(m); why != "" || !bytes.Equal(value, e.value) {
		w.t.Fatalf("%s: %.40q, want %v: %s", key, value, e, why)
	}
	e.fetched = e.fetched || !a.Peek
	if !a.Peek {
		e.reopened = false
	}
}

// differs tells in what m is not what it should be.
func (e *known) differs(m Meta) string {
	forgot := e.fetched && !m.Fetched && e.reopened
	if m.Flags != e.flags || m.Exptime != e.exptime || m.CAS != e.cas || m.Size != len(e.value) ||
		m.Stale != e.stale || m.TokenSent != e.token || m.Fetched != e.fetched && !forgot {
		return fmt.Sprintf("%+v, want %v", m, e)
	}
	e.fetched = m.Fetched
	return ""
}

func (w *world) lost(key string) {
	w.t.Helper()
	if w.room {
		w.t.Fatalf("%s was lost though there is room", key)
	}
	delete(w.items, key)
}

func (w *world) checkAll() {
	w.t.Helper()
	for key := range w.items {
		w.check(key, Access{Peek: true})
	}
}

func (w *world) value() []byte {
	if w.rng.IntN(3) == 0 {
		return strconv.AppendUint(nil, w.rng.Uint64()>>w.rng.IntN(64), 10)
	}
	b := make([]byte, w.rng.IntN(40_000))
	for i := range b {
		b[i] = byte('a' + i%26)
	}
	return b
}

func (w *world) exptime() uint32 {
	switch w.rng.IntN(8) {
	case 0:
		return w.c.Now() + uint32(w.rng.IntN(10))
	case 1, 2:
		return w.c.Now() + 1000 + uint32(w.rng.IntN(1000))
	}
	return 0
}

func (w *world) coin(n int) bool { return w.rng.IntN(n) == 0 }

func (w *world) step() {
	key := "key-" + strconv.Itoa(w.rng.IntN(3000))
	switch n := w.rng.IntN(100); {
	case n < 30:
		w.check(key, Access{Peek: w.coin(3), Touch: w.coin(4), Exptime: w.exptime()})
	case n < 31:
		w.c.advance(uint32(w.clock.Add(int64(w.rng.IntN(2)))))
	default:
		w.change(key)
	}
}

// change does a change of any kind.
func (w *world) change(key string) {
	w.t.Helper()
	if w.live(key) != nil {
		w.check(key, Access{Peek: true}) // settles whether it was evicted
	}
	e := w.live(key)
	was := w.ch
	w.ch = Change{
		Verb: Verb(1 + w.rng.IntN(int(Claim))), Key: []byte(key), Value: w.value(), Flags: w.rng.Uint32(), Exptime: w.exptime(),
		Delta: w.rng.Uint64() >> w.rng.IntN(64), Compare: w.coin(2), Invalidate: w.coin(3), DropValue: w.coin(3),
		SetExptime: w.coin(3), Vivify: w.coin(2), Initial: w.rng.Uint64() >> w.rng.IntN(64), VivifyExptime: w.exptime(),
		TokenSent: w.coin(3), w: was.w,
	}
	ch := &w.ch
	if w.coin(2) {
		ch.Verb, ch.Compare = Set, w.coin(6)
	}
	if w.coin(5) {
		ch.NewCAS = 1 + w.rng.Uint64()>>w.rng.IntN(64)
	}
	if e != nil {
		ch.Expect = e.cas + uint64(max(0, w.rng.IntN(5)-2)) - 1
	}
	st := ch.Start(w.c, w.wake, 0)
	for st == Pending {
		<-w.wake
		st = ch.Step()
	}
	w.seen[st]++
	why := w.became(ch, key, e, st)
	if why != "" && !w.room && e != nil { // it may have been evicted meanwhile
		delete(w.items, key)
		if w.became(ch, key, nil, st) == "" {
			why = ""
		}
	}
	if why != "" {
		w.t.Fatalf("%s: %s\nof %v: %s", key, brief(ch), e, why)
	}
}

// became makes the model what a change of e has made of the item, and tells what
// is wrong if that is not what it should be.
func (w *world) became(ch *Change, key string, e *known, st Status) string {
	was, m := e, ch.Meta()
	if b, ok := ch.Before(); was != nil && (!ok || b.Exptime != was.exptime || b.CAS != 0 && (b.CAS != was.cas || b.Size != len(was.value))) {
		return fmt.Sprintf("it was %+v", b)
	}
	want, e := expected(ch, e)
	n, ok := uint64(0), true
	switch {
	case st != want:
		return fmt.Sprintf("outcome %d, want %d", st, want)
	case e == nil && (ch.CAS != 0 || m.CAS != 0 || m.Size != 0):
		return fmt.Sprintf("nothing is stored, and it says %d, %+v", ch.CAS, m)
	case e == nil:
		if st == Deleted {
			delete(w.items, key)
		}
		return ""
	case was != nil && m.Before != was.exptime: // of what is now
		return fmt.Sprintf("expiry time %d before, want %d", m.Before, was.exptime)
	case e.cas == 0 && ch.CAS <= w.cas: // the cache's to choose
		return fmt.Sprintf("CAS %d after %d", ch.CAS, w.cas)
	case e.cas != 0 && e.cas != ch.CAS:
		return fmt.Sprintf("CAS %d, want %d", ch.CAS, e.cas)
	case ch.Verb == Incr || ch.Verb == Decr:
		n, ok = memtier.ParseNumber(e.value)
	}
	if !ok || n != ch.Number {
		return fmt.Sprintf("number %d, want %v", ch.Number, e)
	}
	chosen := e.cas == 0
	e.cas = ch.CAS
	if why := e.differs(m); why != "" {
		return why
	}
	if chosen {
		w.cas = ch.CAS
	}
	w.items[key] = e
	return ""
}

// expected is what memcached makes of a change: the outcome, and the item as it
// then is, with CAS 0 where the cache chooses one.
func expected(ch *Change, e *known) (Status, *known) {
	fresh := &known{value: ch.Value, flags: ch.Flags, exptime: ch.Exptime, cas: ch.NewCAS}
	compare := ch.Compare || ch.Verb == CompareAndSwap
	switch {
	case ch.Verb == Touch:
		if e == nil {
			return NotFound, nil
		}
		touched := *e
		touched.exptime, touched.fetched = ch.Exptime, true
		return Touched, &touched
	case e == nil:
		return expectedNew(ch, fresh, compare)
	case ch.Verb == Add:
		return NotStored, nil
	case (ch.Verb == Incr || ch.Verb == Decr) && len(e.value) == 0:
		return NotNumeric, nil
	}
	late := compare && ch.Expect != e.cas
	if late && (!ch.Invalidate || ch.Expect > e.cas || ch.Verb != Set && ch.Verb != Replace && ch.Verb != CompareAndSwap) {
		return Exists, nil
	}
	switch ch.Verb {
	case Set, Replace, CompareAndSwap:
		fresh.token, fresh.fetched = ch.TokenSent, ch.TokenSent
		if late {
			fresh.exptime, fresh.stale, fresh.token, fresh.fetched = e.exptime, true, e.token, false
		}
		return Stored, fresh
	case Delete:
		return expectedDelete(ch, e, fresh)
	}
	return expectedUpdate(ch, *e)
}

func expectedNew(ch *Change, fresh *known, compare bool) (Status, *known) {
	fresh.token, fresh.fetched = ch.TokenSent, ch.TokenSent
	switch ch.Verb {
	case Add:
		return Stored, fresh
	case Set:
		if compare {
			return NotFound, nil
		}
		return Stored, fresh
	case Replace:
		if compare {
			return NotFound, nil
		}
		return NotStored, nil
	}
	fresh.exptime, fresh.token, fresh.fetched = ch.VivifyExptime, false, false
	switch ch.Verb {
	case Append, Prepend:
		if ch.Vivify {
			return Stored, fresh
		}
		return NotStored, nil
	case Incr, Decr:
		if ch.Vivify {
			fresh.value = strconv.AppendUint(nil, ch.Initial, 10)
			return Stored, fresh
		}
	}
	return NotFound, nil
}

func expectedDelete(ch *Change, e, fresh *known) (Status, *known) {
	switch {
	case ch.DropValue && ch.Invalidate:
		fresh.value, fresh.stale = nil, true
		return Stored, fresh
	case ch.DropValue:
		if fresh.value = nil; ch.NewCAS == 0 {
			fresh.cas = e.cas
		}
		return Deleted, fresh
	case ch.Invalidate:
		marked := *e
		marked.cas, marked.stale, marked.token = ch.NewCAS, true, false
		if ch.SetExptime {
			marked.exptime = ch.Exptime
		}
		return Stored, &marked
	}
	return Deleted, nil
}

func expectedUpdate(ch *Change, e known) (Status, *known) {
	if ch.Verb == Claim {
		if e.token {
			return NotStored, nil
		}
		e.token = true
		if ch.SetExptime {
			e.exptime = ch.Exptime
		}
		return Stored, &e
	}
	was := e
	e.cas = ch.NewCAS
	if ch.SetExptime {
		e.exptime = ch.Exptime
	}
	switch ch.Verb {
	case Append:
		e.value = append(bytes.Clone(was.value), ch.Value...)
	case Prepend:
		e.value = append(bytes.Clone(ch.Value), was.value...)
	default:
		n, ok := memtier.ParseNumber(was.value)
		if !ok {
			return NotNumeric, nil
		}
		text := strconv.AppendUint(nil, memtier.Advance(n, ch.Delta, ch.Verb == Decr), 10)
		if pad := len(was.value) - len(text); pad >= 0 {
			e.value = append(text, bytes.Repeat([]byte(" "), pad)...)
			return Stored, &e
		}
		e.value = text
	}
	if len(ch.Key)+len(e.value) > 64<<10 {
		return NotStored, nil
	}
	e.stale, e.token, e.fetched = false, false, false // it counts as a new value
	return Stored, &e
}

// TestChanges does every kind of change at random, on items in RAM, on their way
// to flash and there, across restarts and crashes.
func TestChanges(t *testing.T) {
	for _, s := range settings {
		if s.name == "direct" || s.name == "uring" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s.opts, s.room)
			rounds, steps := 4, 5000
			if testing.Short() {
				rounds, steps = 3, 2000
			}
			for round := range rounds {
				for range steps {
					w.step()
				}
				w.demoted += w.c.Stats().Demoted
				switch {
				case round%2 == 1 && s.flash:
					w.kill()
				default:
					if err := w.c.Close(); err != nil {
						t.Fatal(err)
					}
					w.open()
					w.checkAll()
				}
			}
			t.Logf("%d items, %d hits in RAM, %d on flash, demoted %d, outcomes %v", len(w.items), w.from[0], w.from[1], w.demoted, w.seen)
			if s.flash && (w.from[1] == 0 || w.demoted == 0 && !testing.Short()) {
				t.Error("flash was not used but at restarts")
			}
			for st := Stored; st < TooLarge; st++ {
				if w.seen[st] == 0 {
					t.Errorf("outcome %d never came", st)
				}
			}
			if err := w.c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
