package hearth

import (
	"fmt"
	"testing"
)

// TestNoAllocations holds get and set in RAM, and a get of a value on flash
// that the page cache has, to not allocating.
func TestNoAllocations(t *testing.T) {
	c := openTest(t, Options{Memory: 32 << 20, FlashSize: 256 << 20, PageSize: 4 << 20, IOEngine: "pread", HotPercent: -1})
	wake := make(waiter, 1)
	value := make([]byte, 1000)
	var ch Change
	var l Lookup
	keys := make([][]byte, 60_000)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key-%d", i)
		ch.Verb, ch.Key, ch.Value = Set, keys[i], value
		for st := ch.Start(c, wake, 0); st == Pending; st = ch.Step() {
			<-wake
		}
	}
	dst := make([]byte, 0, 2000)
	last, first := keys[len(keys)-1], 0
	if n := testing.AllocsPerRun(1000, func() {
		if _, _, st := c.Find(last, dst); st != Hit {
			t.Fatalf("get in RAM: %v", st)
		}
	}); n != 0 {
		t.Errorf("get in RAM: %v allocations", n)
	}
	if n := testing.AllocsPerRun(1000, func() {
		if st := ch.Start(c, wake, 0); st != Stored {
			t.Fatalf("set in RAM: %v", st)
		}
	}); n != 0 {
		t.Errorf("set in RAM: %v allocations", n)
	}
	if n := testing.AllocsPerRun(1000, func() {
		_, m, st := c.Find(keys[first], dst)
		if st != Pending {
			t.Fatalf("get on flash: %v", st)
		}
		l.Start(c, keys[first], m, wake, 0)
		for _, _, st = l.Step(dst); st == Pending; _, _, st = l.Step(dst) {
			<-wake
		}
		if first++; st != Hit {
			t.Fatalf("get on flash: %v", st)
		}
	}); n != 0 {
		t.Errorf("get on flash: %v allocations", n)
	}
}
