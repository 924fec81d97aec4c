package loadgen

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller is an epoll set whose members are known by their index.
type poller struct {
	fd     int
	coarse bool // the kernel has no epoll_pwait2: waits are whole milliseconds
	events [256]unix.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create: %w", err)
	}
	return &poller{fd: fd}, nil
}

func (p *poller) close() error { return unix.Close(p.fd) }

func (p *poller) add(fd, index int) error { return p.control(unix.EPOLL_CTL_ADD, fd, index, false) }

// wantWrite sets whether the poller also reports that fd can be written.
func (p *poller) wantWrite(fd, index int, want bool) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, index, want)
}

func (p *poller) control(operation, fd, index int, write bool) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(index)}
	if write {
		event.Events |= unix.EPOLLOUT
	}
	if err := unix.EpollCtl(p.fd, operation, fd, &event); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// wait gives what is ready, after at most timeout.
func (p *poller) wait(timeout time.Duration) ([]unix.EpollEvent, error) {
	n, err := p.waitOnce(max(0, timeout))
	if err == unix.EINTR {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("epoll_wait: %w", err)
	}
	return p.events[:n], nil
}

func (p *poller) waitOnce(timeout time.Duration) (int, error) {
	if !p.coarse && timeout < time.Millisecond {
		n, err := p.waitFine(timeout)
		if err != unix.ENOSYS {
			return n, err
		}
		p.coarse = true
	}
	return unix.EpollWait(p.fd, p.events[:], int(timeout/time.Millisecond))
}

// waitFine waits by the nanosecond, which an open loop needs.
func (p *poller) waitFine(timeout time.Duration) (int, error) {
	limit := unix.NsecToTimespec(int64(timeout))
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])),
		uintptr(len(p.events)), uintptr(unsafe.Pointer(&limit)), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
