package loadgen

import (
	"math"
	"sync/atomic"
	"time"
)

// expirySlack is by how much a server's clock may be late: memcached's ticks
// once a second, and its load may delay a tick.
const expirySlack = 3 * time.Second

// expiry tells from when on a key's value must be gone because its time is over,
// until the key is set anew. Only the connection that sets a key renews its time,
// and has one request in flight (see Work), so times do not fall behind. The nil
// expiry knows of none.
type expiry struct {
	gone []atomic.Int64 // by key, ns since the run's start; 0 is unknown
}

func newExpiry(w *Work) *expiry {
	if w.Kind != Mixed || w.ExpireShare == 0 {
		return nil
	}
	return &expiry{gone: make([]atomic.Int64, w.Keys)}
}

// suspend is called before a request that may change key's time is sent.
func (e *expiry) suspend(key uint64) {
	if e != nil {
		e.gone[key].Store(math.MaxInt64)
	}
}

// renew is called when that request has been answered.
func (e *expiry) renew(key uint64, now int64, ttlSeconds uint32) {
	if e != nil && ttlSeconds > 0 {
		e.gone[key].Store(now + int64(time.Duration(ttlSeconds)*time.Second+expirySlack))
	}
}

// passed tells whether a get sent at that time must not return what was set before.
func (e *expiry) passed(key uint64, at int64) bool {
	if e == nil {
		return false
	}
	gone := e.gone[key].Load()
	return gone != 0 && at > gone
}
