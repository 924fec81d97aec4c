package hearth

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestAge tells how long ago an item was used, in RAM, on flash and in a hot copy.
func TestAge(t *testing.T) {
	w := newWorld(t, Options{Memory: 32 << 20, MaxItem: 64 << 10, FlashSize: 64 << 20, PageSize: 4 << 20, HotPercent: 30}, true)
	later := func(seconds int64) { w.c.advance(uint32(w.clock.Add(seconds))) }
	age := func(where string, a Access, want uint32) {
		t.Helper()
		if _, m, st := w.find("key", a); st != Hit || m.Age != want || m.Size != 5000 {
			t.Errorf("%s: %v, age %d, %d bytes, want age %d", where, st, m.Age, m.Size, want)
		}
	}
	peek := Access{Peek: true}
	if err := w.c.Set(context.Background(), Item{Key: "key", Value: make([]byte, 5000)}); err != nil {
		t.Fatal(err)
	}
	later(10)
	age("written", peek, 10)
	age("written, not read", Access{}, 10)
	later(5)
	age("read", Access{Peek: true, Touch: true}, 5)
	age("read", Access{Touch: true}, 5)
	age("touched", peek, 0)
	later(7)
	if err := w.c.Close(); err != nil {
		t.Fatal(err)
	}
	w.open()
	age("moved", peek, 0)
	later(100)
	age("on flash", Access{}, 100)
	await(t, "hot copy", func() bool {
		w.find("key", Access{})
		return w.c.Stats().HitsHot > 0
	})
	later(20)
	age("hot", peek, 20)
	age("hot, not read", Access{}, 20)
	later(3)
	age("hot, read", Access{}, 3)
	if err := w.c.Close(); err != nil {
		t.Error(err)
	}
}

// TestFetchedKept holds a graceful stop to keep that a value was read in RAM, and
// an overwrite to forget it.
func TestFetchedKept(t *testing.T) {
	for _, flash := range []int64{0, 64 << 20} {
		w := newWorld(t, Options{Memory: 32 << 20, MaxItem: 64 << 10, FlashSize: flash}, true)
		fetched := func(key string, want bool) {
			t.Helper()
			if _, m, st := w.find(key, Access{Peek: true}); st != Hit || m.Fetched != want {
				t.Errorf("%s: %v, fetched %v", key, st, m.Fetched)
			}
		}
		for _, key := range []string{"read", "touched", "unread", "again"} {
			if err := w.c.Set(context.Background(), Item{Key: key, Value: []byte("value")}); err != nil {
				t.Fatal(err)
			}
		}
		w.find("read", Access{})
		w.find("again", Access{})
		err := errors.Join(w.c.Touch(context.Background(), "touched", time.Time{}), w.c.Set(context.Background(), Item{Key: "again"}))
		for range 2 {
			fetched("read", true)
			fetched("touched", true)
			fetched("unread", false)
			fetched("again", false)
			err = errors.Join(err, w.c.Close())
			w.open()
		}
		if err = errors.Join(err, w.c.Close()); err != nil {
			t.Error(err)
		}
	}
}

// contest is what the goroutines of TestClaimOnce do to one item.
type contest struct {
	t      *testing.T
	c      *Cache
	key    string
	claims atomic.Int64 // that were won
	sum    atomic.Int64 // what was added
}

func (x *contest) do(ch *Change, wake waiter) Status {
	ch.Key = []byte(x.key)
	st := ch.Start(x.c, wake, 0)
	for st == Pending {
		<-wake
		st = ch.Step()
	}
	return st
}

// run claims the item, and adds to its number on the condition that its CAS is
// the one just seen, as several clients would.
func (x *contest) run(adds int) {
	wake := make(waiter, 1)
	var ch Change
	if ch = (Change{Verb: Claim}); x.do(&ch, wake) == Stored {
		x.claims.Add(1)
	}
	for range adds {
		it, err := x.c.Get(context.Background(), x.key)
		if err != nil {
			continue // evicted
		}
		ch = Change{Verb: Incr, Delta: 1, Compare: true, Expect: it.CAS}
		if x.do(&ch, wake) == Stored {
			x.sum.Add(1)
		}
	}
}

// run4 has four clients after the item, and counts up what they did.
func (x *contest) run4() {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { x.run(10) })
	}
	wg.Wait()
	it, err := x.c.Get(context.Background(), x.key)
	if err != nil || string(it.Value) != strconv.FormatInt(100+x.sum.Load(), 10) || x.claims.Load() != 1 {
		x.t.Fatalf("%s: %v, %q after %d additions, %d won the token", x.key, err, it.Value, x.sum.Load(), x.claims.Load())
	}
}

// TestClaimOnce has several goroutines after each item, most of which are on flash
// by then or on their way: one of them gets the token, and no addition is lost.
func TestClaimOnce(t *testing.T) {
	c, wake, onFlash := openTest(t, settings[1].opts), make(waiter, 1), 0
	for wave := range 2 {
		var contests []*contest
		for i := range 200 {
			x := &contest{t: t, c: c, key: fmt.Sprint("item-", wave, "-", i)}
			contests = append(contests, x)
			if st := x.do(&Change{Verb: Set, Value: []byte("100")}, wake); st != Stored {
				t.Fatal(st)
			}
			if i%2 == 0 { // the token of one that was invalidated is free again
				x.do(&Change{Verb: Claim}, wake)
				x.do(&Change{Verb: Delete, Invalidate: true}, wake)
			}
		}
		fillUp(t, c, 3000)
		var wg sync.WaitGroup
		wg.Go(func() { fillUp(t, c, 1000) })
		for _, x := range contests {
			if c.mem.LocOf(c.mem.Hash([]byte(x.key))).OnFlash() {
				onFlash++
			}
			x.run4()
		}
		wg.Wait()
	}
	if onFlash < 100 {
		t.Errorf("%d were on flash", onFlash)
	}
}

// fillUp writes n values of 8000 bytes.
func fillUp(t *testing.T, c *Cache, n int) {
	for i := range n {
		if err := c.Set(context.Background(), Item{Key: "fill-" + strconv.Itoa(i), Value: make([]byte, 8000)}); err != nil {
			t.Error(err)
		}
	}
}

// TestInvalidateTooLarge marks values that are longer than may be stored now:
// what cannot be kept to be marked goes.
func TestInvalidateTooLarge(t *testing.T) {
	w := newWorld(t, settings[1].opts, true)
	for _, key := range []string{"marked", "claimed"} {
		if err := w.c.Set(context.Background(), Item{Key: key, Value: make([]byte, 60_000)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.c.Close(); err != nil {
		t.Fatal(err)
	}
	w.opts.MaxItem = 16 << 10
	w.open()
	x := contest{t: t, c: w.c, key: "marked"}
	if st := x.do(&Change{Verb: Delete, Invalidate: true}, w.wake); st != Deleted {
		t.Errorf("invalidated: %d", st)
	}
	x.key = "claimed"
	if st := x.do(&Change{Verb: Claim}, w.wake); st != TooLarge {
		t.Errorf("claimed: %d", st)
	}
	for key, want := range map[string]Status{"marked": Miss, "claimed": Hit} {
		if _, m, st := w.find(key, Access{}); st != want || m.TokenSent || m.Stale {
			t.Errorf("%s: %d, %+v", key, st, m)
		}
	}
	if err := w.c.Close(); err != nil {
		t.Error(err)
	}
}
