package main_test

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for something that takes milliseconds
// unless it is broken. Reached only by a failing test.
const patience = 10 * time.Second

// hearthd is built once for all tests of the package, with the race detector
// where the tests are. The file has another name, so that who ends a hearthd of
// his own by name does not end ours.
var hearthd struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// TestMain lets more tests run side by side than there are cores: most of what
// the tests of this package do is to wait for servers and their clocks.
func TestMain(m *testing.M) {
	flag.Parse()
	if p := flag.Lookup("test.parallel"); p != nil && p.Value.String() == p.DefValue {
		p.Value.Set("16")
	}
	status := m.Run()
	if hearthd.dir != "" {
		os.RemoveAll(hearthd.dir)
	}
	os.Exit(status)
}

// hearthdPath returns the server's binary.
func hearthdPath(t testing.TB) string {
	t.Helper()
	hearthd.once.Do(buildHearthd)
	if hearthd.err != nil {
		t.Fatal(hearthd.err)
	}
	return hearthd.path
}

func buildHearthd() {
	if hearthd.dir, hearthd.err = os.MkdirTemp("", "under-test"); hearthd.err != nil {
		return
	}
	hearthd.path = filepath.Join(hearthd.dir, "server")
	args := []string{"build", "-o", hearthd.path}
	if raceDetector() {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
		hearthd.err = fmt.Errorf("build hearthd: %w\n%s", err, out)
	}
}

// raceDetector tells whether this test runs under it. Servers then need several
// times the memory and the time.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}

// memcachedPath returns the peer's binary. Without one there is nothing to
// compare with: a user may skip that, the project's own run may not.
func memcachedPath(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("memcached")
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("memcached, the peer to compare with, is not installed: %v", err)
	}
	t.Skipf("memcached, the peer to compare with, is not installed (apt-get install memcached): %v", err)
	return ""
}

// running is a server process of a test.
type running struct {
	name    string
	addr    string
	cmd     *exec.Cmd
	stderr  lockedBuffer
	exited  chan struct{} // closed once the process has been reaped
	exitErr error         // of Wait; read after exited
	mayEnd  bool          // a test waits for its end
	flash   bool          // demote has something to do
}

// lockedBuffer keeps what a process prints.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var lastPort atomic.Int32

func init() { lastPort.Store(int32(os.Getpid())) }

// freePort returns a port that is free, below those that the kernel gives to
// clients: one of these may connect to itself while nobody listens there, and
// then nobody can.
func freePort(t testing.TB) string {
	t.Helper()
	for range 1000 {
		port := strconv.Itoa(12000 + int(lastPort.Add(1)%20000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// launch starts a process without waiting for it to listen.
func launch(t testing.TB, path string, args ...string) *running {
	t.Helper()
	s := &running{name: filepath.Base(path), exited: make(chan struct{})}
	if s.name != "memcached" {
		s.name = "hearthd"
	}
	s.cmd = exec.Command(path, args...)
	s.cmd.Stdout, s.cmd.Stderr = &s.stderr, &s.stderr
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	go func() {
		s.exitErr = s.cmd.Wait()
		close(s.exited)
	}()
	t.Cleanup(func() { s.stop(t) })
	return s
}

// startServer starts a server on a free port of the loopback and waits until
// it accepts connections.
func startServer(t testing.TB, path string, args ...string) *running {
	t.Helper()
	port := freePort(t)
	s := launch(t, path, append([]string{"-u", "root", "-l", "127.0.0.1", "-p", port, "-U", "0"}, args...)...)
	s.addr = "127.0.0.1:" + port
	for deadline := time.Now().Add(patience); ; {
		if c, err := net.Dial("tcp", s.addr); err == nil {
			c.Close()
			return s
		}
		select {
		case <-s.exited:
			t.Fatalf("%s %q ended at start: %v\n%s", s.name, args, s.exitErr, s.stderr.String())
		case <-time.After(2 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s %q does not listen\n%s", s.name, args, s.stderr.String())
		}
	}
}

// stop ends the process by SIGTERM; one that does not heed it has failed.
// memcached does within a second, which nobody wants to wait for.
func (s *running) stop(t testing.TB) {
	select {
	case <-s.exited:
		if !s.mayEnd {
			t.Errorf("%s ended by itself, %v:\n%s", s.name, s.exitErr, s.stderr.String())
		}
		return
	default:
	}
	if s.name == "memcached" {
		s.cmd.Process.Kill()
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	if !s.ends(patience) {
		t.Errorf("%s did not end within %v of SIGTERM", s.name, patience)
		s.cmd.Process.Kill()
		<-s.exited
	}
	if strings.Contains(s.stderr.String(), "DATA RACE") || strings.Contains(s.stderr.String(), "level=ERROR") {
		t.Errorf("%s printed:\n%s", s.name, s.stderr.String())
	}
}

// ends waits for the process to end, as it is expected to.
func (s *running) ends(within time.Duration) bool {
	s.mayEnd = true
	select {
	case <-s.exited:
		return true
	case <-time.After(within):
		return false
	}
}

// status returns the exit status of a process that has ended, -1 of one that
// a signal ended.
func (s *running) status() int { return s.cmd.ProcessState.ExitCode() }

// rss returns the resident memory of the process in bytes; VmHWM is its peak.
func (s *running) rss(t testing.TB, field string) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatalf("no %s in /proc status", field)
	return 0
}

// dial opens a connection that the test's end closes.
func (s *running) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", s.addr, patience)
	if err != nil {
		t.Fatalf("dial %s: %v\n%s", s.name, err, s.stderr.String())
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ask sends one request on a connection and returns its reply of one line,
// without the line's end.
func ask(c net.Conn, request string) (string, error) {
	c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write([]byte(request)); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

// stats returns what the server answers to stats or one of its subcommands.
func (s *running) stats(t testing.TB, sub string) map[string]string {
	t.Helper()
	c := s.dial(t)
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "%s\r\n", strings.TrimSpace("stats "+sub))
	all := map[string]string{}
	for in := bufio.NewReader(c); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("%s: stats %s: %v", s.name, sub, err)
		}
		if line == "END\r\n" {
			return all
		}
		fields := strings.SplitN(strings.TrimRight(line, "\r\n"), " ", 3)
		if len(fields) < 2 || fields[0] != "STAT" {
			t.Fatalf("%s: stats %s: got line %q", s.name, sub, line)
		}
		all[fields[1]] = strings.Join(fields[2:], " ")
	}
}

var errQuiet = errors.New("no more bytes")

// readQuiet reads until the server closes (nil) or nothing has come for quiet
// (errQuiet).
func readQuiet(c net.Conn, quiet time.Duration) ([]byte, error) {
	var all []byte
	buf := make([]byte, 64<<10)
	for {
		c.SetReadDeadline(time.Now().Add(quiet))
		n, err := c.Read(buf)
		all = append(all, buf[:n]...)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return all, errQuiet
		}
		if err != nil {
			return all, nil
		}
	}
}
