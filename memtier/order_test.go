package memtier

import (
	"fmt"
	"testing"
)

// What is read goes on in a generation of its own, and has nine tenths of the room
// once it needs them; what is not read has what is left.
func TestGenerationsShareTheRoom(t *testing.T) {
	ofAmounts(t)
	tier := newTier(t, Options{Limit: 16 << 20})
	value := func(i int) string { return fmt.Sprint(i) }
	for i := range 80000 {
		fill(t, tier, value(i), 500)
		for range 3 {
			get(tier, value(i))
		}
	}
	g := tier.segs
	if y, k := g.orders[young].bytes, g.orders[kept].bytes; k < 4*y || y == 0 {
		t.Errorf("young %d bytes, kept %d: want a tenth for the young", y, k)
	}
	for i := 80000; i < 480000; i++ {
		fill(t, tier, value(i), 500)
	}
	if y, k := g.orders[young].bytes, g.orders[kept].bytes; k > y {
		t.Errorf("young %d bytes, kept %d: what is read no more keeps its room", y, k)
	}
}

// The lists and their sizes are right whatever order segments leave in.
func TestOrdersCountTheirBytes(t *testing.T) {
	tier := newTier(t, Options{Limit: 16 << 20})
	for i := range 3000 {
		size := 500
		if i%20 == 0 {
			size = 300 << 10 // large segments
		}
		fill(t, tier, fmt.Sprint(i%700), size)
		get(tier, fmt.Sprint(i%300))
		if i%7 == 0 {
			tier.Delete(tier.Hash(fmt.Append(nil, i%90)), fmt.Append(nil, i%90), 1)
		}
	}
	g := tier.segs
	seen := int64(0)
	for gen := range g.orders {
		o, sum, last := &g.orders[gen], int64(0), uint32(0)
		for n := o.oldest; n != 0; last, n = n, g.meta[n].newer {
			if g.meta[n].older != last || g.meta[n].gen != generation(gen) {
				t.Fatalf("generation %d: segment %d has %+v before it", gen, n, &g.meta[n])
			}
			sum += g.sizeLocked(n)
		}
		if last != o.newest || sum != o.bytes {
			t.Errorf("generation %d: newest %d, want %d; %d bytes, want %d", gen, o.newest, last, o.bytes, sum)
		}
		seen += sum
	}
	if seen < 8<<20 {
		t.Errorf("%d bytes sealed", seen)
	}
}
