package server

import (
	"context"
	"io"
	"net"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/text"
)

// Local executes requests in process, without a socket: it has a Handler answer
// them as a connection would, in the same protocols and byte for byte. A proxy
// answers from a store of its own by it.
//
// Do executes one request. Start, Next and Poll have up to 64 under way at once,
// with their replies in order; as on a connection, a change is not overtaken and
// overtakes nothing. Execute takes the bytes that a client would send.
//
// A Local is for one goroutine at a time; give each its own, they cost little. A
// reply holds until the Local is used again. At steady state nothing is allocated.
type Local struct {
	handler Handler
	limits  limits
	pool    pool
	count   counters

	wake    chan struct{}
	calls   []*call // requests whose replies are not taken, the oldest first
	begun   int     // how many of them the Handler has seen
	stream  *call   // of Execute
	leaving []*call // given up, with something pending
	free    []*call
}

// call is a connection to nobody.
type call struct {
	Conn
	input []byte // what is still to be read
	reply []byte
	bytes []byte // of the request, so that its sender may go on
	given bool   // the reply has been given out
}

// inProcess is where a call comes from.
var inProcess = &net.UnixAddr{Name: "in process", Net: "unix"}

// NewLocal makes a Local. Of the options only MaxValue and Protocols count, and
// these for Execute.
func NewLocal(h Handler, o Options) *Local {
	o = o.withDefaults()
	l := &Local{handler: h, wake: make(chan struct{}, 1)}
	l.limits = limits{requests: o.Requests, highWater: highWater, parser: text.Parser{MaxValue: o.MaxValue}, protocols: o.Protocols}
	return l
}

// Do executes r and returns the reply to it, which is empty where r wants none.
// The bytes of r are copied. If ctx ends before the reply is there, Do returns its
// error: a retrieval is given up then; of a change it is not known whether it is
// or will be made. It panics if replies of Start have not been taken.
//
// A retrieval in text has its keys in Args, or if that is empty, one in Key.
func (l *Local) Do(ctx context.Context, r *protocol.Request) ([]byte, error) {
	if l.reclaim(); len(l.calls) > 0 {
		panic("server: Local.Do with replies of Start not taken")
	}
	l.Start(r)
	reply, err := l.Next(ctx)
	if err != nil {
		l.giveUp(l.calls[0])
		l.calls, l.begun = l.calls[:0], 0
	}
	return reply, err
}

// Start begins to execute r, of which the bytes are copied, and does not wait. Its
// reply is for Next or Poll to take.
func (l *Local) Start(r *protocol.Request) {
	l.reclaim()
	c := l.newCall()
	c.load(r)
	l.calls = append(l.calls, c)
	l.advance()
}

// Len is how many replies there are to take, or to wait for.
func (l *Local) Len() int {
	if len(l.calls) > 0 && l.calls[0].given {
		return len(l.calls) - 1
	}
	return len(l.calls)
}

// Poll takes the oldest reply if it is there. If not, Ready says when to ask again.
func (l *Local) Poll() (reply []byte, ok bool) {
	l.reclaim()
	if l.advance(); l.begun == 0 || !l.calls[0].done() {
		return nil, false
	}
	l.calls[0].given = true
	return l.calls[0].reply, true
}

