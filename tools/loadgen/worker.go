package loadgen

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// inBytes is how much is read at once.
const inBytes = 256 << 10

// longestWait bounds how late a worker notices that it should stop.
const longestWait = 50 * time.Millisecond

// worker is one thread: an epoll loop over its share of the connections. All
// that it touches per request is its own, but for supply and versions.
type worker struct {
	work    *Work
	chooser *chooser
	pacer   pacer
	poller  *poller
	conns   []*conn
	keys    keyspace
	counts  *counts
	live    *live        // copies of counts for the progress line
	stop    *atomic.Bool // end at once
	started time.Time
	in, out []byte // scratch

	inFlight  int
	exhausted bool  // nothing is left to be sent
	heard     int64 // when the last reply came, or the wait for one began
	replied   bool  // a reply came in this turn
	turn      int   // open loop: connection to try next
	dirty     []*conn
	clock     func() int64
}

func (w *worker) now() int64 { return int64(time.Since(w.started)) }

// adopt takes over a connected socket as the run's client of that number.
func (w *worker) adopt(fd int, number uint64) error {
	c := &conn{fd: fd, index: len(w.conns), number: number, ring: newRing(w.work.Depth, w.work.Multiget)}
	c.sender = sender{keys: &w.keys}
	c.receiver = receiver{keys: &w.keys, versions: w.chooser.versions, expiry: w.chooser.expiry, refill: w.chooser.refill, counts: w.counts, ledger: w.work.Ledger}
	w.conns = append(w.conns, c)
	return w.poller.add(fd, c.index)
}

// run sends and receives until the work is done.
func (w *worker) run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// An open loop wants to wake on time. Failing that it is late, and says so.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	w.clock = w.now
	if err := w.begin(); err != nil {
		return err
	}
	for !w.finished() {
		if err := w.turnOnce(); err != nil {
			return err
		}
	}
	w.live.publish(w.counts)
	return nil
}

func (w *worker) finished() bool {
	return w.stop.Load() || w.exhausted && w.inFlight == 0
}

// begin gives every connection of a closed loop its first batch.
func (w *worker) begin() error {
	if w.pacer.open() {
		return nil
	}
	for _, c := range w.conns {
		if err := w.refill(c); err != nil {
			return err
		}
	}
	return nil
}

// turnOnce is one turn of the loop: wait, serve what is ready, start what is due.
func (w *worker) turnOnce() error {
	events, err := w.poller.wait(w.patience())
	if err != nil {
		return err
	}
	for i := range events {
		if err := w.serve(w.conns[events[i].Fd], events[i].Events); err != nil {
			return err
		}
	}
	now := w.now()
	w.live.publish(w.counts)
	if w.pacer.open() {
		err = w.startDue(now)
	} else if w.work.Duration > 0 && now >= int64(w.work.Duration) {
		w.exhausted = true
	}
	if err != nil {
		return err
	}
	return w.watch(now)
}

// patience is how long to wait for replies.
func (w *worker) patience() time.Duration {
	if !w.pacer.open() || w.exhausted || w.roomy() == nil {
		return longestWait
	}
	return min(longestWait, time.Duration(int64(w.pacer.due)-w.now()))
}

func (w *worker) serve(c *conn, ready uint32) error {
	if ready&^unix.EPOLLOUT != 0 {
		if err := w.receive(c); err != nil {
			return err
		}
	}
	if ready&unix.EPOLLOUT != 0 {
		if err := w.send(c); err != nil {
			return err
		}
	}
	if c.ring.idle() && !w.pacer.open() {
		return w.refill(c)
	}
	return nil
}

func (w *worker) receive(c *conn) error {
	before := c.ring.head
	err := c.receive(w.in, w.clock)
	if replies := int(c.ring.head - before); replies > 0 {
		w.inFlight -= replies
		w.replied = true
	}
	return err
}

// refill sends a closed loop's next batch.
func (w *worker) refill(c *conn) error {
	now := w.now()
	for !w.exhausted && c.ring.room() {
		w.start(c, now)
	}
	return w.send(c)
}

// start puts the next request on c, if there is one, and gives its keys.
func (w *worker) start(c *conn, at int64) (keys int) {
	o := c.ring.push()
	o.start = at
	if !w.chooser.fill(o, c.number) {
		c.ring.unpush()
		w.exhausted = true
		return 0
	}
	if w.inFlight == 0 {
		w.heard = w.now()
	}
	w.inFlight++
	return len(o.asks)
}

// startDue starts what an open loop's timetable says, as far as connections
// have room. The run ends with the timetable, not with the clock: what was due
// before is still sent.
func (w *worker) startDue(now int64) error {
	for !w.exhausted && int64(w.pacer.due) <= now {
		c := w.roomy()
		if c == nil {
			break
		}
		if w.work.Duration > 0 && int64(w.pacer.due) >= int64(w.work.Duration) {
			w.exhausted = true
			break
		}
		w.pacer.advance(w.start(c, int64(w.pacer.due)))
		w.turn++
		w.dirty = append(w.dirty, c)
	}
	return w.sendDirty()
}

// roomy is the next connection in turn that can take a request.
func (w *worker) roomy() *conn {
	for range w.conns {
		c := w.conns[w.turn%len(w.conns)]
		if c.ring.room() {
			return c
		}
		w.turn++
	}
	return nil
}

func (w *worker) sendDirty() error {
	for _, c := range w.dirty {
		if err := w.send(c); err != nil {
			return err
		}
	}
	w.dirty = w.dirty[:0]
	return nil
}

// send writes what c has to send and has the poller tell when it can go on.
func (w *worker) send(c *conn) error {
	if err := c.send(w.out); err != nil {
		return err
	}
	if blocked := len(c.unsent) > 0; blocked != c.waiting {
		c.waiting = blocked
		return w.poller.wantWrite(c.fd, c.index, blocked)
	}
	return nil
}

// watch gives up on a server that has gone silent.
func (w *worker) watch(now int64) error {
	if w.replied {
		w.heard, w.replied = now, false
	}
	if w.inFlight > 0 && now-w.heard > int64(w.work.Timeout) {
		return fmt.Errorf("no reply for %v, %d requests unanswered", w.work.Timeout, w.inFlight)
	}
	return nil
}

func (w *worker) close() {
	for _, c := range w.conns {
		unix.Close(c.fd)
	}
	w.poller.close()
}
