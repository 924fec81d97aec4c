package hearth

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// versioned is one key whose only writer writes growing versions: what a reader
// gets must not be older than what was answered before it asked, nor newer
// than what had been begun when it was answered.
type versioned struct {
	begun, answered atomic.Uint64
	gone            atomic.Bool
}

// TestNeverStale has writers and readers at work while segments are emptied and
// pages reclaimed, and looks at every value that is read.
func TestNeverStale(t *testing.T) {
	for _, s := range settings {
		t.Run(s.name, func(t *testing.T) {
			s.opts.Backpressure = time.Minute // on a busy machine a second is too short to fail for
			c := openTest(t, s.opts)
			const writers, readers, keys = 4, 4, 512
			all := make([]versioned, writers*keys)
			rng := seeded(t)
			var wg sync.WaitGroup
			stop := make(chan struct{})
			time.AfterFunc(2*time.Second, func() { close(stop) })
			run := func(work func(*rand.Rand, int), n int) {
				for i := range n {
					r := rand.New(rand.NewPCG(rng.Uint64(), 1))
					wg.Go(func() {
						for {
							select {
							case <-stop:
								return
							default:
								work(r, i)
							}
						}
					})
				}
			}
			var reads, hits atomic.Uint64
			run(func(r *rand.Rand, w int) { writeVersion(t, c, r, all, w*keys+r.IntN(keys)) }, writers)
			run(func(r *rand.Rand, _ int) {
				reads.Add(1)
				if readVersion(t, c, all, r.IntN(len(all))) {
					hits.Add(1)
				}
			}, readers)
			wg.Wait()
			st := c.Stats()
			t.Logf("reads %d, hits %d, flash %d, hot %d, demoted %d", reads.Load(), hits.Load(), st.HitsFlash, st.HitsHot, st.Demoted)
			if s.flash && st.HitsFlash == 0 {
				t.Error("nothing was read from flash")
			}
		})
	}
}

func writeVersion(t *testing.T, c *Cache, r *rand.Rand, all []versioned, i int) {
	ctx, key, v := context.Background(), fmt.Sprint("key", i), &all[i]
	if r.IntN(10) == 0 {
		n := v.begun.Add(1)
		if err := c.Delete(ctx, key); err != nil && !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		v.answered.Store(n)
		if _, err := c.Get(ctx, key); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: got %v after it was deleted", key, err)
		}
		return
	}
	n := v.begun.Add(1)
	value := make([]byte, 16+r.IntN(12000))
	for j := 0; j+8 <= len(value); j += 8 {
		binary.LittleEndian.PutUint64(value[j:], n)
	}
	binary.LittleEndian.PutUint64(value, uint64(i))
	if err := c.Set(ctx, Item{Key: key, Value: value}); err != nil {
		t.Error(err)
	}
	v.answered.Store(n)
	if r.IntN(10) == 0 {
		invalidate(t, c, key, n)
	}
}

// invalidate marks version n, of which this goroutine is the only writer: whoever
// reads it from then on must see that.
func invalidate(t *testing.T, c *Cache, key string, n uint64) {
	x := contest{t: t, c: c, key: key}
	wake := make(waiter, 1)
	if st := x.do(&Change{Verb: Delete, Invalidate: true}, wake); st != Stored && st != NotFound {
		t.Errorf("%s: invalidated with outcome %d", key, st)
	}
	value, m, st := c.Find([]byte(key), nil)
	if st == Pending {
		var l Lookup
		l.Start(c, []byte(key), m, wake, 0)
		for value, m, st = l.Step(nil); st == Pending; value, m, st = l.Step(nil) {
			<-wake
		}
	}
	if st == Hit && (!m.Stale || binary.LittleEndian.Uint64(value[8:]) != n) {
		t.Errorf("%s: version %d was invalidated, read is %d, %+v", key, n, binary.LittleEndian.Uint64(value[8:]), m)
	}
}

func readVersion(t *testing.T, c *Cache, all []versioned, i int) bool {
	v := &all[i]
	oldest := v.answered.Load()
	it, err := c.Get(context.Background(), fmt.Sprint("key", i))
	newest := v.begun.Load()
	if err != nil {
		if !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		return false
	}
	if got := binary.LittleEndian.Uint64(it.Value); got != uint64(i) {
		t.Errorf("key %d: got the value of key %d", i, got)
	}
	for j := 8; j+8 <= len(it.Value); j += 8 {
		if n := binary.LittleEndian.Uint64(it.Value[j:]); n < oldest || n > newest {
			t.Fatalf("key %d: version %d at byte %d of %d, possible are %d to %d", i, n, j, len(it.Value), oldest, newest)
		}
	}
	return true
}
