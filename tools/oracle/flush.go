package oracle

import (
	"slices"
	"time"
)

// flushed is a flush_all that may have happened between begin and settled.
type flushed struct {
	id             uint64
	begin, settled time.Duration
	delay          time.Duration
	answered       bool
}

// Flush is a flush_all that is under way: an operation on all keys.
type Flush struct {
	o     *Oracle
	id    uint64
	delay time.Duration
}

// BeginFlush says that a flush_all is about to be sent, to happen after delay.
// The server has one such time, so an earlier flush_all that is still to come
// may be called off by this one.
func (o *Oracle) BeginFlush(delay time.Duration) *Flush {
	f := &Flush{o: o, id: o.versions.Add(1), delay: delay}
	o.flying.Add(1)
	o.change(func(e *era) {
		now := o.now()
		e.flushes = slices.Clone(e.flushes)
		for i := range e.flushes {
			if old := &e.flushes[i]; old.delay > 0 && old.settled > now {
				old.answered = false
			}
		}
		begin := now
		if delay > 0 {
			begin += max(0, delay-o.slack)
		}
		e.flushes = append(e.flushes, flushed{id: f.id, begin: begin, settled: never, delay: delay})
	})
	return f
}

// Applied ends a flush_all that was answered OK.
func (f *Flush) Applied() { f.over(true) }

// Unknown ends a flush_all whose reply was not received.
func (f *Flush) Unknown() { f.over(false) }

func (f *Flush) over(answered bool) {
	f.o.change(func(e *era) {
		now := f.o.now()
		e.flushes = slices.Clone(e.flushes)
		i := slices.IndexFunc(e.flushes, func(x flushed) bool { return x.id == f.id })
		x := &e.flushes[i]
		if !answered {
			return
		}
		x.answered, x.settled = true, now
		if f.delay > 0 {
			x.settled = now + f.delay + f.o.slack
			// One that was sent while this was under way may have called it off.
			x.answered = i == len(e.flushes)-1
		}
	})
	f.o.flying.Add(-1)
}

// forgetFlushes is called at the end of a run, when no operation is under way.
// Of the flushes that are over only the last matters; one of which nobody
// knows whether it happened can only excuse a miss.
func (e *era) forgetFlushes(slack, now time.Duration) {
	last := time.Duration(0)
	for _, f := range e.flushes {
		if f.answered && f.settled < now {
			last = max(last, f.begin)
		}
	}
	flushes := e.flushes
	e.flushes = nil
	for _, f := range flushes {
		if f.settled == never && f.delay > 0 {
			f.settled = now + f.delay + slack
		} else if f.settled == never {
			f.settled = now
		}
		if f.settled <= now && (!f.answered || f.begin < last) {
			e.unbind(f.settled)
		} else {
			e.flushes = append(e.flushes, f)
		}
	}
}

// flushedAt is when the last flush_all that was over before horizon began.
func (t *trial) flushedAt(horizon time.Duration) (begin time.Duration) {
	for _, f := range t.era.flushes {
		if f.answered && f.settled < horizon {
			begin = max(begin, f.begin)
		}
	}
	return begin
}
