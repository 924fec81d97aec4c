package loadgen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startLimit bounds how long a server may take to answer after its start, and
// to end after SIGTERM.
const startLimit = 30 * time.Second

var errServerEnded = errors.New("server ended")

// Server is a process under test, or one that others run.
type Server struct {
	Addr string
	PID  int // 0: unknown
	dir  string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	tail *tailBuffer   // the end of its output
}

// StartServer runs a command line by the shell, with {port} replaced by a free
// port of 127.0.0.1, {dir} by a new empty directory and {flags} by flags, and
// waits until it speaks memcached's protocol. A command that is only HOST:PORT
// means a server that is already running.
func StartServer(ctx context.Context, command, flags string) (*Server, error) {
	if _, _, err := net.SplitHostPort(command); err == nil && !strings.ContainsAny(command, " {") {
		return &Server{Addr: command}, nil
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "hearth-bench-")
	if err != nil {
		return nil, err
	}
	s := &Server{Addr: net.JoinHostPort("127.0.0.1", port), dir: dir, done: make(chan struct{}), tail: &tailBuffer{}}
	line := strings.NewReplacer("{port}", port, "{dir}", dir, "{flags}", expand(flags, dir)).Replace(command)
	if err := s.start(ctx, line); err != nil {
		s.Stop()
		return nil, fmt.Errorf("start %q: %w", line, err)
	}
	return s, nil
}

func expand(flags, dir string) string { return strings.ReplaceAll(flags, "{dir}", dir) }

// start runs line. The shell gives way to the command, so the process is the
// server itself.
func (s *Server) start(ctx context.Context, line string) error {
	s.cmd = exec.Command("/bin/sh", "-c", "exec "+line)
	s.cmd.Stdout, s.cmd.Stderr = s.tail, s.tail
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.PID = s.cmd.Process.Pid
	go func() {
		s.cmd.Wait()
		close(s.done)
	}()
	return s.awaitReady(ctx)
}

func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		err := s.askVersion()
		if err == nil {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("%w: %s", errServerEnded, s.tail.String())
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-retry.C:
		}
	}
}

func (s *Server) askVersion() error {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("version\r\n")); err != nil {
		return err
	}
	reply := make([]byte, 256)
	n, err := conn.Read(reply)
	if err == nil && !bytes.HasPrefix(reply[:n], []byte("VERSION ")) {
		err = fmt.Errorf("%w: %.40q to version", errUnexpected, reply[:n])
	}
	return err
}

// Stop ends the server that StartServer has started and removes its directory.
func (s *Server) Stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.done:
		case <-time.After(startLimit):
		}
		// Whatever is left of its process group.
		syscall.Kill(-s.PID, syscall.SIGKILL)
		<-s.done
	}
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}

// freePort is a port nothing listened on a moment ago.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

// tailBuffer keeps the last bytes written to it.
type tailBuffer struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 4096

func (t *tailBuffer) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - tailBytes; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

func (t *tailBuffer) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}
