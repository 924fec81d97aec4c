package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The Go heap holds connections, buffers and the catalog's tables, not items. What
// of it is in use is counted where it belongs; what waits to be collected comes on
// top of -m, and is bounded by this share of it, but is never less than leastGarbage:
// a few megabytes are not worth collecting at every doubling.
const (
	garbageShare = 32
	leastGarbage = 16 << 20
	mostGarbage  = 64 << 20

	leastGCPercent, mostGCPercent = 25, 400
	paceEvery                     = 2 * time.Second
)

// gcPercent is how much garbage there may be, in percent of the live heap.
func gcPercent(memory int64, live uint64) int {
	garbage := uint64(min(mostGarbage, max(leastGarbage, memory/garbageShare)))
	return int(min(mostGCPercent, max(leastGCPercent, 100*garbage/max(live, 1))))
}

// paceHeap has garbage collected often enough for its bound, until ctx is done.
func paceHeap(ctx context.Context, memory int64) {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(paceEvery)
	defer tick.Stop()
	last := 0
	for {
		metrics.Read(sample)
		// Changing it stops the world for a moment: not for a small difference.
		if now := gcPercent(memory, sample[0].Value.Uint64()); now > last+last/8 || now < last-last/8 {
			debug.SetGCPercent(now)
			last = now
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// goRuntime says what the Go runtime holds, in bytes: mapped is less what it gave
// back, heap is in use or waits to be collected, live is what the last collection
// found in use.
func goRuntime() []stat {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"},
	}
	metrics.Read(samples)
	at := func(i int) uint64 { return samples[i].Value.Uint64() }
	return []stat{
		gauge("hearth_go_mapped", at(0)-at(1)),
		gauge("hearth_go_heap", at(2)),
		gauge("hearth_go_live", at(3)),
		gauge("hearth_go_goroutines", runtime.NumGoroutine()),
		counter("hearth_go_collections", at(4)),
	}
}
