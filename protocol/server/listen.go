package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tooMany is what a connection over the limit is told.
const tooMany = "ERROR Too many open connections\r\n"

// acceptPause is how long accepting rests when there are no descriptors left.
const acceptPause = 10 * time.Millisecond

// listener is a listening socket. It waits in Go's poller, by way of an
// os.File since a net.Listener does not let one accept by oneself; what it
// accepts goes to the loops and never into that poller.
type listener struct {
	file *os.File
	raw  syscall.RawConn
	fd   int
	addr net.Addr
	path string // of a Unix socket, to be unlinked

	config *tls.Config // nil where clients do not speak TLS
}

func (l *listener) close() {
	if l.file != nil {
		l.file.Close()
	}
	if l.path != "" {
		os.Remove(l.path)
	}
}

// Listen accepts connections at a TCP address, such as "127.0.0.1:11211". It
// may be called several times. It returns the address, for when the port was 0.
func (s *Server) Listen(address string) (net.Addr, error) { return s.ListenTLS(address, nil) }

// ListenTLS is Listen for clients that speak TLS, as config says. So as to have
// other certificates later, set its GetConfigForClient. A client that has not
// shaken hands after Options.AuthTimeout is closed.
func (s *Server) ListenTLS(address string, config *tls.Config) (net.Addr, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	return l.Addr(), s.Serve(l, config)
}

// ListenUnix accepts connections at a Unix socket with the given permissions.
// A socket left at path by an earlier run is replaced.
func (s *Server) ListenUnix(path string, mode fs.FileMode) (net.Addr, error) {
	if st, err := os.Lstat(path); err == nil && st.Mode().Type() == fs.ModeSocket {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("server: %w", err)
		}
	}
	l, err := listenUnix(path, mode)
	if err != nil {
		return nil, fmt.Errorf("server: listen at %s: %w", path, err)
	}
	return l.Addr(), s.Serve(l, nil)
}

// listenUnix sets the permissions before anybody can connect.
func listenUnix(path string, mode fs.FileMode) (net.Listener, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close()
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return nil, err
	}
	if err := errors.Join(os.Chmod(path, mode), unix.Listen(fd, 1)); err != nil {
		os.Remove(path)
		return nil, err
	}
	return net.FileListener(file)
}

// Serve accepts connections from l, which must be a *net.TCPListener or a
// *net.UnixListener, and closes it; a Unix socket is removed in the end. Where
// config is not nil the clients speak TLS: see ListenTLS.
func (s *Server) Serve(l net.Listener, config *tls.Config) error {
	defer l.Close()
	ln := &listener{addr: l.Addr(), config: config}
	set := func(int) error { return nil }
	switch l := l.(type) {
	case *net.TCPListener:
		set = setTCP
	case *net.UnixListener:
		l.SetUnlinkOnClose(false)
		ln.path = l.Addr().String()
	}
	if err := s.start(ln, l, set); err != nil {
		ln.close()
		return fmt.Errorf("server: listen: %w", err)
	}
	return nil
}

// setTCP sets options that what is accepted inherits.
func setTCP(fd int) error {
	return errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1))
}

// start gives ln a copy of l's descriptor and accepts from it.
func (s *Server) start(ln *listener, l net.Listener, set func(fd int) error) error {
	filed, ok := l.(interface{ File() (*os.File, error) })
	if !ok {
		return fmt.Errorf("%T has no descriptor", l)
	}
	var err error
	if ln.file, err = filed.File(); err != nil {
		return err
	}
	if ln.raw, err = ln.file.SyscallConn(); err != nil {
		return err
	}
	var failed error
	err = ln.raw.Control(func(fd uintptr) {
		ln.fd = int(fd)
		failed = errors.Join(set(ln.fd), unix.Listen(ln.fd, s.opt.Backlog))
	})
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	return s.add(ln)
}

// add starts the goroutine that accepts from ln, unless it is too late.
func (s *Server) add(ln *listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.listeners = append(s.listeners, ln)
	s.accepting.Add(1)
	go func() {
		defer s.accepting.Done()
		s.acceptFrom(ln)
	}()
	return nil
}

// acceptFrom runs until the listener is closed.
func (s *Server) acceptFrom(ln *listener) {
	for {
		var fd int
		var from unix.Sockaddr
		var failed error
		err := ln.raw.Read(func(lfd uintptr) bool {
			fd, from, failed = unix.Accept4(int(lfd), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			return failed != unix.EAGAIN
		})
		switch {
		case err != nil:
			return
		case failed == nil:
			s.admit(endpoint{fd: fd, remote: remoteAddr(from, ln.addr), listen: ln.addr}, ln.config)
		case failed == unix.EINTR || failed == unix.ECONNABORTED:
		default:
			s.acceptErrors.Add(1)
			time.Sleep(acceptPause)
		}
	}
}

// admit takes a new connection in, or turns it away.
func (s *Server) admit(e endpoint, config *tls.Config) {
	if s.curr.Add(1) > int64(s.opt.MaxConns) {
		s.curr.Add(-1)
		s.rejected.Add(1)
		if config == nil {
			unix.Write(e.fd, []byte(tooMany))
		}
		unix.Close(e.fd)
		return
	}
	s.total.Add(1)
	if config != nil {
		s.admitTLS(e, config)
		return
	}
	s.give(e)
}

// give gives a connection to a loop.
func (s *Server) give(e endpoint) {
	l := s.loops[s.next.Add(1)%uint64(len(s.loops))]
	l.post(func() { l.open(e) })
}

// stopAccepting returns when no loop is given a connection any more.
func (s *Server) stopAccepting() {
	s.mu.Lock()
	s.closed = true
	for _, l := range s.listeners {
		l.close()
	}
	s.listeners = nil
	s.mu.Unlock()
	s.accepting.Wait()
	s.stopHandshakes()
	s.handshakes.Wait()
}
