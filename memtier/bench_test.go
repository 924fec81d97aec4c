package memtier

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// filled is the tier that the benchmarks read from; building one takes long.
var filled struct {
	items, valueLen int
	tier            *Tier
}

func benchKey(buf []byte, i uint64) []byte {
	copy(buf, "key-0000")
	binary.BigEndian.PutUint64(buf[8:], i*0x9e3779b97f4a7c15)
	return buf[:16]
}

func fillFor(b testing.TB, items, valueLen int) *Tier {
	if filled.items == items && filled.valueLen == valueLen {
		return filled.tier
	}
	if filled.tier != nil {
		filled.tier.Close()
		filled.tier = nil
	}
	limit := int64(items)*int64(40+20+8+valueLen)*9/8 + 64<<20
	t, err := New(Options{Limit: limit})
	if err != nil {
		b.Fatal(err)
	}
	key := make([]byte, 16)
	w := Write{Key: key, Value: make([]byte, valueLen)}
	for i := range uint64(items) {
		benchKey(key, i)
		w.Hash, w.NewCAS = t.Hash(key), i+1
		if st := t.Store(&w, 1); st != Stored {
			b.Fatalf("item %d: %v %+v", i, st, t.Stats())
		}
	}
	filled.items, filled.valueLen, filled.tier = items, valueLen, t
	return t
}

func BenchmarkGet(b *testing.B) {
	for _, c := range []struct{ items, valueLen int }{{1000, 100}, {1e6, 100}, {20e6, 100}, {1e6, 16}, {20e6, 16}} {
		b.Run(fmt.Sprintf("items=%d/value=%d", c.items, c.valueLen), func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			t := fillFor(b, c.items, c.valueLen)
			r := rand.New(rand.NewPCG(1, 2))
			key, buf := make([]byte, 16), make([]byte, 0, 256)
			b.ReportAllocs()
			best := time.Duration(math.MaxInt64)
			for b.Loop() {
				start := threadTime()
				for range getRound {
					benchKey(key, r.Uint64N(uint64(c.items)))
					if _, _, st := t.Get(t.Hash(key), key, buf, 1, nil); st != Hit {
						b.Fatal(st)
					}
				}
				best = min(best, threadTime()-start)
			}
			st := t.Stats()
			b.ReportMetric(float64(best)/getRound, "cpu-ns/get")
			b.ReportMetric(float64(st.IndexBytes)/float64(st.IndexItems), "index-B/item")
		})
	}
}

// threadTime is the processor time of the calling thread: on a busy machine it
// says more than the clock.
func threadTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

const getRound = 100000

// BenchmarkGetMany reads as a multi-get does, with Warm and without.
func BenchmarkGetMany(b *testing.B) {
	for _, c := range []struct {
		items, batch int
		warm         bool
	}{{1e6, 16, false}, {1e6, 16, true}, {1e6, 50, true}, {20e6, 16, false}, {20e6, 16, true}} {
		b.Run(fmt.Sprintf("items=%d/batch=%d/warm=%v", c.items, c.batch, c.warm), func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			t := fillFor(b, c.items, 100)
			r := rand.New(rand.NewPCG(1, 2))
			buf := make([]byte, 0, 256)
			keys, hashes := make([][16]byte, c.batch), make([]uint64, c.batch)
			best := time.Duration(math.MaxInt64)
			for b.Loop() {
				start := threadTime()
				for range getRound / c.batch {
					for i := range keys {
						hashes[i] = t.Hash(benchKey(keys[i][:], r.Uint64N(uint64(c.items))))
					}
					if c.warm {
						t.Warm(hashes)
					}
					for i, h := range hashes {
						t.Get(h, keys[i][:], buf, 1, nil)
					}
				}
				best = min(best, threadTime()-start)
			}
			b.ReportMetric(float64(best)/getRound, "cpu-ns/get")
		})
	}
}

// BenchmarkGetParallel is BenchmarkGet on all processors.
func BenchmarkGetParallel(b *testing.B) {
	const items = 1e6
	t := fillFor(b, items, 100)
	var seed atomic.Uint64
	b.RunParallel(func(pb *testing.PB) {
		r := rand.New(rand.NewPCG(seed.Add(1), 2))
		key, buf := make([]byte, 16), make([]byte, 0, 256)
		for pb.Next() {
			benchKey(key, r.Uint64N(items))
			if _, _, st := t.Get(t.Hash(key), key, buf, 1, nil); st != Hit {
				b.Error(st)
			}
		}
	})
}

func BenchmarkStore(b *testing.B) {
	const items = 1e6
	for _, mode := range []string{"overwrite", "new"} {
		b.Run(mode, func(b *testing.B) {
			t := fillFor(b, items, 100)
			if mode == "new" {
				t, _ = New(Options{Limit: 8 << 30})
				defer t.Close()
			}
			key := make([]byte, 16)
			w := Write{Key: key, Value: make([]byte, 100)}
			var i uint64
			b.ReportAllocs()
			for b.Loop() {
				i++
				n := i
				if mode == "overwrite" {
					n = i * 7919 % items
				}
				benchKey(key, n)
				w.Hash, w.NewCAS = t.Hash(key), i
				if st := t.Store(&w, 1); st != Stored {
					if mode == "new" {
						t.FlushAll()
						drain(t)
						continue
					}
					b.Fatal(st)
				}
			}
		})
	}
}

// drain empties segments until enough are free, dropping what was in them.
func drain(t *Tier) {
	for t.FreeSegments() < t.LowWater() {
		v, ok := t.TakeOldest(0, 1)
		if !ok {
			return
		}
		v.Free()
	}
}
