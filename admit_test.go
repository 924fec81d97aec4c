package hearth

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// emptyRAM has a demoter of the test's own empty RAM as if that were short.
func emptyRAM(c *Cache, d *demoter) {
	for c.mem.SealActive(0, c.now.Load()) || d.step(0) {
	}
	d.drain()
}

func setAll(t testing.TB, c *Cache, size int, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if err := c.Set(context.Background(), Item{Key: key, Value: make([]byte, size)}); err != nil {
			t.Fatal(err)
		}
	}
}

func getAll(t testing.TB, c *Cache, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if _, err := c.Get(context.Background(), key); err != nil {
			t.Fatalf("get %s: %v", key, err)
		}
	}
}

func numbered(prefix string, n int) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprint(prefix, i))
	}
	return keys
}

func present(t testing.TB, c *Cache, keys []string) (n int) {
	t.Helper()
	for _, key := range keys {
		switch _, err := c.Get(context.Background(), key); {
		case err == nil:
			n++
		case !errors.Is(err, ErrNotFound):
			t.Fatal(err)
		}
	}
	return n
}

// TestAdmit empties RAM under each policy: what it lets pass is on flash, the rest
// is gone and counted by its cause.
func TestAdmit(t *testing.T) {
	t.Parallel()
	const n = 3000
	for _, test := range []struct {
		policy       string
		smallest     int
		unread, read [2]int // at least and at most, of n
		dropped      func(*Stats) uint64
	}{
		{"all", 0, [2]int{n, n}, [2]int{n, n}, func(s *Stats) uint64 { return s.Mem.Evictions }},
		{"read", 0, [2]int{0, 0}, [2]int{n, n}, func(s *Stats) uint64 { return s.DroppedUnread }},
		{"read:200", 0, [2]int{n, n}, [2]int{n, n}, func(s *Stats) uint64 { return s.DroppedUnread }},
		{"read:300", 0, [2]int{0, 0}, [2]int{n, n}, func(s *Stats) uint64 { return s.DroppedUnread }},
		{"prob:0", 0, [2]int{0, 0}, [2]int{0, 0}, func(s *Stats) uint64 { return s.DroppedByChance }},
		{"prob:0.3", 0, [2]int{n/4 + 1, n * 7 / 20}, [2]int{n/4 + 1, n * 7 / 20}, func(s *Stats) uint64 { return s.DroppedByChance }},
		{"prob:1", 0, [2]int{n, n}, [2]int{n, n}, func(s *Stats) uint64 { return s.DroppedByChance }},
		{"read", 512, [2]int{0, 0}, [2]int{0, 0}, func(s *Stats) uint64 { return s.DroppedSmall }},
	} {
		t.Run(fmt.Sprint(test.policy, test.smallest), func(t *testing.T) {
			t.Parallel()
			c := openTest(t, Options{Memory: 32 << 20, FlashSize: 64 << 20, MaxItem: 64 << 10, Admit: test.policy, MinFlashItem: test.smallest})
			unread, read := numbered("unread", n), numbered("read", n)
			setAll(t, c, 200, append(unread, read...)...)
			getAll(t, c, read...)
			emptyRAM(c, c.newDemoter())
			s := c.Stats()
			if s.Mem.IndexItems != s.Mem.FlashItems {
				t.Errorf("%d of %d items are in RAM", s.Mem.IndexItems-s.Mem.FlashItems, s.Mem.IndexItems)
			}
			gotUnread, gotRead := present(t, c, unread), present(t, c, read)
			if gotUnread < test.unread[0] || gotUnread > test.unread[1] || gotRead < test.read[0] || gotRead > test.read[1] {
				t.Errorf("%d of those unread and %d of those read are left", gotUnread, gotRead)
			}
			if got := test.dropped(&s); got != uint64(2*n-gotUnread-gotRead) {
				t.Errorf("%d are counted as dropped, %d are", got, 2*n-gotUnread-gotRead)
			}
		})
	}
}

// TestAdmitOverwritten: a new value has to be read itself to count as read.
func TestAdmitOverwritten(t *testing.T) {
	t.Parallel()
	c := openTest(t, Options{Memory: 32 << 20, FlashSize: 64 << 20, MaxItem: 64 << 10, Admit: "read"})
	setAll(t, c, 100, "never", "before", "after", "longer")
	getAll(t, c, "before", "after", "longer")
	setAll(t, c, 100, "before", "after")
	setAll(t, c, 1000, "longer")
	getAll(t, c, "after")
	emptyRAM(c, c.newDemoter())
	if n := present(t, c, []string{"never", "before", "longer"}); n != 0 {
		t.Errorf("%d values came to flash that were never read", n)
	}
	getAll(t, c, "after")
}

// TestAdmitStop: what a policy would drop comes through a restart all the same.
func TestAdmitStop(t *testing.T) {
	t.Parallel()
	opts := quiet(Options{Memory: 32 << 20, FlashSize: 64 << 20, MaxItem: 64 << 10, Admit: "prob:0", MinFlashItem: 1000, WriteLimit: 1})
	dir := t.TempDir()
	c, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	keys := numbered("key", 1000)
	setAll(t, c, 100, keys...)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err = Open(dir, opts); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n := present(t, c, keys); n != len(keys) {
		t.Errorf("%d of %d values are back", n, len(keys))
	}
}

