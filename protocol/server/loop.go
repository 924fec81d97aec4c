package server

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	eventBatch = 256 // events taken from the kernel at a time
	// watched events: edges, so that a descriptor is registered once.
	watched = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
	hangup  = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
)

// counters are written by one loop and read by Stats.
type counters struct {
	read, written, yields, kicks atomic.Uint64
}

// loop is an event loop and the connections that live on it. Only its own
// goroutine touches what is not marked otherwise.
type loop struct {
	server *Server
	index  int
	limits limits
	pool   pool
	count  counters

	epoll   int
	event   int // eventfd, armed by edge: it need not be read
	timer   int // timerfd of the sweep
	tick    time.Duration
	maxIdle uint32        // ticks; 0 is any number
	maxLock uint32        // ticks in which to log in
	ticks   atomic.Uint32 // written by the loop

	connsMu sync.Mutex // guards changes of conns, and of what is in end of those in it
	conns   []*Conn    // by descriptor

	events   [eventBatch]unix.EpollEvent
	live     int     // connections, and Pendings' remains of gone ones
	ready    []*Conn // to be served, in order
	serving  []*Conn // the ready list of this round
	free     []*Conn
	draining bool

	// What other goroutines leave here:
	notices  atomic.Pointer[Conn] // stack, through nextNotice
	asleep   atomic.Bool          // about to wait, or waiting, for events
	posted   atomic.Bool
	mu       sync.Mutex // guards posts and closed
	posts    []func()
	finished bool
}

func newLoop(s *Server, index int) (l *loop, err error) {
	l = &loop{server: s, index: index, limits: s.limits(), epoll: -1, event: -1, timer: -1}
	defer func() {
		if err != nil {
			l.closeDescriptors()
		}
	}()
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll_create: %w", err)
	}
	if l.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if err = l.watch(l.event, unix.EPOLLIN|unix.EPOLLET); err != nil {
		return nil, err
	}
	l.setTicks(&s.opt)
	return l, l.startTimer()
}

// setTicks has the loop sweep four times in the shortest time that it is to keep,
// or once a second if that is more often.
func (l *loop) setTicks(o *Options) {
	l.tick = time.Second
	if o.IdleTimeout > 0 {
		l.tick = min(l.tick, o.IdleTimeout/4)
	}
	if o.Authenticator != nil {
		l.tick = min(l.tick, o.AuthTimeout/4)
	}
	l.tick = max(l.tick, 10*time.Millisecond)
	l.maxIdle = uint32((o.IdleTimeout + l.tick - 1) / l.tick)
	l.maxLock = uint32((o.AuthTimeout + l.tick - 1) / l.tick)
}

func (l *loop) startTimer() (err error) {
	if l.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return fmt.Errorf("timerfd: %w", err)
	}
	at := unix.NsecToTimespec(int64(l.tick))
	if err = unix.TimerfdSettime(l.timer, 0, &unix.ItimerSpec{Interval: at, Value: at}, nil); err != nil {
		return fmt.Errorf("timerfd: %w", err)
	}
	return l.watch(l.timer, unix.EPOLLIN|unix.EPOLLET)
}

func (l *loop) watch(fd int, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd)}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// run is the loop.
func (l *loop) run() {
	for !l.draining || l.live > 0 {
		l.take(l.wait())
		l.takePosts()
		l.takeNotices()
		l.serveReady()
	}
	l.mu.Lock()
	l.finished = true
	l.closeDescriptors()
	l.mu.Unlock()
}

func (l *loop) closeDescriptors() {
	for _, fd := range [...]int{l.epoll, l.event, l.timer} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// wait returns how many events there are, and waits for one if there is
// nothing else to do.
func (l *loop) wait() int {
	if len(l.ready) > 0 {
		return l.poll()
	}
	if n := l.poll(); n > 0 {
		return n
	}
	n := 0
	l.asleep.Store(true)
	if l.notices.Load() == nil && !l.posted.Load() {
		n, _ = unix.EpollWait(l.epoll, l.events[:], -1)
	}
	l.asleep.Store(false)
	return max(n, 0)
}

// poll looks for events without telling Go's scheduler, since it cannot block.
func (l *loop) poll() int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epoll), uintptr(unsafe.Pointer(&l.events)), eventBatch, 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// take marks what the first n events tell.
func (l *loop) take(n int) {
	for i := range l.events[:n] {
		ev := &l.events[i]
		fd := int(ev.Fd)
		if fd == l.timer {
			l.sweep()
		}
		if fd >= len(l.conns) || l.conns[fd] == nil {
			continue
		}
		c := l.conns[fd]
		if ev.Events&(unix.EPOLLIN|hangup) != 0 {
			c.readable = true
			c.peerDone = c.peerDone || ev.Events&hangup != 0
		}
		if ev.Events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			c.blocked = false
		}
		if ev.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			c.lose()
		}
		if now := l.ticks.Load(); c.lastTick.Load() != now {
			c.lastTick.Store(now)
		}
		l.enqueue(c)
	}
}

func (l *loop) enqueue(c *Conn) {
	if !c.queued {
		c.queued = true
		l.ready = append(l.ready, c)
	}
}

