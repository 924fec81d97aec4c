package hearth

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hearthcache/hearth/ioq"
)

// room is where operations wait that found no free segment or no read buffer:
// the back-pressure of the cache. Waiters are notified together whenever some
// room was made, and by a tick so that none outlives its limit unseen. Who is
// notified tries again and may come back to wait.
type room struct {
	waiting atomic.Int32 // len(waiters), to make signal free when nobody waits
	mu      sync.Mutex
	waiters []roomWaiter
	spare   []roomWaiter
}

type roomWaiter struct {
	n   ioq.Notifier
	tag uint64
}

// join adds a waiter. The caller must try once more after it has joined, since
// room made just before is not told to it.
func (r *room) join(n ioq.Notifier, tag uint64) {
	r.mu.Lock()
	r.waiters = append(r.waiters, roomWaiter{n, tag})
	r.waiting.Store(int32(len(r.waiters)))
	r.mu.Unlock()
}

// signal notifies all who wait.
func (r *room) signal() {
	if r.waiting.Load() == 0 {
		return
	}
	r.mu.Lock()
	woken := r.waiters
	r.waiters, r.spare = r.spare[:0], nil
	r.waiting.Store(0)
	r.mu.Unlock()
	for _, w := range woken {
		w.n.Notify(w.tag)
	}
	clear(woken)
	r.mu.Lock()
	if r.spare == nil {
		r.spare = woken[:0]
	}
	r.mu.Unlock()
}

// patience is the waiting of one operation: since when, and whether it is over.
type patience struct{ since time.Time }

// wait starts or goes on waiting and reports false when limit has passed.
func (p *patience) wait(c *Cache) bool {
	if p.since.IsZero() {
		p.since = time.Now()
		return true
	}
	return time.Since(p.since) < c.opts.Backpressure
}

// end counts the time that was waited, if any.
func (p *patience) end(c *Cache) {
	if !p.since.IsZero() {
		c.count.backpressureUs.Add(uint64(time.Since(p.since).Microseconds()))
		c.count.backpressured.Add(1)
		p.since = time.Time{}
	}
}
