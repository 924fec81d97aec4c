package hearth

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
)

// BenchmarkFind gets values in RAM at random, among ever more of them. The cost
// at 20 M items is to be at most 1.3 times that at 1 M.
func BenchmarkFind(b *testing.B) {
	for _, n := range []int{1e6, 5e6, 20e6} {
		b.Run(fmt.Sprintf("items=%d", n), func(b *testing.B) {
			c := openTest(b, Options{Memory: int64(n)*120 + 64<<20})
			fill(b, c, n, 32)
			dst, key := make([]byte, 0, 64), make([]byte, 0, 32)
			rng := rand.New(rand.NewPCG(1, 2))
			misses := 0
			b.ReportAllocs()
			for b.Loop() {
				key = benchKey(key, rng.IntN(n))
				if _, _, st := c.Find(key, dst); st != Hit {
					misses++
				}
			}
			b.ReportMetric(float64(misses)/float64(b.N), "misses/op")
			s := c.Stats()
			b.ReportMetric(float64(s.Mem.IndexBytes)/float64(s.Mem.IndexItems), "index-B/item")
		})
	}
}

func BenchmarkSet(b *testing.B) {
	c := openTest(b, Options{Memory: 256 << 20})
	value := make([]byte, 100)
	var ch Change
	wake := make(waiter, 1)
	key := make([]byte, 0, 32)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		key = benchKey(key, i)
		ch.Verb, ch.Key, ch.Value = Set, key, value
		for st := ch.Start(c, wake, 0); st == Pending; st = ch.Step() {
			<-wake
		}
	}
}

func benchKey(dst []byte, i int) []byte {
	return strconv.AppendInt(append(dst[:0], "key-"...), 1e11+int64(i), 10)
}

func fill(b *testing.B, c *Cache, n, size int) {
	b.Helper()
	value := make([]byte, size)
	var ch Change
	wake := make(waiter, 1)
	var key []byte
	for i := range n {
		key = benchKey(key, i)
		ch.Verb, ch.Key, ch.Value = Set, key, value
		for st := ch.Start(c, wake, 0); st != Stored; st = ch.Step() {
			if st != Pending {
				b.Fatalf("set %d: %v", i, st)
			}
			<-wake
		}
	}
}
