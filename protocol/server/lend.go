package server

import "github.com/hearthcache/hearth/protocol/text"

// lend takes a buffer for n bytes from the pool.
func (c *Conn) lend(n int) []byte {
	b := c.pool.get(n)
	c.lent += cap(b)
	return b
}

func (c *Conn) giveBack(b []byte) {
	c.lent -= cap(b)
	c.pool.put(b)
}

// makeRoom readies in for reading at least one byte more. It fails while
// requests that are pending point into a full buffer.
func (c *Conn) makeRoom() bool {
	if c.in == nil {
		c.in = c.lend(bufferSize)
	}
	if c.ring.n > 0 {
		return len(c.in) < cap(c.in)
	}
	unparsed := len(c.in) - c.parsed
	need := max(c.need(), unparsed+1)
	switch {
	case unparsed == 0:
		c.in, c.parsed = c.in[:0], 0
	case c.parsed > 0 && (c.parsed+need > cap(c.in) || unparsed < c.parsed):
		copy(c.in, c.in[c.parsed:])
		c.in, c.parsed = c.in[:unparsed], 0
	}
	if need > cap(c.in) {
		if c.need() == 0 { // a long line
			need = min(2*cap(c.in), text.MaxLine+bufferSize)
		}
		c.grow(need, unparsed)
	}
	return true
}

// grow gets a buffer for need bytes, of which so many are there. To announce a
// large value is cheap: the buffer becomes as large only as bytes arrive.
func (c *Conn) grow(need, there int) {
	if there == cap(c.in) || cap(c.in) < eagerSize {
		c.move(min(need, max(2*there, eagerSize)))
	}
}

// move puts what is unparsed into another buffer.
func (c *Conn) move(size int) {
	b := append(c.lend(size), c.in[c.parsed:]...)
	c.giveBack(c.in)
	c.in, c.parsed = b, 0
}

// settle gives back the buffers that are not needed for waiting.
func (c *Conn) settle() {
	c.show()
	// Handlers may have let out and tail grow.
	if held := cap(c.in) + cap(c.out) + cap(c.tail); held != c.lent {
		c.pool.total.Add(int64(held - c.lent))
		c.lent = held
	}
	if c.out != nil && len(c.out) == 0 {
		c.giveBack(c.out)
		c.out = nil
	}
	if c.ring.at != nil && c.ring.n == 0 {
		c.pool.rings = append(c.pool.rings, c.ring.at)
		c.ring.at = nil
	}
	if c.tail != nil && c.ring.n == 0 {
		c.giveBack(c.tail)
		c.tail = nil
	}
	if c.in == nil || c.ring.n > 0 || c.phase != parsing {
		return
	}
	switch unparsed := len(c.in) - c.parsed; {
	case unparsed == 0:
		c.giveBack(c.in)
		c.in, c.parsed = nil, 0
	case cap(c.in) > bufferSize && max(unparsed, c.need()) < bufferSize/2:
		c.move(bufferSize)
	}
}

// release gives back all buffers: nothing is pending any more.
func (c *Conn) release() {
	c.out, c.tail, c.phase = c.out[:0], c.tail[:0], parsing
	c.in, c.parsed = c.in[:0], 0
	c.settle()
}
