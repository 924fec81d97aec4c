package hearth

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// expiring opens a cache whose clock and whose sweeps are the test's.
func expiring(t testing.TB, opts Options) (c *Cache, pass func(seconds uint32)) {
	var now atomic.Uint32
	now.Store(1_800_000_000)
	opts.NoSweep = true
	opts.Clock = func() time.Time { return time.Unix(int64(now.Load()), 0) }
	c = openTest(t, opts)
	return c, func(seconds uint32) { c.advance(now.Add(seconds)) }
}

func setTimed(t testing.TB, c *Cache, n, size int, prefix string, ttl time.Duration) {
	t.Helper()
	value := make([]byte, size)
	for i := range n {
		it := Item{Key: fmt.Sprint(prefix, i), Value: value}
		if ttl > 0 {
			it.Expires = time.Unix(int64(c.Now()), 0).Add(ttl)
		}
		if err := c.Set(context.Background(), it); err != nil {
			t.Fatal(err)
		}
	}
}

// wholePass steps to the end of a pass and gives the most items that a step has
// checked.
func wholePass(e *expirer) (steps, most int) {
	for n := e.c.expiry.passes.Load(); n == e.c.expiry.passes.Load(); steps++ {
		before := e.c.expiry.checked.Load()
		e.step()
		most = max(most, int(e.c.expiry.checked.Load()-before))
	}
	return steps, most
}

// TestExpiry lets items in RAM and on flash run out of time. Without a get their
// slots, the segments that were theirs alone and their bytes on flash are free after
// one pass, of small steps.
func TestExpiry(t *testing.T) {
	t.Parallel()
	const n, size, segment = 20_000, 500, 512 << 10
	c, pass := expiring(t, Options{Memory: 64 << 20, FlashSize: 128 << 20, MaxItem: 64 << 10})
	defer holdReclaim(c)() // it drops the slots of pages on which nothing is alive
	setTimed(t, c, n, size, "flash, timed ", 10*time.Second)
	setTimed(t, c, n, size, "flash ", 0)
	emptyRAM(c, c.newDemoter())
	setTimed(t, c, n, size, "RAM ", time.Hour)
	setTimed(t, c, n, size, "RAM, timed ", 10*time.Second)
	before := c.Stats()
	if before.Flash.ObjectsUsed != 2*n || before.Mem.IndexItems != 4*n {
		t.Fatalf("%d items, %d on flash", before.Mem.IndexItems, before.Flash.ObjectsUsed)
	}
	e := c.newExpirer()
	if wholePass(e); c.Stats().Expiry.Dropped != 0 {
		t.Fatalf("dropped %d before their time", c.Stats().Expiry.Dropped)
	}
	pass(11)
	steps, most := wholePass(e)
	after := c.Stats()
	if after.Mem.IndexItems != 2*n || after.Flash.ObjectsUsed != n {
		t.Errorf("%d items, %d on flash", after.Mem.IndexItems, after.Flash.ObjectsUsed)
	}
	// Those of a full page are told as at most its size, a percent less than they were.
	if was, is := before.Flash.BytesUsed, after.Flash.BytesUsed; is < was/2 || is > was/2+was/100 {
		t.Errorf("%d bytes on flash, of %d", is, was)
	}
	if after.Mem.ValueBytes != n*size {
		t.Errorf("%d bytes of values in RAM", after.Mem.ValueBytes)
	}
	if gained := after.Mem.SegmentsFree - before.Mem.SegmentsFree; gained*segment < n*size*3/4 {
		t.Errorf("%d segments came free, of %d", gained, after.Mem.SegmentsTotal)
	}
	if after.Expiry.Dropped != 2*n || after.Mem.Evictions != 0 || after.Misses != 0 {
		t.Errorf("%+v, %d evictions, %d misses", after.Expiry, after.Mem.Evictions, after.Misses)
	}
	if steps < 50 || most > 4*n/10 {
		t.Errorf("%d steps, one of %d items", steps, most)
	}
	getAll(t, c, "RAM 7", "flash 7")
}

// TestExpiryPace: passes are slow while nothing is found and fast when much is, and
// a step ends by time though the pass should be further.
func TestExpiryPace(t *testing.T) {
	t.Parallel()
	c, pass := expiring(t, Options{Memory: 32 << 20})
	e := c.newExpirer()
	for range 6 {
		wholePass(e)
	}
	if e.period != sweepSlowest {
		t.Errorf("the period is %v with nothing to do", e.period)
	}
	for range 6 {
		setTimed(t, c, 1000, 10, "timed ", time.Second)
		pass(2)
		wholePass(e)
	}
	if e.period != sweepFastest {
		t.Errorf("the period is %v with all expired", e.period)
	}
	e.stepping = 1
	for range 10 {
		e.steps = 1 << 20 // late
		part := e.part
		if rest := e.step(); rest < sweepTick*9/10 || e.part > part+1 {
			t.Errorf("went from %d to %d, rests %v", part, e.part, rest)
		}
	}
}

// TestExpiryRuns: it runs by itself, and not if it is switched off.
func TestExpiryRuns(t *testing.T) {
	t.Parallel()
	c, pass := expiring(t, Options{Memory: 32 << 20})
	setTimed(t, c, 100, 10, "timed ", time.Second)
	pass(2)
	time.Sleep(2 * sweepTick)
	if s := c.Stats(); s.Expiry.Checked != 0 || s.Mem.IndexItems != 100 {
		t.Errorf("%+v, %d items are left", s.Expiry, s.Mem.IndexItems)
	}
	c.SetSweep(true)
	for deadline := time.Now().Add(2 * sweepFastest); c.Stats().Mem.IndexItems > 90; time.Sleep(sweepTick) {
		if time.Now().After(deadline) {
			t.Fatalf("%d items are left", c.Stats().Mem.IndexItems)
		}
	}
}

// BenchmarkExpiry passes over a million items none of which has expired.
func BenchmarkExpiry(b *testing.B) {
	const n = 1_000_000
	c, _ := expiring(b, Options{Memory: 256 << 20})
	setTimed(b, c, n, 10, "timed ", time.Hour)
	e := c.newExpirer()
	e.stepping = time.Hour
	busy := c.expiry.busyUs.Load()
	b.ResetTimer()
	for range b.N {
		wholePass(e)
		e.period = sweepFastest
	}
	b.ReportMetric(float64(c.expiry.busyUs.Load()-busy)*1000/float64(b.N)/n, "ns/item")
}
