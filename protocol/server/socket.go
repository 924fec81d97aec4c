package server

import (
	"io"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket is a nonblocking descriptor as a transport. Its system calls return
// at once, so they are made without telling Go's scheduler.
type socket struct{ fd int }

func (s *socket) read(b []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch {
		case errno == 0 && n == 0:
			return 0, io.EOF
		case errno == 0:
			return int(n), nil
		case errno == unix.EAGAIN:
			return 0, errAgain
		case errno != unix.EINTR:
			return 0, errno
		}
	}
}

// write uses sendto because of MSG_NOSIGNAL: a client that has gone must cost
// no SIGPIPE.
func (s *socket) write(b []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
		switch {
		case errno == 0:
			return int(n), nil
		case errno == unix.EAGAIN:
			return 0, errAgain
		case errno != unix.EINTR:
			return 0, errno
		}
	}
}

// last has the peer get what was written, before the socket is closed: a close that
// leaves bytes unread is a reset, which takes from the peer what it has not read yet.
// What comes later than this does the same, as with any server that does not linger.
func (s *socket) last() {
	unix.Shutdown(s.fd, unix.SHUT_WR)
	var unread [4 << 10]byte
	for range lastReads {
		if _, err := s.read(unread[:]); err != nil {
			return
		}
	}
}

// lastReads bounds what last takes of who sends without an end.
const lastReads = 64
