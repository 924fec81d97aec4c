package loadgen

import "time"

// pacer is the timetable of an open loop: requests start at fixed times,
// whether or not earlier ones were answered. A request that has to wait for a
// free connection still counts from the time it was due, so that a server's
// pause is seen by every request that should have been sent in it.
type pacer struct {
	perKey float64 // ns between this worker's keys; 0: closed loop
	due    float64 // when its next request starts, ns since the run's start
}

func newPacer(w *Work, worker int) pacer {
	if w.Rate == 0 {
		return pacer{}
	}
	gap := float64(time.Second) / w.Rate
	return pacer{perKey: gap * float64(w.Workers), due: gap * float64(worker)}
}

func (p *pacer) open() bool { return p.perKey > 0 }

// advance moves on by a request of n keys.
func (p *pacer) advance(n int) { p.due += p.perKey * float64(n) }
