package server

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/binary"
	"github.com/hearthcache/hearth/protocol/text"
)

const (
	// highWater is how many bytes of output are collected before they must
	// be written: no request is executed while more are waiting.
	highWater = 256 << 10
	// windowBytes is what all the answers in flight should not exceed.
	windowBytes = 4 << 20
)

// errAgain is the error of a transport that would have to wait.
var errAgain = errors.New("server: try again")

// transport moves a connection's bytes and never blocks: it fails with
// errAgain instead. The end of the input is io.EOF.
type transport interface {
	read(b []byte) (int, error)
	write(b []byte) (int, error)
}

// host is what a connection lives on: a loop.
type host interface {
	notified(c *Conn)
}

// limits are those of one connection.
type limits struct {
	requests  int // per serve
	highWater int
	parser    text.Parser
	protocols Protocols
	gate      *gate // nil where nobody has to log in
}

// phase is how far the current request has got.
type phase uint8

const (
	parsing   phase = iota // none, or not all of it is there
	keys                   // a retrieval with keys left in req.Args
	piece                  // the same, and the line goes on
	single                 // a retrieval of one key, in the meta or the binary protocol
	held                   // a command; executed once nothing before it is pending
	doing                  // a command that is the only Pending
	announced              // a command whose value is to be received, not begun
	receiving              // the same, begun
	refused                // an invalid request, to be answered
)

// verdict is why serve returned.
type verdict uint8

const (
	waiting verdict = iota // for the client or a Pending
	yielded                // more could be done, but others have waited too
	ended                  // the connection is to be closed
)

// Conn is a connection.
//
// What stands in its read buffer from parsed on is not moved while anything is
// pending or a request is half executed, because requests point into it.
type Conn struct {
	host    host
	wire    transport
	pool    *pool
	count   *counters
	handler Handler
	warmer  Warmer // the handler, if it is one
	limits  *limits
	index   int // of its loop

	parser  text.Parser
	packets binary.Parser // in place of parser, if binary
	binary  bool          // the connection speaks the binary protocol

	req       protocol.Request
	phase     phase
	ahead     int    // keys of the current request that are warm
	length    int    // of the current request, in bytes of in
	in        []byte // read buffer
	parsed    int    // bytes of in that are done with
	out       []byte // write buffer
	sent      int    // bytes of out that are written
	ring      ring
	window    int    // how many Pendings may be in flight
	highWater int    // how much may be in out, and in tail, for another request to be executed
	alone     bool   // what is pending changes an item: nothing may overtake it
	more      bool   // a stream has given a piece and may give another
	tail      []byte // replies behind a Pending
	moved     int    // bytes of tail that are in out
	lent      int    // bytes of all three buffers, as the pool knows them
	body      body   // while receiving

	hungry   bool // the parser needs more than in holds
	readable bool // a read may give something
	quit     bool // the client said so
	peerDone bool // the peer has shut down its side: read until the end is seen
	draining bool // treat the end of what is there as the end of the input
	eof      bool // nothing more will come
	blocked  bool // the client does not take what is in out
	closing  bool // close once all is answered
	failed   bool // close now
	lost     bool // the client has gone: nobody will read what is answered
	fresh    bool // no byte seen yet

	locked     bool   // the client has not logged in, and has to
	challenged bool   // it has begun to, and owes its credentials
	intruder   bool   // it is closed for its failures to
	failures   int    // how often it failed to
	lockedAt   uint32 // tick at which it was locked out
	user       string // who has logged in

	slot   socket
	end    endpoint // set while nobody else sees the connection
	queued bool     // on the loop's ready list
	gone   bool     // closed, but Pendings are left
	spare  bool     // on the loop's free list

	// What Conns reads, written by the loop:
	state    atomic.Uint32 // a ConnState
	lastTick atomic.Uint32 // of the loop when bytes last moved

	hasNotice  atomic.Bool
	nextNotice *Conn
}

