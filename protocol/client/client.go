package client

import (
	"context"
	"sync"
	"time"

	"github.com/hearthcache/hearth/protocol"
)

// Client is a client of one server. All methods may be called by several
// goroutines at once.
type Client struct {
	addr     string
	opts     Options
	codec    codec
	slots    chan struct{} // one for each request on a connection, given up or not
	counters [protocol.Ops]counters

	mu      sync.Mutex
	conns   []*conn // that take requests; those being dialed, too
	refused int64   // when a connection last failed that had been of no use
	closed  bool
	running sync.WaitGroup // of the connections' goroutines
}

// New returns a client of the server at addr: host:port, or the path of a Unix
// socket, with a slash in it. It does not dial; the first request does. A client
// is to be closed.
func New(addr string, opts Options) (*Client, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Client{
		addr:    addr,
		opts:    opts,
		codec:   codecs[opts.Protocol],
		slots:   make(chan struct{}, opts.Connections*opts.Pipeline),
		refused: -refusedPause,
	}, nil
}

// Close closes all connections; what is under way fails with ErrClosed. It
// returns when all of the client's goroutines have ended.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	conns := c.conns
	c.conns = nil
	c.mu.Unlock()
	for _, conn := range conns {
		conn.fail(ErrClosed)
	}
	c.running.Wait()
	return nil
}

// do has the server answer k, which it frees, and counts the request.
func (c *Client) do(ctx context.Context, k *call) (answer, error) {
	op, multi := k.req.Op, len(k.keys)
	begun := time.Now()
	a, err := c.exchange(ctx, k)
	c.counters[op].count(&a, err, multi, time.Since(begun))
	return a, err
}

// exchange is do, uncounted.
func (c *Client) exchange(ctx context.Context, k *call) (answer, error) {
	if err := ctx.Err(); err != nil {
		k.free()
		return answer{}, err
	}
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		k.free()
		return answer{}, ctx.Err()
	}
	if err := c.send(k); err != nil {
		<-c.slots
		k.free()
		return answer{}, err
	}
	select {
	case <-k.done:
	case <-ctx.Done():
		if k.state.CompareAndSwap(underWay, givenUp) {
			return answer{}, ctx.Err()
		}
		<-k.done
	}
	a := k.answer
	k.free()
	return a, a.err
}

// send gives k, which has a slot, to a connection.
func (c *Client) send(k *call) error {
	k.begun = sinceEpoch(time.Now())
	for {
		conn, err := c.pick(k.begun)
		if err != nil {
			return err
		}
		if conn.send(k) {
			return nil
		}
		c.remove(conn)
	}
}

// refusedPause is how long, after a connection that was of no use, another is
// opened only where the others have no room: a server may have as many as it takes.
const refusedPause = int64(time.Second)

// pick returns the connection for the next request, which counts as under way
// there: the one with the fewest, one that is ready if possible. If all have
// some and there may be more connections, another is opened, but not waited for
// unless it must be. A slot is held, so if there may be no more, one has room.
func (c *Client) pick(now int64) (*conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	var best *conn
	for _, conn := range c.conns {
		if conn.underWay.Load() < int32(c.opts.Pipeline) && (best == nil || conn.before(best)) {
			best = conn
		}
	}
	switch {
	case best == nil:
		best = c.open()
	case best.underWay.Load() > 0 && len(c.conns) < c.opts.Connections && now > c.refused+refusedPause:
		c.open()
	}
	best.underWay.Add(1)
	return best, nil
}

// open makes another connection. Client.mu is held.
func (c *Client) open() *conn {
	conn := newConn(c)
	c.conns = append(c.conns, conn)
	c.running.Add(1)
	go conn.run()
	return conn
}

// remove has conn get no more requests.
func (c *Client) remove(conn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removeLocked(conn)
}

// removeLocked is remove; Client.mu is held.
func (c *Client) removeLocked(conn *conn) {
	for i, other := range c.conns {
		if other == conn {
			if !conn.useful.Load() {
				c.refused = sinceEpoch(time.Now())
			}
			last := len(c.conns) - 1
			c.conns[i], c.conns[last] = c.conns[last], nil
			c.conns = c.conns[:last]
			return
		}
	}
}

// retire has conn get no more requests if none is under way there, and tells
// whether that is so.
func (c *Client) retire(conn *conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn.underWay.Load() > 0 {
		return false
	}
	conn.useful.Store(true) // or could have been
	c.removeLocked(conn)
	return true
}
