package server

// ringSize is how many Pendings of one connection are in flight.
const ringSize = 64

// ring keeps replies in order. It holds the Pendings of a connection, and
// behind each the length of the replies that were complete at once but have to
// wait for it; their bytes stand in the connection's tail. Its entries are lent
// by the pool while there are any.
type ring struct {
	at    *entries
	first int
	n     int
}

type entries [ringSize]entry

type entry struct {
	pending Pending
	drop    bool // its answer is not wanted: noreply
	stream  bool // it is a Stream
	ended   bool // it has been told that the client has ended its side
	after   int  // bytes of tail that follow the answer
}

func (r *ring) oldest() *entry { return &r.at[r.first] }

func (r *ring) newest() *entry { return &r.at[(r.first+r.n-1)%ringSize] }

func (c *Conn) push(p Pending, drop bool) {
	if c.ring.at == nil {
		c.ring.at = c.pool.getEntries()
	}
	c.ring.n++
	_, stream := p.(Stream)
	*c.ring.newest() = entry{pending: p, drop: drop, stream: stream}
	if c.lost {
		cancel(p)
	}
}

// Follow has p give the answer in place of the Pending whose Step calls it, and which
// returns dst as it was and false, and is not called again.
func (c *Conn) Follow(p Pending) {
	e := c.ring.oldest()
	_, e.stream = p.(Stream)
	e.pending, e.ended = p, false
	c.alone = c.alone || e.stream
	if c.lost {
		cancel(p)
	}
}

// step steps the oldest Pending, and what follows it.
func (c *Conn) step(e *entry) (out []byte, done bool) {
	for {
		p := e.pending
		if e.stream && c.lost {
			p.(Stream).Ended(true)
		}
		if out, done = p.Step(c.out); done || e.pending == p {
			return out, done
		}
	}
}

// lose tells what is pending that its client has gone.
func (c *Conn) lose() {
	if c.lost {
		return
	}
	c.lost = true
	for i := range c.ring.n {
		cancel(c.ring.at[(c.ring.first+i)%ringSize].pending)
	}
}

func cancel(p Pending) {
	if p, ok := p.(Canceler); ok {
		p.Cancel()
	}
}

func (r *ring) pop() {
	*r.oldest() = entry{}
	r.first = (r.first + 1) % ringSize
	r.n--
}

// sink is where the next reply goes: to the output, or behind what is pending.
func (c *Conn) sink() []byte {
	if c.ring.n > 0 {
		if c.tail == nil {
			c.tail = c.lend(0)
		}
		return c.tail
	}
	if c.out == nil {
		c.out = c.lend(0)
	}
	return c.out
}

// put stores back what sink gave out, with the replies appended to it.
func (c *Conn) put(b []byte) {
	if c.ring.n == 0 {
		c.out = b
		return
	}
	c.ring.newest().after += len(b) - len(c.tail)
	c.tail = b
}

func (c *Conn) say(reply string) { c.put(append(c.sink(), reply...)) }

// finish moves the answers that have come to the output, in order.
func (c *Conn) finish() {
	c.more = false
	for c.ring.n > 0 {
		e := c.ring.oldest()
		if e.stream && c.holds(e) {
			return
		}
		if c.out == nil {
			c.out = c.lend(0)
		}
		before := len(c.out)
		out, done := c.step(e)
		if !done {
			c.keep(out, before, e)
			return
		}
		if e.drop {
			out = out[:before]
		}
		if !e.stream {
			c.narrow(len(out) - before)
		}
		c.out = append(out, c.tail[c.moved:c.moved+e.after]...)
		c.moved += e.after
		c.ring.pop()
	}
	c.tail, c.moved, c.alone = c.tail[:0], 0, false
	if c.phase == doing {
		c.consume()
	}
}

// holds tells whether a stream has to wait until the client takes what there is.
// One that is told of the client's end may have a last word.
func (c *Conn) holds(e *entry) bool {
	if !e.ended && (c.peerDone || c.draining) {
		e.ended = true
		e.pending.(Stream).Ended(false)
		return false
	}
	return c.blocked
}

// keep keeps what was appended from before on by a Pending that is not done, if it
// is a piece of a stream.
func (c *Conn) keep(out []byte, before int, e *entry) {
	c.more = e.stream && len(out) > before
	if !c.more || e.drop {
		out = out[:before]
	}
	c.out = out
}

// narrow lets a connection whose answers are large have fewer of them in
// flight: a client that does not read still gets all those into its output.
func (c *Conn) narrow(answer int) {
	c.window = ringSize
	if answer > windowBytes/ringSize {
		c.window = max(1, windowBytes/answer)
	}
}

// room tells whether one more key may be looked up now.
func (c *Conn) room() bool {
	return !c.alone && c.ring.n < c.window && len(c.tail) < c.highWater && len(c.out)-c.sent < c.highWater
}

// discard steps the Pendings of a connection whose client has gone, and tells
// whether none is left.
func (c *Conn) discard() bool {
	c.body.drop()
	c.sent = 0
	for c.out = c.out[:0]; c.ring.n > 0; c.ring.pop() {
		out, done := c.step(c.ring.oldest())
		c.out = out[:0]
		if !done {
			return false
		}
	}
	c.tail, c.moved = c.tail[:0], 0
	return true
}