// Next waits for the oldest reply and takes it. It returns the error of ctx if that
// ends first, which loses nothing, and io.EOF if there is nothing to wait for.
func (l *Local) Next(ctx context.Context) ([]byte, error) {
	for {
		if reply, ok := l.Poll(); ok {
			return reply, nil
		}
		if len(l.calls) == 0 {
			return nil, io.EOF
		}
		if err := l.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// Ready receives once Poll may have a reply that it had not before. It may also
// receive in vain.
func (l *Local) Ready() <-chan struct{} { return l.wake }

// Execute executes the requests of in, in any of the protocols, and returns all
// replies. A request of which the end is missing is kept, and goes on with the
// next Execute. Where a server would close the connection, after quit for example,
// the error is io.EOF; the next Execute is a new connection then, and so it is
// after an error of ctx.
func (l *Local) Execute(ctx context.Context, in []byte) ([]byte, error) {
	l.reclaim()
	c := l.stream
	if c == nil {
		c = l.newCall()
		l.stream = c
	}
	c.input, c.readable, c.reply = in, true, c.reply[:0]
	for {
		c.hasNotice.Store(false)
		v := c.run()
		switch {
		case v == ended:
			l.stream = nil
			l.giveUp(c)
			return c.reply, io.EOF
		case len(c.input) == 0 && c.idle():
			return c.reply, nil
		}
		if err := l.wait(ctx); err != nil {
			l.stream = nil
			l.giveUp(c)
			return nil, err
		}
	}
}

// Close gives up what is under way and waits until the Handler has nothing of it
// any more. The Local must not be used after it.
func (l *Local) Close() {
	for _, c := range l.calls {
		l.giveUp(c)
	}
	l.calls, l.begun = nil, 0
	if l.stream != nil {
		l.giveUp(l.stream)
		l.stream = nil
	}
	for l.leave(); len(l.leaving) > 0; l.leave() {
		<-l.wake
	}
}

func (l *Local) notified(*Conn) {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *Local) wait(ctx context.Context) error {
	select {
	case <-l.wake:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newCall takes a call that nobody has any more, or makes one.
func (l *Local) newCall() *call {
	if last := len(l.free) - 1; last >= 0 {
		c := l.free[last]
		l.free = l.free[:last]
		c.reset()
		c.hasNotice.Store(false)
		c.given, c.reply = false, c.reply[:0]
		return c
	}
	c := &call{Conn: Conn{host: l, pool: &l.pool, count: &l.count, handler: l.handler, limits: &l.limits}}
	c.warmer, _ = l.handler.(Warmer)
	c.wire = c
	c.end = endpoint{fd: -1, remote: inProcess, listen: inProcess}
	c.reset()
	return c
}

// reclaim frees the call whose reply was given out, and those given up that have
// nothing pending any more.
func (l *Local) reclaim() {
	if len(l.calls) > 0 && l.calls[0].given {
		l.recycle(l.calls[0])
		copy(l.calls, l.calls[1:])
		l.calls = l.calls[:len(l.calls)-1]
		l.begun--
	}
	l.leave()
}

// leave goes on with the calls that were given up.
func (l *Local) leave() {
	left := l.leaving[:0]
	for _, c := range l.leaving {
		c.hasNotice.Store(false)
		if !c.discard() {
			left = append(left, c)
			continue
		}
		l.recycle(c)
	}
	clear(l.leaving[len(left):])
	l.leaving = left
}

func (l *Local) giveUp(c *call) {
	c.lose()
	l.leaving = append(l.leaving, c)
}

func (l *Local) recycle(c *call) {
	c.release()
	c.input = nil
	if cap(c.reply) > keepSize {
		c.reply = nil
	}
	if cap(c.bytes) > keepSize {
		c.bytes = nil
	}
	l.free = append(l.free, c)
}

// advance goes on with the calls that have been notified, and begins those whose
// turn it is.
func (l *Local) advance() {
	alone, open := false, 0
	for _, c := range l.calls[:l.begun] {
		if c.hasNotice.Load() {
			c.hasNotice.Store(false)
			c.run()
		}
		if !c.done() {
			open++
			alone = alone || c.exclusive()
		}
	}
	for l.begun < len(l.calls) && len(l.leaving) < ringSize && open < ringSize {
		c := l.calls[l.begun]
		if alone || open > 0 && c.exclusive() {
			return
		}
		l.begun++
		c.begin()
		if c.run(); !c.done() {
			open++
			alone = c.exclusive()
		}
	}
}

// load gives the call a copy of r.
func (c *call) load(r *protocol.Request) {
	c.req = *r
	if r.Multi() && len(r.Args) == 0 {
		c.req.Args = r.Key
	}
	if n := len(r.Key) + len(c.req.Args) + len(r.Value) + len(r.Echo); n > cap(c.bytes) {
		c.bytes = make([]byte, 0, n)
	}
	c.bytes = c.bytes[:0]
	for _, part := range [...]*[]byte{&c.req.Key, &c.req.Args, &c.req.Value, &c.req.Echo} {
		from := len(c.bytes)
		c.bytes = append(c.bytes, *part...)
		*part = c.bytes[from:len(c.bytes):len(c.bytes)]
	}
}

// exclusive tells whether nothing may be under way beside the call.
func (c *call) exclusive() bool { return !c.req.Op.Retrieval() || c.changes() }

func (c *call) run() verdict {
	for {
		if v := c.serve(); v != yielded {
			return v
		}
	}
}

// idle tells whether nothing is under way.
func (c *call) idle() bool { return c.phase == parsing && c.ring.n == 0 && len(c.out) == 0 }

func (c *call) done() bool { return c.idle() || c.closing }

func (c *call) read(b []byte) (int, error) {
	n := copy(b, c.input)
	c.input = c.input[n:]
	if n == 0 {
		return 0, errAgain
	}
	return n, nil
}

func (c *call) write(b []byte) (int, error) {
	c.reply = append(c.reply, b...)
	return len(b), nil
}
