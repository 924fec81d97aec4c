package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What clients can do to a server that is no matter of request and reply, what
// an operator can do to it, and what it must survive.

const mib = 1 << 20

// startHearthd starts the server with these arguments.
func startHearthd(t testing.TB, args ...string) *running {
	t.Helper()
	return startServer(t, hearthdPath(t), args...)
}

// unharmed wants a request of a new client answered within a second, and the
// server's memory to have grown by at most growth since it was before.
func unharmed(t *testing.T, s *running, before, growth int64) {
	t.Helper()
	began := time.Now()
	got, err := ask(s.dial(t), "set unharmed 0 0 1\r\nx\r\n")
	if took := time.Since(began); got != "STORED" || took > 5*time.Second {
		t.Errorf("another client got %q, %v after %v", got, err, took)
	}
	if now := s.rss(t, "VmRSS"); now > before+growth && !raceDetector() {
		t.Errorf("resident memory grew from %d to %d KiB, want at most %d more", before>>10, now>>10, growth>>10)
	}
}

// pour writes parts of b over and over until n bytes are written or the server
// has taken nothing for stalled, and returns how many it took.
func pour(c net.Conn, b []byte, n int, stalled time.Duration) (int, error) {
	written := 0
	for written < n {
		c.SetWriteDeadline(time.Now().Add(stalled))
		k, err := c.Write(b[:min(len(b), n-written)])
		written += k
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// TestNoNewline sends lines that do not end.
func TestNoNewline(t *testing.T) {
	t.Parallel()
	s := startHearthd(t)
	before := s.rss(t, "VmRSS")
	for _, begin := range []string{"", "set ", "bogus ", "delete ", "mg "} {
		c := s.dial(t)
		fmt.Fprint(c, begin)
		if n, err := pour(c, bytes.Repeat([]byte("x"), 64<<10), mib, patience); err == nil {
			if err := expectClose(c); err != nil {
				t.Errorf("%q and %d bytes without a newline: %v", begin, n, err)
			}
		}
	}
	unharmed(t, s, before, 16*mib)
}

// TestEndlessRetrieval sends a get of ever more keys, then of one key without
// end. memcached's buffer grows with them.
func TestEndlessRetrieval(t *testing.T) {
	t.Parallel()
	s := startHearthd(t)
	before := s.rss(t, "VmRSS")
	c := s.dial(t)
	fmt.Fprint(c, "get")
	size := 64 * mib
	if raceDetector() {
		size /= 32
	}
	if n, err := pour(c, bytes.Repeat([]byte(" nothing"), 8<<10), size, patience); err != nil {
		t.Fatalf("after %d bytes of keys: %v", n, err)
	}
	if got, err := ask(c, " end\r\n"); got != "END" {
		t.Errorf("the get with %d bytes of keys ended in %q, %v", size, got, err)
	}
	unharmed(t, s, before, 32*mib)

	c = s.dial(t)
	fmt.Fprint(c, "get ")
	pour(c, bytes.Repeat([]byte("k"), 64<<10), size, time.Second)
	unharmed(t, s, before, 32*mib)
}

// TestHalfRequests leaves many clients in the middle of a request, of every
// kind of middle, and then lets them finish.
func TestHalfRequests(t *testing.T) {
	t.Parallel()
	s := startHearthd(t, "-m", "64")
	value := strings.Repeat("v", 100_000)
	whole := fmt.Sprintf("set half 0 0 %d\r\n%s\r\n", len(value), value)
	var cs []net.Conn
	var rest []string
	for _, at := range []int{1, 3, 10, 20, 21, 22, 30, 5000, 50_000, len(whole) - 2, len(whole) - 1} {
		for range 10 {
			c := s.dial(t)
			fmt.Fprint(c, whole[:at])
			cs, rest = append(cs, c), append(rest, whole[at:])
		}
	}
	busy := s.dial(t)
	for range 100 {
		if got, err := ask(busy, "set busy 0 0 1\r\nx\r\n"); got != "STORED" {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	for i, c := range cs {
		if got, err := ask(c, rest[i]); got != "STORED" {
			t.Errorf("the rest, %d bytes, got %q, %v", len(rest[i]), got, err)
		}
	}
}

// TestNeverReads has clients ask for much more than they read. What waits for
// them is bounded; when they read after all they get everything.
func TestNeverReads(t *testing.T) {
	t.Parallel()
	s := startHearthd(t, "-m", "64")
	const size = 500_000
	if got, err := ask(s.dial(t), fmt.Sprintf("set big 0 0 %d\r\n%s\r\n", size, strings.Repeat("b", size))); got != "STORED" {
		t.Fatalf("got %q, %v", got, err)
	}
	before := s.rss(t, "VmRSS")
	var cs []net.Conn
	for range 10 {
		c := s.dial(t)
		c.(*net.TCPConn).SetReadBuffer(64 << 10)
		n, err := pour(c, bytes.Repeat([]byte("get big\r\n"), 1000), 64*mib, time.Second)
		if err == nil {
			t.Errorf("the server took %d bytes of gets without being read from", n)
		}
		cs = append(cs, c)
	}
	unharmed(t, s, before, 64*mib)
	reply := fmt.Sprintf("VALUE big 0 %d\r\n%s\r\nEND\r\n", size, strings.Repeat("b", size))
	got := make([]byte, len(reply))
	for _, c := range cs[:2] {
		for range 20 {
			c.SetReadDeadline(time.Now().Add(patience))
			if n, err := io.ReadFull(c, got); err != nil || string(got) != reply {
				t.Fatalf("reading at last: %d bytes, %v", n, err)
			}
		}
	}
}

// TestManyConnections uses a thousand at a time, twice, so that what ended ones
// held must have come back.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	s := startHearthd(t, "-c", "2100")
	for round := range 2 {
		var cs []net.Conn
		for i := range 1000 {
			c := s.dial(t)
			cs = append(cs, c)
			fmt.Fprintf(c, "set c%d 0 0 1\r\nx\r\nget c%d\r\n", i, i)
		}
		for i, c := range cs {
			want := fmt.Sprintf("STORED\r\nVALUE c%d 0 1\r\nx\r\nEND\r\n", i)
			got := make([]byte, len(want))
			c.SetReadDeadline(time.Now().Add(patience))
			if n, err := io.ReadFull(c, got); string(got) != want {
				t.Fatalf("round %d, connection %d: got %q, %v", round, i, got[:n], err)
			}
			c.Close()
		}
	}
}

// TestTooManyConnections goes over -c: the one too many is told so, the others
// go on, and a place that becomes free is free.
func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	s := startHearthd(t, "-c", "10")
	waitStat(t, s, "curr_connections", "1") // the one that asks
	var cs []net.Conn
	for i := range 10 {
		c := s.dial(t)
		if got, err := ask(c, "get a\r\n"); got != "END" {
			t.Fatalf("connection %d: got %q, %v", i, got, err)
		}
		cs = append(cs, c)
	}
	for range 5 {
		c := s.dial(t)
		c.SetReadDeadline(time.Now().Add(patience))
		if got, err := io.ReadAll(c); string(got) != "ERROR Too many open connections\r\n" || err != nil {
			t.Errorf("one too many: got %q, %v", got, err)
		}
	}
	for i, c := range cs {
		if got, err := ask(c, "get a\r\n"); got != "END" {
			t.Errorf("connection %d: got %q, %v", i, got, err)
		}
	}
	cs[0].Close()
	for deadline := time.Now().Add(patience); ; {
		if got, _ := ask(s.dial(t), "get a\r\n"); got == "END" {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the place that became free is not: %q", got)
		}
	}
	cs[1].Close()
	waitStat(t, s, "rejected_connections", "5")
}

// waitStat waits for a statistic; connections are counted a little after the
// client sees them open or closed. It may itself be one too many.
func waitStat(t *testing.T, s *running, name, want string) {
	t.Helper()
	got := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		c := s.dial(t)
		c.SetDeadline(deadline)
		fmt.Fprint(c, "stats\r\nquit\r\n")
		text, _ := io.ReadAll(c)
		_, after, _ := strings.Cut(string(text), "STAT "+name+" ")
		got, _, _ = strings.Cut(after, "\r\n")
		if got == want {
			return
		}
		if n, err := strconv.Atoi(got); err == nil && name == "rejected_connections" && n > 5 {
			return // those of ours that were refused as well
		}
	}
	t.Errorf("%s is %q, want %s", name, got, want)
}

// TestIdleTimeout closes those that are idle, and those alone.
func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	s := startHearthd(t, "-o", "idle_timeout=1")
	idle, busy := s.dial(t), s.dial(t)
	closed := make(chan error, 1)
	go func() { closed <- expectClose(idle) }()
	for end := time.After(patience); ; {
		if got, err := ask(busy, "get a\r\n"); got != "END" {
			t.Fatalf("the busy one got %q, %v", got, err)
		}
		select {
		case err := <-closed:
			if err != nil {
				t.Error(err)
			}
			return
		case <-end:
			t.Fatal("the idle one is not closed")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// TestBadFlags wants exit status 1 or 64 and one line that names what is wrong.
func TestBadFlags(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("not a directory"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) // a defer would come before the subtests
	_, taken, _ := net.SplitHostPort(l.Addr().String())
	for _, c := range []struct {
		args string
		name string // what the line must contain
	}{
		{"-p x", "-p"}, {"-p 70000", "-p"}, {"-p", "-p"}, {"-U 11211", "UDP"}, {"-l 300.1.1.1", "300.1.1.1"},
		{"-m x", "-m"}, {"-m 0", "-m"}, {"-m -5", "-m"}, {"-m 99999999999", "-m"}, {"-c 0", "-c"}, {"-c -1", "-c"},
		{"-t 0", "-t"}, {"-I 1000", "-I"}, {"-I 256m", "-I"}, {"-I 1x", "-I"}, {"-I 48m", "-I"}, {"-R 0", "-R"}, {"-b x", "-b"},
		{"-B bogus", "-B"}, {"-S", "-S"}, {"-Z", "-Z"}, {"--enable-ssl", "ssl_chain_cert"}, {"-Y " + file, "-Y"}, {"--bogus", "bogus"},
		{"-j", "-j"}, {"extra", "extra"}, {"-u nobodywiththisname", "nobodywiththisname"},
		{"-o bogus", "bogus"}, {"-o bogus=1", "bogus"}, {"-o idle_timeout=x", "idle_timeout"}, {"-o ext_io=bogus", "ext_io"},
		{"-o hot_percent=200", "hot_percent"}, {"-o slab_automove=7", "slab_automove"}, {"-o ext_page_size=0", "ext_page_size"},
		{"-o ext_path=" + dir + "/x", "ext_path"}, {"-o ext_path=" + dir + "/x:0m", "ext_path"},
		{"-o ext_path=" + dir + "/x:1GB", "ext_path"}, {"-o ext_path=" + dir + "/x:x", "ext_path"},
		{"-o ext_path=" + dir + "/x:1m,ext_page_size=4", "ext_path"},
		{"-o ext_path=" + dir + "/x:64m,ext_page_size=8,ext_wbuf_size=8", "ext_wbuf_size"},
		{"-m 12 -o ext_path=" + dir + "/x:64m", "-m 12"}, {"-m 64 -o ext_path=" + dir + "/x:1g,ext_wbuf_size=32", "-m 64"},
		{"-o ext_path=" + dir + "/x:900t", dir + "/x"}, {"-o ext_path=" + file + ":64m", file},
		{"-o ext_path=" + file + "/below:64m", file}, {"-o ext_path=/proc/hearth:64m", "/proc/hearth"},
		{"-l 127.0.0.1 -p " + taken, taken},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"-u", "root", "-p", freePort(t)}, strings.Fields(c.args)...)
			s := launch(t, hearthdPath(t), args...)
			refuses(t, s, c.name)
		})
	}
}

