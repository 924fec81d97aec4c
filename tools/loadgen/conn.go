package loadgen

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var errClosed = errors.New("server closed the connection")

// conn is one connection, driven by its worker's loop. Sockets do not block.
type conn struct {
	fd       int
	index    int    // among its worker's
	number   uint64 // among all of the run's
	ring     ring
	sender   sender
	receiver receiver
	unsent   []byte // built but not taken by the socket
	unread   []byte // received but not a whole line
	waiting  bool   // for the socket to take more
}

// dial connects to host:port, or to a Unix socket if addr has a slash.
func dial(addr string) (fd int, err error) {
	network := "tcp"
	if strings.Contains(addr, "/") {
		network = "unix"
	}
	nc, err := net.DialTimeout(network, addr, 10*time.Second)
	if err != nil {
		return -1, err
	}
	defer nc.Close()
	return takeSocket(nc.(syscall.Conn))
}

// takeSocket duplicates the socket away from the Go runtime's poller.
func takeSocket(nc syscall.Conn) (fd int, err error) {
	raw, err := nc.SyscallConn()
	if err != nil {
		return -1, err
	}
	var dupErr error
	err = raw.Control(func(old uintptr) {
		fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(err, dupErr); err != nil {
		return -1, fmt.Errorf("duplicate socket: %w", err)
	}
	return fd, nil
}

// send writes requests until the socket takes no more. out is scratch of
// outBytes + outSlack.
func (c *conn) send(out []byte) error {
	for {
		pending := c.unsent
		if len(pending) == 0 {
			pending = c.sender.build(out[:0], &c.ring)
		}
		if len(pending) == 0 {
			return nil
		}
		n, err := unix.Write(c.fd, pending)
		if err == unix.EAGAIN || err == unix.EINTR {
			n, err = 0, nil
		}
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		c.receiver.counts.sent += uint64(n)
		c.unsent = append(c.unsent[:0], pending[n:]...)
		if len(c.unsent) > 0 {
			return nil
		}
	}
}

// receive reads once and handles what came. in is scratch, at least twice
// maxLine; clock is read once the bytes are there.
func (c *conn) receive(in []byte, clock func() int64) error {
	kept := copy(in, c.unread)
	n, err := unix.Read(c.fd, in[kept:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return nil
	case err != nil:
		return fmt.Errorf("read: %w", err)
	case n == 0:
		return fmt.Errorf("%w, %d requests unanswered", errClosed, c.ring.tail-c.ring.head)
	}
	c.receiver.counts.received += uint64(n)
	buf := in[:kept+n]
	used, err := c.receiver.consume(buf, &c.ring, c.sender.part > 0, clock())
	c.unread = append(c.unread[:0], buf[used:]...)
	return err
}
