package hearth

import (
	"sync"
	"sync/atomic"
	"time"
)

// wearBurst is how long Options.WriteLimit may be saved up, in seconds.
const wearBurst = 10

// wearLimit keeps writes to flash under Options.WriteLimit: a bucket that gains
// the limit each second, up to wearBurst seconds of it, and loses each byte that
// was written, whoever wrote it. What upkeep writes beyond it is a debt, which is
// paid before values move again. The first half of the bucket is for what was
// read: what nobody has asked for goes first when the budget is short. It is the
// demoter's.
type wearLimit struct {
	limit   *atomic.Int64 // bytes a second; 0 none
	rate    int64         // limit when last filled
	left    float64       // bytes; negative is a debt
	at      time.Time     // when last filled
	written uint64        // by then
}

// fill brings the bucket to the present.
func (w *wearLimit) fill(now time.Time, written uint64) {
	rate := w.limit.Load()
	most := float64(rate * wearBurst)
	switch {
	case w.rate == 0: // at first, or when there was no limit
		w.left = most
	default:
		w.left += now.Sub(w.at).Seconds()*float64(rate) - float64(written-w.written)
	}
	w.left = min(w.left, most)
	w.rate, w.at, w.written = rate, now, written
}

// takes tells whether a value may be written after pending bytes that are on their
// way into a write buffer.
func (w *wearLimit) takes(read bool, pending int64) bool {
	least := float64(0)
	if !read {
		least = float64(w.rate) * wearBurst / 2
	}
	return w.rate == 0 || w.left-float64(pending) > least
}

// open tells whether any value may be written.
func (w *wearLimit) open() bool { return w.takes(false, 0) }

// SetWriteLimit changes Options.WriteLimit.
func (c *Cache) SetWriteLimit(bytesPerSecond int64) { c.tuned.writeLimit.Store(max(0, bytesPerSecond)) }

const (
	wearSlice  = 5 * 60 // seconds
	wearSlices = 24 * 60 * 60 / wearSlice
)

// wearLog knows how much was written to flash in the last hour and day.
type wearLog struct {
	mu    sync.Mutex
	first uint32                 // slice of time in which it began
	slice uint32                 // the present one
	begun [wearSlices + 1]uint64 // bytes written when a slice began, by its number
}

// note is told, now and then, how much was written by now, in Unix seconds.
func (l *wearLog) note(now uint32, written uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := now / wearSlice
	if l.slice == 0 {
		l.first, l.slice = at, at
	}
	for l.slice < at && at-l.slice <= wearSlices {
		l.slice++
		l.begun[l.slice%uint32(len(l.begun))] = written
	}
	if at > l.slice { // slept for longer than a day
		l.first, l.slice = at, at
		l.begun[at%uint32(len(l.begun))] = written
	}
}

// since is what was written, of so much in all, in the last n slices and the
// present one.
func (l *wearLog) since(n uint32, written uint64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := l.slice - min(n, l.slice-l.first)
	return written - l.begun[from%uint32(len(l.begun))]
}
