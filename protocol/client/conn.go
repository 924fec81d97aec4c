package client

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// keepLarge is the most that a buffer keeps between requests, in bytes.
const keepLarge = 256 << 10

// conn is one connection: dialed, then ready, then failed. It may fail at any
// time, and never leaves that state. It takes calls from the beginning until it
// fails, and whoever is in the queues then is answered with the error.
type conn struct {
	client   *Client
	underWay atomic.Int32 // calls it was given and has not answered; grows only with client.mu held
	ready    atomic.Bool
	useful   atomic.Bool   // something was answered in earnest
	head     atomic.Int64  // since when the first of waiting has been under way; 0 if there is none
	wake     chan struct{} // to write
	life     context.Context
	end      context.CancelFunc // of life: of dialing and of write
	born     int64

	mu      sync.Mutex
	nc      net.Conn // nil while it is dialed; the one below TLS
	out     []byte   // to be written
	writing bool     // write is at work or has been told
	queued  []*call  // whose bytes are in out
	sent    []*call  // whose bytes write has taken
	used    int64    // when it got its last call
	timer   *time.Timer
	opaque  uint32 // of the next call
	err     error  // why it failed

	// Of the goroutine run.
	waiting []*call // taken from sent; those before next are nil
	next    int
	settled []*call // no longer in waiting, and not told yet
	in      input
}

func newConn(client *Client) *conn {
	c := &conn{client: client, wake: make(chan struct{}, 1), born: sinceEpoch(time.Now())}
	c.used = c.born
	c.life, c.end = context.WithCancel(context.Background())
	return c
}

// before tells whether a request goes rather to c than to d.
func (c *conn) before(d *conn) bool {
	if ready := c.ready.Load(); ready != d.ready.Load() {
		return ready
	}
	return c.underWay.Load() < d.underWay.Load()
}

// send takes k, which counts as under way. It fails if c has.
func (c *conn) send(k *call) bool {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		c.underWay.Add(-1)
		return false
	}
	before := len(c.out)
	k.opaque = c.opaque
	c.opaque += uint32(len(k.keys)) + 1
	c.out = c.client.codec.appendCall(c.out, k)
	k.sent = len(c.out) - before
	k.req.Value = nil
	c.queued = append(c.queued, k)
	c.used = k.begun
	wake := !c.writing
	c.writing = true
	c.mu.Unlock()
	if wake {
		c.wake <- struct{}{}
	}
	return true
}

// run is the life of a connection.
func (c *conn) run() {
	defer c.client.running.Done()
	c.watch()
	c.fail(c.serve())
	c.take(nil) // the callers of what was not written wait, too
	for k := c.awaited(); k != nil; k = c.awaited() {
		k.err = &ConnError{c.client.addr, c.err}
		c.advance()
		c.answer(k)
	}
}

// serve dials, logs in and takes answers until something fails.
func (c *conn) serve() error {
	nc, err := c.connect()
	if err != nil {
		return err
	}
	c.ready.Store(true)
	var writer sync.WaitGroup
	writer.Go(func() { c.write(nc) })
	err = c.read(nc)
	c.fail(err)
	writer.Wait()
	return err
}

// fail ends the connection, for the first time it is called.
func (c *conn) fail(err error) {
	c.mu.Lock()
	nc := c.nc
	if c.err == nil {
		c.err = err
		if c.timer != nil {
			c.timer.Stop()
		}
	}
	c.mu.Unlock()
	c.client.remove(c)
	c.end()
	if nc != nil {
		nc.Close()
	}
}

// write writes what there is to write, all of it in one go. Callers that are
// ready to run are let run first: what they ask goes into the same write.
func (c *conn) write(nc net.Conn) {
	var spare []byte
	for {
		select {
		case <-c.wake:
		case <-c.life.Done():
			return
		}
		runtime.Gosched()
		for b := c.take(spare); b != nil; b = c.take(spare) {
			if _, err := nc.Write(b); err != nil {
				c.fail(fmt.Errorf("write: %w", err))
				return
			}
			if spare = b; cap(b) > keepLarge {
				spare = nil
			}
		}
	}
}

// take returns what is to be written, and leaves spare for what is next; nil if
// there is nothing, and write is told when there is.
func (c *conn) take(spare []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.out) == 0 {
		c.writing = false
		return nil
	}
	b := c.out
	c.out = spare[:0]
	c.sent = append(c.sent, c.queued...)
	clear(c.queued)
	c.queued = c.queued[:0]
	return b
}

// read takes answers until something fails. What was read at once is delivered
// at once, and after a failure behind it has taken the connection from the pool:
// or who has his answer could send the next request into it.
func (c *conn) read(nc net.Conn) error {
	for {
		if err := c.in.fill(nc); err != nil {
			return err
		}
		err := c.understand()
		if err != nil {
			c.fail(err)
		}
		for i, k := range c.settled {
			c.settled[i] = nil
			c.answer(k)
		}
		c.settled = c.settled[:0]
		if err != nil {
			return err
		}
	}
}

// understand settles the calls that what was read answers.
func (c *conn) understand() error {
	for c.in.held() > 0 {
		k := c.awaited()
		if k == nil {
			return malformed(c.in.rest())
		}
		n, done, err := c.client.codec.next(c.in.rest(), k, c.client.opts.MaxValue)
		c.in.start += n
		k.received += n
		if done {
			c.settled = append(c.settled, k)
			if ordinary(k.err) {
				c.useful.Store(true)
			}
			c.advance()
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
	}
	return nil
}

// awaited returns the call that the next reply answers. Nil if none was written:
// what comes before its request is no answer.
func (c *conn) awaited() *call {
	if c.next == len(c.waiting) {
		c.mu.Lock()
		c.waiting, c.sent = c.sent, c.waiting[:0]
		c.mu.Unlock()
		c.next = 0
		if len(c.waiting) == 0 {
			return nil
		}
		c.head.Store(c.waiting[0].begun)
	}
	return c.waiting[c.next]
}

// advance is done with the first of waiting.
func (c *conn) advance() {
	c.waiting[c.next] = nil
	c.next++
	head := int64(0)
	if c.next < len(c.waiting) {
		head = c.waiting[c.next].begun
	}
	c.head.Store(head)
}

// answer gives k to its caller. The connection is free for the next request before
// the caller can send one.
func (c *conn) answer(k *call) {
	c.underWay.Add(-1)
	<-c.client.slots
	if k.state.CompareAndSwap(underWay, answered) {
		k.done <- struct{}{}
	} else {
		k.free()
	}
}
