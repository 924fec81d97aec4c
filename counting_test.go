package hearth

import (
	"context"
	"testing"
)

// TestLookupsCounted: each way to look a value up in RAM counts as one hit or one miss,
// and a touch, which gives no value, as neither.
func TestLookupsCounted(t *testing.T) {
	c := openTest(t, Options{Memory: 16 << 20, MaxItem: 64 << 10})
	if err := c.Set(context.Background(), Item{Key: "there", Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	for i, a := range []Access{{}, {Peek: true}, {Touch: true}, {Touch: true, Peek: true}} {
		c.FindWith([]byte("there"), a, nil)
		c.FindWith([]byte("absent"), a, nil)
		if s := c.Stats(); s.HitsRAM != uint64(i+1) || s.Misses != uint64(i+1) || s.MissAbsent() != s.Misses {
			t.Errorf("%+v: %d hits, %d misses, of them %d absent; each is the %d.", a, s.HitsRAM, s.Misses, s.MissAbsent(), i+1)
		}
	}
	before := c.Stats()
	ch := Change{Verb: Touch, Key: []byte("there")}
	if st := ch.Start(c, make(waiter, 1), 0); st != Touched {
		t.Fatal(st)
	}
	if s := c.Stats(); s.HitsRAM != before.HitsRAM || s.Misses != before.Misses {
		t.Errorf("a touch is a lookup: %d hits, %d misses", s.HitsRAM, s.Misses)
	}
}