// serveReady serves those who were ready when it began; who yields goes to the
// end of the next round.
func (l *loop) serveReady() {
	l.serving, l.ready = l.ready, l.serving[:0]
	for i, c := range l.serving {
		l.serving[i] = nil
		c.queued = false
		if c.gone {
			l.reap(c)
			continue
		}
		switch c.serve() {
		case yielded:
			l.count.yields.Add(1)
			l.enqueue(c)
		case ended:
			l.close(c, c.reason())
		}
	}
}

// open takes in an accepted connection.
func (l *loop) open(e endpoint) {
	c := l.newConn()
	c.slot.fd = e.fd
	c.lockedAt = l.ticks.Load()
	c.lastTick.Store(c.lockedAt)
	l.connsMu.Lock()
	for e.fd >= len(l.conns) {
		l.conns = append(l.conns, nil)
	}
	c.end = e
	l.conns[e.fd] = c
	l.connsMu.Unlock()
	l.live++
	if f := l.server.opt.Opened; f != nil {
		f(c)
	}
	if l.watch(e.fd, watched) != nil {
		l.close(c, CloseError)
	}
}

func (l *loop) newConn() *Conn {
	if last := len(l.free) - 1; last >= 0 {
		c := l.free[last]
		l.free = l.free[:last]
		c.reset()
		return c
	}
	c := &Conn{host: l, pool: &l.pool, count: &l.count, handler: l.server.handler, limits: &l.limits, index: l.index}
	c.warmer, _ = l.server.handler.(Warmer)
	c.wire = &c.slot
	c.reset()
	return c
}

// close closes the descriptor. The Conn lives on until nothing is pending.
func (l *loop) close(c *Conn, why CloseReason) {
	if f := l.server.opt.Closed; f != nil {
		f(c, why)
	}
	l.connsMu.Lock()
	l.conns[c.slot.fd] = nil
	l.connsMu.Unlock()
	if c.closing && !c.failed {
		c.slot.last()
	}
	unix.Close(c.slot.fd)
	if c.end.bridge != nil {
		c.end.bridge.closed()
	} else {
		l.server.curr.Add(-1)
	}
	c.lose()
	c.gone = true
	l.reap(c)
}

// reap frees a Conn that has gone, once nothing is pending.
func (l *loop) reap(c *Conn) {
	if !c.spare && c.discard() {
		c.release()
		c.spare = true
		l.live--
		l.free = append(l.free, c)
	}
}

// sweep closes connections that have been silent for too long, and those that
// have not logged in. One that waits for an answer is not silent, unless it does not
// take what there is of it.
func (l *loop) sweep() {
	var drained [8]byte
	unix.Read(l.timer, drained[:])
	now := l.ticks.Add(1)
	for _, c := range l.conns {
		switch {
		case c == nil:
		case c.locked && now-c.lockedAt > l.maxLock:
			l.server.opt.Logger.Debug("not logged in in time", "peer", c.end.remote.String())
			l.close(c, CloseLogin)
		case l.maxIdle > 0 && (c.ring.n == 0 || c.blocked) && now-c.lastTick.Load() > l.maxIdle:
			l.count.kicks.Add(1)
			l.close(c, CloseIdle)
		}
	}
}

// drain has every connection end with what it has received.
func (l *loop) drain() {
	l.draining = true
	for _, c := range l.conns {
		if c != nil {
			c.draining, c.readable = true, true
			l.enqueue(c)
		}
	}
}

// abandonAll closes every connection as it is.
func (l *loop) abandonAll() {
	for _, c := range l.conns {
		if c != nil {
			l.close(c, CloseShutdown)
		}
	}
}

// notified leaves a note that c has been notified, and wakes the loop.
func (l *loop) notified(c *Conn) {
	for {
		head := l.notices.Load()
		c.nextNotice = head
		if l.notices.CompareAndSwap(head, c) {
			break
		}
	}
	l.wake()
}

// takeNotices readies the connections that have been notified. Once hasNotice
// is false a Conn may be put on the stack again, so its link is read before.
func (l *loop) takeNotices() {
	if l.notices.Load() == nil {
		return
	}
	for c := l.notices.Swap(nil); c != nil; {
		next := c.nextNotice
		c.nextNotice = nil
		c.hasNotice.Store(false)
		l.enqueue(c)
		c = next
	}
}

// post has the loop run f.
func (l *loop) post(f func()) {
	l.mu.Lock()
	l.posts = append(l.posts, f)
	l.mu.Unlock()
	l.posted.Store(true)
	l.wake()
}

func (l *loop) takePosts() {
	if !l.posted.Swap(false) {
		return
	}
	l.mu.Lock()
	posts := l.posts
	l.posts = nil
	l.mu.Unlock()
	for _, f := range posts {
		f()
	}
}

// wake ends the loop's wait. The lock keeps a late Notify from writing to a
// descriptor that has been closed.
func (l *loop) wake() {
	if !l.asleep.Load() || !l.asleep.CompareAndSwap(true, false) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.finished {
		unix.Write(l.event, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}
