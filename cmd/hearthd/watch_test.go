package main_test

import (
	"bufio"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
)

// watcher is a connection that watches.
type watcher struct {
	net.Conn
	*bufio.Reader
	t *testing.T
}

func watch(t *testing.T, s *running, kinds string) *watcher {
	t.Helper()
	c := s.dial(t)
	w := &watcher{c, bufio.NewReader(c), t}
	fmt.Fprintf(c, "watch %s\r\n", kinds)
	w.next("^OK\r\n$")
	return w
}

// next wants the next line to match.
func (w *watcher) next(pattern string) []string {
	w.t.Helper()
	w.SetReadDeadline(time.Now().Add(patience))
	line, err := w.ReadString('\n')
	found := regexp.MustCompile(pattern).FindStringSubmatch(line)
	if found == nil {
		w.t.Fatalf("got %q, %v; want %s", line, err, pattern)
	}
	return found
}

// until reads to a line that matches.
func (w *watcher) until(pattern string) []string {
	w.t.Helper()
	wanted := regexp.MustCompile(pattern)
	for {
		w.SetReadDeadline(time.Now().Add(patience))
		line, err := w.ReadString('\n')
		if err != nil {
			w.t.Fatalf("no line is as %s: %v", pattern, err)
		}
		if found := wanted.FindStringSubmatch(line); found != nil {
			return found
		}
	}
}

func wantAnswer(t *testing.T, c net.Conn, command, want string) {
	t.Helper()
	if got, err := ask(c, command+"\r\n"); got != want {
		t.Fatalf("reply to %s: %q, %v; want %q", command, got, err, want)
	}
}

func TestWatchDeletions(t *testing.T) {
	t.Parallel()
	s := startHearthd(t)
	w, c := watch(t, s, "deletions"), s.dial(t)
	wantAnswer(t, c, "set vfoo 0 0 4\r\nvbar", "STORED")
	wantAnswer(t, c, "delete vfoo", "DELETED")
	wantAnswer(t, c, "delete vfoo", "NOT_FOUND")
	w.next(`^ts=\d+\.\d+ gid=\d+ type=deleted key=vfoo cmd=delete clsid=\d+ size=4\n$`)
	wantAnswer(t, c, "set vfoo 0 0 4\r\nvbar", "STORED")
	wantAnswer(t, c, "md vfoo", "HD")
	w.next(`^ts=\d+\.\d+ gid=\d+ type=deleted key=vfoo cmd=md clsid=\d+ size=4\n$`)
}

// TestWatchConnections: the descriptor is the one of stats conns.
func TestWatchConnections(t *testing.T) {
	t.Parallel()
	s := startHearthd(t)
	w := watch(t, s, "connevents")
	c := s.dial(t)
	port := c.LocalAddr().(*net.TCPAddr).Port
	fd := w.next(fmt.Sprintf(`^ts=\S+ gid=\d+ type=conn_new rip=127.0.0.1 rport=%d transport=tcp cfd=(\d+)\n$`, port))[1]
	conns := s.stats(t, "conns")
	if got, want := conns[fd+":addr"], fmt.Sprintf("tcp:127.0.0.1:%d", port); got != want || conns[fd+":listen_addr"] != "tcp:"+s.addr {
		t.Errorf("%s:addr %q, want %q; %v", fd, got, want, conns)
	}
	for range 2 { // of stats
		w.next(`type=conn_(new|close) `)
	}
	wantAnswer(t, c, "version", "VERSION "+s.stats(t, "")["version"])
	w.until(`type=conn_close `)
	c.Close()
	w.next(fmt.Sprintf(`type=conn_close rip=127.0.0.1 rport=%d transport=tcp reason=normal cfd=%s\n$`, port, fd))
	bad := s.dial(t)
	fmt.Fprint(bad, strings.Repeat("x", 5000))
	w.next(`type=conn_new `)
	w.next(`type=conn_close .*reason=error`)
}

func TestWatchEvictions(t *testing.T) {
	t.Parallel()
	ram := startHearthd(t, "-m", "8", "-I", "128k")
	w, c := watch(t, ram, "evictions"), ram.dial(t)
	fill := func(c net.Conn, n int) {
		value := strings.Repeat("v", 10_000)
		for i := range n {
			fmt.Fprintf(c, "set key%d 0 0 %d noreply\r\n%s\r\n", i, len(value), value)
		}
	}
	go fill(c, 2000)
	w.next(`^ts=\S+ gid=\d+ type=eviction key=key\d+ fetch=no ttl=-1 la=\d+ clsid=\d+ size=10000\n$`)
	flash := settings[2].start(t)
	w, c = watch(t, flash, "evictions"), flash.dial(t)
	fill(c, 5000)
	w.next(`^ts=\S+ gid=\d+ type=extwrite key=key\d+ fetch=no ttl=-1 la=\d+ clsid=\d+ bucket=0\n$`)
	for i := range 3000 { // each of a thousand three times
		fmt.Fprintf(c, "mg key%d\r\n", i%1000)
	}
	if _, err := readAnswers(c, "HD\r\n", 3000); err != nil {
		t.Fatal(err)
	}
	w.until(`^ts=\S+ gid=\d+ type=promote key=key\d+ clsid=\d+ size=10000\n$`)
}