// Notify tells the connection that a Pending may be able to go on. It never
// blocks, may be called from any goroutine, and may be called too often; the
// tag is not used. It makes a Conn the notifier of its own Pendings.
func (c *Conn) Notify(uint64) {
	if !c.hasNotice.Load() && c.hasNotice.CompareAndSwap(false, true) {
		c.host.notified(c)
	}
}

// Loop is the number of the loop that runs the connection, from 0: a Handler
// may keep counters by it that no two loops share.
func (c *Conn) Loop() int { return c.index }

// reset readies c for a new client.
func (c *Conn) reset() {
	c.parser, c.binary = c.limits.parser, false
	c.alone = false
	c.phase, c.length, c.parsed, c.sent, c.window = parsing, 0, 0, 0, ringSize
	c.hungry, c.readable, c.fresh = true, true, true
	c.peerDone, c.draining, c.eof, c.blocked = false, false, false, false
	c.lost = false
	c.closing, c.failed, c.gone, c.spare, c.quit = false, false, false, false, false
	c.challenged, c.intruder, c.failures, c.user = false, false, 0, ""
	c.lock(c.limits.gate != nil)
	c.state.Store(uint32(ConnRead))
}

// serve takes the connection as far as it can go without waiting.
func (c *Conn) serve() verdict {
	for left := c.limits.requests; ; left-- {
		c.fill()
		for left > 0 && c.parse() && c.execute() {
			left--
		}
		c.finish()
		c.flush()
		switch {
		case c.failed || c.finished():
			c.settle()
			return ended
		case !c.ready():
			c.settle()
			return waiting
		case left <= 0 || c.more || c.phase == receiving: // a piece is a turn
			return yielded
		}
	}
}

// ready tells whether another round would get further.
func (c *Conn) ready() bool {
	switch {
	case c.blocked:
		return false
	case c.more:
		return true
	case c.phase == held || c.phase == announced:
		return c.ring.n == 0
	case c.phase == doing:
		return false
	case c.phase == receiving:
		return c.readable && !c.eof && len(c.body.piece) > 0
	case c.phase != parsing:
		return c.room()
	case c.hungry:
		return c.readable && !c.eof && (c.ring.n == 0 || len(c.in) < cap(c.in))
	}
	return !c.closing && c.room()
}

// finished tells whether the connection has come to its end.
func (c *Conn) finished() bool {
	return (c.closing || c.eof && c.hungry) && c.ring.n == 0 && len(c.out) == c.sent
}

// fill reads once, if that is what is needed to go on.
func (c *Conn) fill() {
	if !c.hungry || !c.readable || c.eof || c.blocked || c.closing {
		return
	}
	free := c.space()
	if len(free) == 0 {
		return
	}
	n, err := c.wire.read(free)
	switch {
	case n > 0:
		c.count.read.Add(uint64(n))
		c.filled(n)
		// A short read has emptied the socket; but if the peer is done
		// its end of file is still behind.
		c.readable = n == len(free) || c.peerDone
	case err == errAgain:
		c.readable = false
	case err == io.EOF:
		c.eof, c.readable = true, false
	default:
		c.failed = true
	}
	if c.draining && !c.readable {
		c.eof = true
	}
}

// space is where to read to; nowhere if there is no room now.
func (c *Conn) space() []byte {
	switch {
	case c.phase == receiving:
		return c.body.piece
	case !c.makeRoom():
		return nil
	}
	return c.in[len(c.in):cap(c.in)]
}

// filled takes note of n bytes that were read to space.
func (c *Conn) filled(n int) {
	if c.phase == receiving {
		c.body.took(n)
		return
	}
	c.in = c.in[:len(c.in)+n]
	c.hungry = len(c.in)-c.parsed < c.need()
}