// refuses wants the process to end by itself with one line of complaint.
func refuses(t *testing.T, s *running, name string) {
	t.Helper()
	if !s.ends(patience) {
		t.Fatalf("it runs:\n%s", s.stderr.String())
	}
	if status := s.status(); status != 1 && status != 64 {
		t.Errorf("exit status %d, want 1 or 64", status)
	}
	var complaints []string
	for line := range strings.Lines(s.stderr.String()) {
		if !strings.Contains(line, "level=INFO") {
			complaints = append(complaints, line)
		}
	}
	if len(complaints) != 1 || !strings.Contains(complaints[0], name) {
		t.Errorf("want one line that names %s, got %q", name, complaints)
	}
}

// TestTwoOnOnePath starts a second server on the ext_path of a first. The first
// goes on; once it has ended, another may start.
func TestTwoOnOnePath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	path := "ext_path=" + dir + ":64m"
	first := startHearthd(t, "-o", path)
	second := launch(t, hearthdPath(t), "-u", "root", "-l", "127.0.0.1", "-p", freePort(t), "-o", path)
	refuses(t, second, dir)
	if got, err := ask(first.dial(t), "set a 0 0 1\r\nx\r\n"); got != "STORED" {
		t.Errorf("the first got %q, %v", got, err)
	}
	first.stop(t)
	third := startHearthd(t, "-o", path)
	if got, err := ask(third.dial(t), "set a 0 0 1\r\nx\r\n"); got != "STORED" {
		t.Errorf("the third got %q, %v", got, err)
	}
	third.cmd.Process.Kill() // leaves its lock file behind, but no lock
	third.ends(patience)
	fourth := startHearthd(t, "-o", path)
	if got, err := ask(fourth.dial(t), "set a 0 0 1\r\nx\r\n"); got != "STORED" {
		t.Errorf("after a kill, the next got %q, %v", got, err)
	}
}

