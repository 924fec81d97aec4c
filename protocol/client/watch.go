package client

import "time"

// watch has check called four times in the shorter of the two limits.
func (c *conn) watch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.timer = time.AfterFunc(c.checkEvery(), c.check)
	}
}

func (c *conn) checkEvery() time.Duration {
	return max(min(c.client.opts.Timeout, c.client.opts.IdleTimeout)/4, time.Millisecond)
}

// check ends the connection if it takes too long, or was idle for long.
func (c *conn) check() {
	now := sinceEpoch(time.Now())
	since, used := c.oldest()
	switch {
	case since != 0 && now-since > int64(c.client.opts.Timeout):
		c.fail(ErrTimeout)
	case now-used > int64(c.client.opts.IdleTimeout) && c.client.retire(c):
		c.fail(errRetired)
	default:
		c.watch()
	}
}

// oldest returns since when the connection owes something, or 0, and when it was
// last used.
func (c *conn) oldest() (since, used int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	since = c.head.Load()
	for _, calls := range [...][]*call{c.sent, c.queued} {
		if since == 0 && len(calls) > 0 {
			since = calls[0].begun
		}
	}
	if !c.ready.Load() {
		since = c.born
	}
	return since, c.used
}
