package hearth

import "time"

// tick is how coarse the cache's clock is; expiry has seconds.
const tick = 100 * time.Millisecond

// clock is the time by which items expire. It follows the wall clock, but not when
// that is set back: then it goes on as the monotonic clock does, which it is ahead by
// so much from then on, until the next start. Otherwise what was past its time would
// come back; memcached, which looks at the wall clock once, has the same answer.
type clock struct {
	started time.Time
	ahead   time.Duration
}

// at is the time for what the wall clock tells, so long after the start.
func (k *clock) at(wall time.Time, up time.Duration) time.Time {
	wall = wall.Round(0) // or Go would compare monotonic readings
	now := k.started.Round(0).Add(up + k.ahead)
	if wall.After(now) {
		k.ahead += wall.Sub(now)
		return wall
	}
	return now
}

// clockLoop advances the coarse clock and wakes those whose wait may be over.
func (c *Cache) clockLoop() {
	defer c.loops.Done()
	k := clock{started: c.started}
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-t.C:
			now := c.opts.Clock()
			c.advance(max(c.now.Load(), uint32(k.at(now, now.Sub(c.started)).Unix())))
			c.room.signal()
			c.hotGain.weigh()
			c.watchDevices()
		}
	}
}

// advance sets the clock and does what is due by it.
func (c *Cache) advance(now uint32) {
	c.now.Store(now)
	if c.flash != nil {
		c.written.note(now, c.flash.Written())
	}
	if at := c.flushAt.Load(); at != 0 && at <= now && c.flushAt.CompareAndSwap(at, 0) {
		c.flushNow()
	}
}

// Now is the cache's coarse clock in Unix seconds, by which items expire.
func (c *Cache) Now() uint32 { return c.now.Load() }
