package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// tlsInbound is what is read at once from a TLS client.
	tlsInbound = 4 << 10
	// tlsLinger is how long a client is given to take its last replies, unless
	// Options.IdleTimeout is less.
	tlsLinger = 5 * time.Second
)

// bridge ends TLS in front of an event loop, which knows descriptors only:
//
//	client <── TLS ──> client.Conn  ── inbound ──>  inner <── socket pair ──> loop
//	                                <── outbound ──
//
// To the loop the other end of the pair is a connection like any other: a full
// pair is a client that does not read, a shut down pair one that has ended its
// side, a closed one a client that has gone. The loop closes its end when it is
// done; then outbound comes to the end of what was answered, and closes the
// client.
type bridge struct {
	server  *Server
	client  *tls.Conn
	inner   *net.UnixConn
	buffers *sync.Pool
}

// admitTLS serves a new connection, which is counted already, once its client
// has shown that it speaks TLS.
func (s *Server) admitTLS(e endpoint, config *tls.Config) {
	s.handshakes.Add(1)
	s.bridges.Add(1)
	go func() {
		defer s.bridges.Done()
		defer s.curr.Add(-1)
		b := s.handshake(e, config)
		s.handshakes.Done()
		if b != nil {
			b.run()
		}
	}()
}

// handshake makes a bridge and gives its other end to a loop, or closes e.
func (s *Server) handshake(e endpoint, config *tls.Config) *bridge {
	raw, err := connOf(e.fd)
	if err != nil {
		s.acceptErrors.Add(1)
		return nil
	}
	ctx, cancel := context.WithTimeout(s.accepts, s.opt.AuthTimeout)
	defer cancel()
	client := tls.Server(raw, config)
	if err := client.HandshakeContext(ctx); err != nil {
		s.tlsErrors.Add(1)
		s.opt.Logger.Debug("TLS handshake failed", "peer", e.remote, "err", err)
		raw.Close()
		return nil
	}
	if !client.ConnectionState().DidResume {
		s.tlsSessions.Add(1)
	}
	inner, outer, err := pair()
	if err != nil {
		s.acceptErrors.Add(1)
		raw.Close()
		return nil
	}
	b := &bridge{server: s, client: client, inner: inner, buffers: &s.tlsBuffers}
	e.fd, e.bridge = outer, b
	s.give(e)
	return b
}

// connOf takes over a descriptor.
func connOf(fd int) (net.Conn, error) {
	file := os.NewFile(uintptr(fd), "")
	defer file.Close()
	return net.FileConn(file)
}

// pair makes two connected sockets, one for Go and one for a loop.
func pair() (inner *net.UnixConn, outer int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, -1, err
	}
	conn, err := connOf(fds[0])
	if err != nil {
		unix.Close(fds[1])
		return nil, -1, err
	}
	return conn.(*net.UnixConn), fds[1], nil
}

// run copies until the loop is done, or the client has gone.
func (b *bridge) run() {
	forget := context.AfterFunc(b.server.serves, b.abort)
	defer forget()
	var inbound sync.WaitGroup
	inbound.Go(b.inbound)
	if b.outbound() == io.EOF {
		b.client.Close() // says so to the client
	}
	b.abort()
	inbound.Wait()
}

// abort ends both copies at once.
func (b *bridge) abort() {
	b.client.NetConn().Close()
	b.inner.Close()
}

// closed is called by the loop when it has closed its end: what it has answered
// may still be on its way to a client that does not take it.
func (b *bridge) closed() {
	linger := tlsLinger
	if idle := b.server.opt.IdleTimeout; idle > 0 {
		linger = min(linger, idle)
	}
	b.client.SetWriteDeadline(time.Now().Add(linger))
}

// inbound copies from the client until its end, or until the loop is done.
func (b *bridge) inbound() {
	buf := make([]byte, tlsInbound)
	for {
		n, err := b.client.Read(buf)
		if n > 0 {
			if _, err := b.inner.Write(buf[:n]); err != nil {
				return
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			b.inner.CloseWrite()
			return
		case err != nil:
			b.abort()
			return
		}
	}
}

// outbound copies to the client until the loop is done, which is io.EOF, or the
// client has gone.
func (b *bridge) outbound() error {
	raw, err := b.inner.SyscallConn()
	for err == nil {
		err = b.pass(raw)
	}
	return err
}

// pass copies once. It takes a buffer only when there is something to copy.
func (b *bridge) pass(raw syscall.RawConn) error {
	var buf *[]byte
	var n int
	var failed error
	err := raw.Read(func(fd uintptr) bool {
		buf = b.buffers.Get().(*[]byte)
		n, failed = (&socket{int(fd)}).read(*buf)
		if failed == errAgain {
			b.buffers.Put(buf)
		}
		return failed != errAgain
	})
	if err != nil {
		return err
	}
	defer b.buffers.Put(buf)
	if failed != nil {
		return failed
	}
	_, err = b.client.Write((*buf)[:n])
	return err
}
