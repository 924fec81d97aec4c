package hearth

import (
	"sync/atomic"
	"time"

	"github.com/hearthcache/hearth/flashtier"
)

// pace bounds how fast records are rescued, in bytes read and written a second: so
// that free pages last, by how fast they are used, and no faster, so that clients
// have the device. To free a page takes at most that it is read and that most of
// it is written.
type pace struct {
	rate   atomic.Int64 // bytes a second
	used   float64      // bytes of pages begun a second, lately
	allocs uint64
	at     time.Time
	debt   int64 // bytes moved and not waited for
}

const (
	slowestPace = 16 << 20
	paceFactor  = 4                     // of what is used
	paceStep    = 20 * time.Millisecond // waited for at a time
)

// measure looks at how fast pages are used.
func (p *pace) measure(s flashtier.Stats) {
	now := time.Now()
	if !p.at.IsZero() {
		begun := float64(s.PageAllocs-p.allocs) * float64(s.PageSize)
		p.used += (begun/now.Sub(p.at).Seconds() - p.used) / 8
	}
	p.at, p.allocs = now, s.PageAllocs
	p.rate.Store(max(slowestPace, int64(paceFactor*p.used)))
}

// spend counts n bytes, and waits as long as they should take, unless hurry says
// that there is no time.
func (p *pace) spend(n int64, hurry func() bool) {
	rate := max(slowestPace, p.rate.Load())
	step := int64(float64(rate) * paceStep.Seconds())
	for p.debt += n; p.debt >= step && !hurry(); p.debt -= step {
		time.Sleep(paceStep)
	}
	if hurry() {
		p.debt = 0
	}
}
