package server

import (
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
}

func (l *listener) close() {
	l.file.Close()
	if l.path != "" {
		os.Remove(l.path)
	}
}

// Listen accepts connections at a TCP address, such as "127.0.0.1:11211". It
// may be called several times. It returns the address, for when the port was 0.
func (s *Server) Listen(address string) (net.Addr, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	defer l.Close()
	// Options are inherited by what is accepted.
	err = s.start(l.(*net.TCPListener), "", func(fd int) error {
		return errors.Join(
			unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1))
	})
	if err != nil {
		return nil, err
	}
	return l.Addr(), nil
}

// ListenUnix accepts connections at a Unix socket with the given permissions.
// A socket left at path by an earlier run is replaced.
func (s *Server) ListenUnix(path string, mode fs.FileMode) (net.Addr, error) {
	if st, err := os.Lstat(path); err == nil && st.Mode().Type() == fs.ModeSocket {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("server: %w", err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	defer l.Close()
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := os.Chmod(path, mode); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if err := s.start(l.(*net.UnixListener), path, func(int) error { return nil }); err != nil {
		return nil, err
	}
	return l.Addr(), nil
}

// fileListener is a net.Listener that is a descriptor.
type fileListener interface {
	net.Listener
	File() (*os.File, error)
}

// start takes over a copy of l's descriptor and accepts from it.
func (s *Server) start(l fileListener, path string, set func(fd int) error) error {
	file, err := l.File()
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	ln := &listener{file: file, addr: l.Addr(), path: path}
	if ln.raw, err = file.SyscallConn(); err == nil {
		var failed error
		err = ln.raw.Control(func(fd uintptr) {
			ln.fd = int(fd)
			failed = errors.Join(set(int(fd)), unix.Listen(int(fd), s.opt.Backlog))
		})
		err = errors.Join(err, failed)
	}
	if err == nil {
		err = s.add(ln)
	}
	if err != nil {
		ln.close()
		return fmt.Errorf("server: listen: %w", err)
	}
	return nil
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
			s.admit(endpoint{fd: fd, remote: remoteAddr(from, ln.addr), listen: ln.addr})
		case failed == unix.EINTR || failed == unix.ECONNABORTED:
		default:
			s.acceptErrors.Add(1)
			time.Sleep(acceptPause)
		}
	}
}

// admit gives a new connection to a loop, or turns it away.
func (s *Server) admit(e endpoint) {
	if s.curr.Add(1) > int64(s.opt.MaxConns) {
		s.curr.Add(-1)
		s.rejected.Add(1)
		unix.Write(e.fd, []byte(tooMany))
		unix.Close(e.fd)
		return
	}
	s.total.Add(1)
	l := s.loops[s.next.Add(1)%uint64(len(s.loops))]
	l.post(func() { l.open(e) })
}

func (s *Server) stopAccepting() {
	s.mu.Lock()
	s.closed = true
	for _, l := range s.listeners {
		l.close()
	}
	s.listeners = nil
	s.mu.Unlock()
	s.accepting.Wait()
}