// TestWatchSlowly: one who does not read costs the others nothing, and is told
// what it missed.
func TestWatchSlowly(t *testing.T) {
	t.Parallel()
	s := startHearthd(t, "-o", "watcher_logbuf_size=64")
	slow, quick := watch(t, s, "fetchers"), watch(t, s, "mutations")
	c := s.dial(t)
	before := s.rss(t, "VmRSS")
	get := strings.Repeat("get "+strings.Repeat("k", 200)+"\r\n", 1000)
	rounds := 300 // some 100 MB of lines
	if testing.Short() {
		rounds = 30
	}
	for range rounds {
		fmt.Fprint(c, get)
		if _, err := readAnswers(c, "END\r\n", 1000); err != nil {
			t.Fatal(err)
		}
	}
	if grown := s.rss(t, "VmRSS") - before; grown > 20<<20 && !raceDetector() {
		t.Errorf("the server has grown by %d bytes", grown)
	}
	wantAnswer(t, c, "set a 0 0 1\r\nx", "STORED")
	quick.next(`type=item_store key=a`)
	if skipped := s.stats(t, "")["log_watcher_skipped"]; skipped == "0" {
		t.Error("nothing was skipped")
	}
	asking := s.dial(t)
	go func() { // lines must go on for the notice to come
		for {
			if _, err := ask(asking, "get a\r\n"); err != nil {
				return // the test has ended
			}
			time.Sleep(time.Millisecond)
		}
	}()
	slow.until(`^skipped=\d{3,}\n$`)
}

// TestWatchersLeave: one that has gone or is half-closed is forgotten at once,
// although nothing is logged.
func TestWatchersLeave(t *testing.T) {
	t.Parallel()
	s := startHearthd(t)
	gone, half, stays := watch(t, s, "mutations"), watch(t, s, "mutations"), watch(t, s, "")
	if n := s.stats(t, "")["log_watchers"]; n != "3" {
		t.Errorf("log_watchers is %s", n)
	}
	gone.Close()
	half.Conn.(*net.TCPConn).CloseWrite()
	if err := expectClose(half.Conn); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(patience); s.stats(t, "")["log_watchers"] != "1"; {
		if time.Now().After(deadline) {
			t.Fatal("watchers that have left are still counted")
		}
	}
	wantAnswer(t, s.dial(t), "get a", "END")
	stays.next(`type=item_get key=a status=not_found clsid=0 cfd=\d+ size=0\n$`)
}

// TestWatchEndsWithTheServer: a stop does not wait for watchers.
func TestWatchEndsWithTheServer(t *testing.T) {
	t.Parallel()
	s := startHearthd(t)
	w := watch(t, s, "connevents")
	start := time.Now()
	s.stop(t)
	if took := time.Since(start); took > patience {
		t.Errorf("the stop took %v", took)
	}
	if err := expectClose(w.Conn); err != nil {
		t.Error(err)
	}
}

func TestWatchRefused(t *testing.T) {
	t.Parallel()
	s := startHearthd(t, "-W")
	wantAnswer(t, s.dial(t), "watch", "CLIENT_ERROR watch commands not allowed")
	s = startHearthd(t)
	c := s.dial(t)
	fmt.Fprint(c, "version\r\nwatch fetchers\r\nversion\r\n")
	in := &watcher{c, bufio.NewReader(c), t}
	for _, line := range []string{"^VERSION", "^ERROR cannot pipeline other commands before watch\r\n$", "^VERSION"} {
		in.next(line)
	}
	for range 20 {
		watch(t, s, "mutations")
	}
	wantAnswer(t, s.dial(t), "watch", "WATCHER_TOO_MANY log watcher limit reached")
}

// readAnswers reads until as many lines as given have come.
func readAnswers(c net.Conn, line string, n int) (int, error) {
	c.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 64<<10)
	got := 0
	for got < n*len(line) {
		k, err := c.Read(buf)
		if got += k; err != nil {
			return got, err
		}
	}
	return got, nil
}