// parse makes sure that there is a request to execute.
func (c *Conn) parse() bool {
	if c.phase != parsing {
		return c.phase != doing
	}
	if c.hungry || c.closing || c.blocked || !c.room() {
		return false
	}
	if c.fresh && c.parsed < len(c.in) {
		c.fresh = false
		c.negotiate(c.in[c.parsed])
	}
	n, status := c.next()
	c.length = n
	switch status {
	case protocol.Complete:
		c.begin()
	case protocol.Partial:
		c.phase = piece
	case protocol.Invalid:
		c.phase = refused
	case protocol.Incomplete:
		c.parsed += n
		c.hungry = true
	case protocol.Body:
		c.phase = announced
	case protocol.Close:
		c.closing = true
	}
	return c.phase != parsing
}

// begin has the request that is there executed.
func (c *Conn) begin() {
	switch {
	case !c.req.Op.Retrieval() || c.locked:
		c.phase = held
	case c.req.Multi():
		c.phase = keys
	default:
		c.phase = single
	}
}

// changes tells whether the request is a retrieval that may change what it finds.
func (c *Conn) changes() bool { return c.req.Op.Touches() || c.req.Vivify || c.req.Recache }

// execute takes the current request as far as it can go and tells whether it
// is done with.
func (c *Conn) execute() bool {
	switch c.phase {
	case held:
		return c.do()
	case refused:
		c.refuse()
		c.consume()
		return true
	case announced:
		return c.accept() && c.receive()
	case receiving:
		return c.receive()
	}
	for c.room() && !c.blocked {
		if c.phase == single {
			c.get()
			c.consume()
			return true
		}
		c.warm()
		key, rest := text.NextKey(c.req.Args)
		if key == nil {
			if c.phase == keys {
				c.say(protocol.End)
			}
			c.consume()
			return true
		}
		c.req.Key, c.req.Args = key, rest
		c.get()
	}
	return false
}

// get looks up the request's key.
func (c *Conn) get() {
	dst, p := c.handler.Get(c, &c.req, c.sink())
	c.put(dst)
	if p != nil {
		c.push(p, false)
		c.alone = c.changes() || c.ring.newest().stream // of large values one at a time
	}
}

// warm readies the keys to come, if there are several.
func (c *Conn) warm() {
	if c.ahead > 0 {
		c.ahead--
	} else if c.warmer != nil && bytes.IndexByte(c.req.Args, ' ') >= 0 {
		c.ahead = c.warmer.Warm(c.req.Args) - 1
	}
}

// do executes a command that is not a retrieval.
func (c *Conn) do() bool {
	if c.ring.n > 0 {
		return false
	}
	if c.limits.gate != nil && c.guard() {
		return c.phase != doing
	}
	if c.req.Op == protocol.OpQuit {
		c.bye()
		c.closing, c.quit = true, true
		c.consume()
		return false
	}
	dst := c.sink()
	before := len(dst)
	dst, p := c.handler.Do(c, &c.req, dst)
	return c.done(dst, before, p)
}

// done is for a command that a handler has executed: the output with its reply, how
// long that was before, and what is pending.
func (c *Conn) done(dst []byte, before int, p Pending) bool {
	if c.req.Noreply || p != nil {
		dst = dst[:before]
	}
	c.out = dst
	if p != nil {
		c.push(p, c.req.Noreply)
		c.phase = doing
		return false
	}
	c.consume()
	return true
}

// consume is done with the current request's bytes.
func (c *Conn) consume() {
	c.parsed += c.length
	c.phase = parsing
	c.ahead = 0
}

// flush writes until all is written or the client must read first.
func (c *Conn) flush() {
	for c.sent < len(c.out) && !c.blocked && !c.failed {
		n, err := c.wire.write(c.out[c.sent:])
		if n > 0 {
			c.sent += n
			c.count.written.Add(uint64(n))
		}
		switch {
		case err == errAgain:
			c.blocked = true
		case err != nil:
			c.failed = true
		}
	}
	if c.sent == len(c.out) {
		c.out, c.sent = c.out[:0], 0
	}
}