// TestAdmitByAge: a value that has come of age and may not move, or that is in use,
// stays in RAM, which has room.
func TestAdmitByAge(t *testing.T) {
	t.Parallel()
	var now atomic.Uint32
	now.Store(1_800_000_000)
	c := openTest(t, Options{
		Memory: 32 << 20, FlashSize: 64 << 20, MaxItem: 1 << 20, Admit: "read", MinFlashItem: 200,
		Clock: func() time.Time { return time.Unix(int64(now.Load()), 0) },
	})
	pass := func(seconds uint32) {
		now.Add(seconds)
		c.advance(now.Load())
	}
	onFlash := func(key string) bool { return c.mem.LocOf(c.mem.Hash([]byte(key))).OnFlash() }
	await := func(key string) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); !onFlash(key); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s did not move", key)
			}
		}
	}
	setAll(t, c, 10, "small")
	setAll(t, c, 1000, "unread", "idle", "busy")
	setAll(t, c, 900<<10, "large")
	getAll(t, c, "small", "idle", "busy")
	c.SetFlashAge(100 * time.Second)
	pass(90)
	c.mem.SealActive(0, now.Load()-90)
	getAll(t, c, "busy")
	pass(20)
	await("idle")
	for _, key := range []string{"small", "unread", "busy", "large"} {
		if onFlash(key) {
			t.Errorf("%s moved", key)
		}
	}
	pass(100)
	c.mem.SealActive(0, now.Load()-100)
	await("busy")
	if s := c.Stats(); s.Mem.FlashItems != 2 || s.Mem.IndexItems != 5 || s.Mem.Evictions != 0 {
		t.Errorf("%d of %d items on flash, %d evictions", s.Mem.FlashItems, s.Mem.IndexItems, s.Mem.Evictions)
	}
}

// TestWriteLimit empties RAM, four times as fast as the limit allows, by a clock of
// its own: what is written stays under the limit, and is what was read.
func TestWriteLimit(t *testing.T) {
	t.Parallel()
	const rate, seconds, perSecond, size = 100_000, 60, 200, 1000
	var now atomic.Int64
	now.Store(1_800_000_000)
	c := openTest(t, Options{
		Memory: 32 << 20, FlashSize: 64 << 20, MaxItem: 64 << 10, WriteLimit: rate,
		Clock: func() time.Time { return time.Unix(now.Load(), 0) },
	})
	d := c.newDemoter()
	var left [2]int
	keys := [2][]string{}
	for second := range int64(seconds) {
		var fresh [2][]string
		for i, prefix := range []string{"unread", "read"} {
			fresh[i] = numbered(fmt.Sprint(prefix, second, "-"), perSecond)
			setAll(t, c, size, fresh[i]...)
			keys[i] = append(keys[i], fresh[i]...)
		}
		getAll(t, c, fresh[1]...)
		emptyRAM(c, d)
		const most = 300 << 10 // the buffer that was being filled, and upkeep
		if got := c.flash.Written(); got > uint64(rate*(second+wearBurst)+most) {
			t.Fatalf("%d bytes were written in %d seconds", got, second)
		}
		now.Add(1)
	}
	s := c.Stats()
	if s.FlashWritten < rate*seconds*8/10 {
		t.Errorf("only %d bytes were written", s.FlashWritten)
	}
	for i := range keys {
		left[i] = present(t, c, keys[i])
	}
	if left[1] < 10*left[0] || left[0] == 0 {
		t.Errorf("%d values that were read are on flash, and %d others", left[1], left[0])
	}
	if dropped := 2*seconds*perSecond - left[0] - left[1]; s.DroppedForWear != uint64(dropped) {
		t.Errorf("%d are counted as dropped, %d are", s.DroppedForWear, dropped)
	}
	t.Logf("%d bytes in %d s, %d of %d read and %d unread values, amplification %.3f",
		s.FlashWritten, seconds, left[1], seconds*perSecond, left[0], s.WriteAmplification())
}

// TestWriteLimitTuned: no limit, a new one, and a clock that goes back.
func TestWriteLimitTuned(t *testing.T) {
	var limit atomic.Int64
	w := wearLimit{limit: &limit}
	at := time.Unix(1_800_000_000, 0)
	w.fill(at, 1<<40)
	if !w.takes(false, 1<<40) {
		t.Error("without a limit something was refused")
	}
	limit.Store(1000)
	w.fill(at, 1<<41)
	if !w.takes(false, 4999) || w.takes(false, 5000) || !w.takes(true, 9999) || w.takes(true, 10000) {
		t.Errorf("a new bucket is not full: %v", w.left)
	}
	w.fill(at, 1<<41+12_000)
	if w.takes(true, 0) {
		t.Error("a debt counts for nothing")
	}
	if w.fill(at.Add(3*time.Second), 1<<41+12_000); !w.takes(true, 999) || w.takes(true, 1000) || w.takes(false, 0) {
		t.Errorf("three seconds made of a debt of 2000 %v", w.left)
	}
	if w.fill(at, 1<<41+12_000); w.left != -2000 {
		t.Errorf("there and back again made %v", w.left)
	}
}

func TestWearLog(t *testing.T) {
	var l wearLog
	const start, perSlice = 1_800_000_000, 1000
	for i := range uint32(400) {
		l.note(start+i*wearSlice, uint64(i)*perSlice)
		hour, day := l.since(12, uint64(i)*perSlice), l.since(wearSlices, uint64(i)*perSlice)
		if want := uint64(min(i, 12)) * perSlice; hour != want {
			t.Fatalf("slice %d: %d in the last hour, want %d", i, hour, want)
		}
		if want := uint64(min(i, wearSlices)) * perSlice; day != want {
			t.Fatalf("slice %d: %d in the last day, want %d", i, day, want)
		}
	}
	l.note(start+1000*wearSlice, 500_000)
	if n := l.since(wearSlices, 500_007); n != 7 {
		t.Errorf("%d after a sleep of two days", n)
	}
}