// TestTwoOnOnePort starts a second server where a first listens.
func TestTwoOnOnePort(t *testing.T) {
	t.Parallel()
	first := startHearthd(t)
	_, port, _ := net.SplitHostPort(first.addr)
	second := launch(t, hearthdPath(t), "-u", "root", "-l", "127.0.0.1", "-p", port)
	refuses(t, second, port)
	if got, err := ask(first.dial(t), "set a 0 0 1\r\nx\r\n"); got != "STORED" {
		t.Errorf("the first got %q, %v", got, err)
	}
}

// TestDrain stops a server that has much to answer: what was sent before the
// signal is answered whole, by a server that by then has closed its port, from
// RAM as well as from flash.
func TestDrain(t *testing.T) {
	t.Parallel()
	for _, set := range settings {
		t.Run(set.name, func(t *testing.T) {
			t.Parallel()
			s := set.start(t)
			drain(t, s)
		})
	}
}

func drain(t *testing.T, s *running) {
	// More than the sockets' buffers hold: the server still has most of it to
	// say when the signal comes.
	each, size := 200, 100_000
	if raceDetector() {
		each = 100
	}
	value := strings.Repeat("d", size)
	if got, err := ask(s.dial(t), fmt.Sprintf("set d 5 0 %d\r\n%s\r\n", size, value)); got != "STORED" {
		t.Fatalf("got %q, %v", got, err)
	}
	s.demote(t)
	var cs []net.Conn
	for i := range 5 {
		c := s.dial(t)
		if got, err := ask(c, "get nothing\r\n"); got != "END" {
			t.Fatalf("got %q, %v", got, err)
		}
		fmt.Fprintf(c, "%sset last%d 0 0 1\r\nx\r\nget last%d\r\n", strings.Repeat("get d\r\n", each), i, i)
		cs = append(cs, c)
	}
	idle, half := s.dial(t), s.dial(t)
	fmt.Fprint(half, "set half 0 0 100\r\nxx")
	s.cmd.Process.Signal(syscall.SIGTERM)
	var wg sync.WaitGroup
	for i, c := range cs {
		wg.Go(func() {
			want := strings.Repeat(fmt.Sprintf("VALUE d 5 %d\r\n%s\r\nEND\r\n", size, value), each) +
				fmt.Sprintf("STORED\r\nVALUE last%d 0 1\r\nx\r\nEND\r\n", i)
			c.SetReadDeadline(time.Now().Add(patience))
			if got, err := io.ReadAll(c); string(got) != want {
				t.Errorf("connection %d: got %d of %d bytes, %v", i, len(got), len(want), err)
			}
		})
	}
	wg.Wait()
	if err := expectClose(idle); err != nil {
		t.Errorf("the idle connection: %v", err)
	}
	if !s.ends(patience) {
		t.Fatal("the server does not end")
	}
	if s.status() != 0 {
		t.Errorf("exit status %d", s.status())
	}
	if c, err := net.Dial("tcp", s.addr); err == nil {
		c.Close()
		t.Error("the port still is open")
	}
}

// TestDrainIsBounded stops a server with a client that never reads.
func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	s := startHearthd(t, "-o", "shutdown_timeout=1")
	value := strings.Repeat("b", 500_000)
	c := s.dial(t)
	ask(c, fmt.Sprintf("set b 0 0 %d\r\n%s\r\n", len(value), value))
	pour(c, []byte(strings.Repeat("get b\r\n", 1000)), 7000, patience)
	s.cmd.Process.Signal(syscall.SIGTERM)
	if !s.ends(patience) {
		t.Errorf("the server still waits %v after SIGTERM", patience)
	}
}

// TestAbruptClients has clients vanish in the middle of everything while one
// works on, and wants their connections gone from the server.
func TestAbruptClients(t *testing.T) {
	t.Parallel()
	s := startHearthd(t)
	value := strings.Repeat("v", 200_000)
	steady := s.dial(t)
	ask(steady, fmt.Sprintf("set v 0 0 %d\r\n%s\r\n", len(value), value))
	for i := range 200 {
		c := s.dial(t)
		switch i % 4 {
		case 0:
			fmt.Fprintf(c, "set half 0 0 1000\r\n%s", value[:i])
		case 1:
			fmt.Fprint(c, strings.Repeat("get v\r\n", 50))
		case 2:
			fmt.Fprint(c, "get v\r\n")
			bufio.NewReaderSize(c, 16).ReadByte()
		}
		if i%3 == 0 {
			c.(*net.TCPConn).SetLinger(0) // a reset instead of an end
		}
		c.Close()
		if got, err := ask(steady, "get nothing\r\n"); got != "END" {
			t.Fatalf("the steady client got %q, %v", got, err)
		}
	}
	steady.Close()
	waitStat(t, s, "curr_connections", "1")
}
