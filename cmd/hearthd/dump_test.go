package main_test

import (
	"bufio"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// list returns the lines of a dump, without the last, which is end.
func list(t *testing.T, c net.Conn, command, end string) (lines []string) {
	t.Helper()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "%s\r\n", command)
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("%s: after %d lines: %v", command, len(lines), err)
		}
		if line == end+"\r\n" {
			return lines
		}
		lines = append(lines, line)
	}
}

var metadumpLine = regexp.MustCompile(`^key=(\S+) exp=(-1|\d+) la=(\d+) cas=(\d+) fetch=(yes|no) cls=\d+ size=\d+( flags=\d+)?\n$`)

// comparable is what a metadump says that servers agree on: the times are let be
// off by a second or two, the age and the order are not compared.
func comparable(t *testing.T, lines []string) (all []string) {
	for _, line := range lines {
		f := metadumpLine.FindStringSubmatch(line)
		if f == nil {
			t.Fatalf("line %q", line)
		}
		exp := "never"
		if f[2] != "-1" {
			exp = "in time"
		}
		all = append(all, fmt.Sprintf("%s %s %s", f[1], exp, f[5]))
	}
	slices.Sort(all)
	return all
}

const dumped = "set plain 7 0 3\r\nabc\r\nset a:b/c%d~e 0 0 1\r\nx\r\nset timed 0 100 1\r\nx\r\nset read 0 0 1\r\nx\r\nget read\r\n" +
	"set gone 0 -1 1\r\nx\r\nset deleted 0 0 1\r\nx\r\ndelete deleted\r\nset empty 0 0 0\r\n\r\nms Zm9vIGJhcgA= 2 b\r\nxx\r\n" +
	"set utf\xc3\xa9 0 0 1\r\nx\r\nset touched 0 0 1\r\nx\r\ntouch touched 500\r\nset counted 0 0 1\r\n1\r\nincr counted 1\r\n"

// TestMetadumpAsMemcached compares both servers' lists of the same items, in RAM
// and on flash.
func TestMetadumpAsMemcached(t *testing.T) {
	t.Parallel()
	lists := func(s *running) []string {
		c := s.dial(t)
		c.Write([]byte(dumped + "quit\r\n"))
		readQuiet(c, patience)
		c = s.dial(t)
		s.demote(t)
		return comparable(t, list(t, c, "lru_crawler metadump all", "END"))
	}
	// Without its maintainer memcached starts no crawl of its own, which a list would meet.
	want := lists(startServer(t, memcachedPath(t), append([]string{"-o", "no_lru_maintainer"}, memcachedArgs...)...))
	for _, set := range settings {
		if got := lists(set.start(t)); !slices.Equal(got, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", set.name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// TestDumps lists many items by every command, and has clients use what they get.
func TestDumps(t *testing.T) {
	t.Parallel()
	for _, set := range settings[:2] {
		s := set.start(t)
		c := s.dial(t)
		const n = 3000
		for i := range n {
			fmt.Fprintf(c, "set key%d %d 0 10 noreply\r\n0123456789\r\n", i, i)
		}
		wantAnswer(t, c, "ms Zm9vIGJhcg== 2 b\r\nxx", "HD")
		s.demote(t)
		class := 2
		if s.flash {
			class = 1
		}
		lines := list(t, c, "lru_crawler metadump all", "END")
		if len(lines) != n+1 {
			t.Fatalf("%s: %d items of %d", set.name, len(lines), n+1)
		}
		for _, line := range lines {
			f := regexp.MustCompile(`^key=(?:key(\d+)|foo%20bar) exp=-1 la=\d+ cas=[1-9]\d* fetch=no cls=(\d+) size=\d+ flags=(\d+)\n$`).FindStringSubmatch(line)
			if f == nil || f[1] != "" && f[1] != f[3] || f[2] != fmt.Sprint(class) {
				t.Fatalf("%s: line %q", set.name, line)
			}
		}
		if got := list(t, c, fmt.Sprintf("lru_crawler metadump 40,%d", class), "END"); len(got) != n+1 {
			t.Errorf("%s: %d items of class %d", set.name, len(got), class)
		}
		if got := list(t, c, "lru_crawler metadump 40,41", "END"); len(got) != 0 {
			t.Errorf("%s: %d items of classes that have none", set.name, len(got))
		}
		gets := list(t, c, "lru_crawler mgdump all", "EN")
		if len(gets) != n+1 || !slices.Contains(gets, "mg Zm9vIGJhcg== b\r\n") {
			t.Fatalf("%s: %d gets", set.name, len(gets))
		}
		for _, get := range gets[:100] {
			wantAnswer(t, c, strings.TrimSuffix(get, "\r\n"), "HD")
		}
		if got := list(t, c, fmt.Sprintf("stats cachedump %d 7", class), "END"); len(got) != 7 || !regexp.MustCompile(`^ITEM \S+ \[10 b; 0 s\]\r\n$`).MatchString(got[0]) {
			t.Errorf("%s: cachedump gave %q", set.name, got)
		}
		if got := list(t, c, fmt.Sprintf("stats cachedump %d 0", class), "END"); len(got) != n+1 {
			t.Errorf("%s: cachedump gave %d items", set.name, len(got))
		}
		if got := list(t, c, "stats cachedump 40 0", "END"); len(got) != 0 {
			t.Errorf("%s: cachedump of an empty class gave %q", set.name, got)
		}
		items, slabs := s.stats(t, "items"), s.stats(t, "slabs")
		if number := fmt.Sprintf("items:%d:number", class); items[number] != fmt.Sprint(n+1) || slabs[fmt.Sprintf("%d:used_chunks", class)] != fmt.Sprint(n+1) {
			t.Errorf("%s: stats items %v\nslabs %v", set.name, items, slabs)
		}
	}
}

// TestSlowDump: a list that nobody reads takes no memory, holds up nobody, and is
// the only one; when its client leaves another may begin.
func TestSlowDump(t *testing.T) {
	t.Parallel()
	for _, set := range settings[:2] {
		s := set.start(t)
		c := s.dial(t)
		const n = 20_000
		long := strings.Repeat("k", 230)
		for i := range n { // of which a list has 6 MB
			fmt.Fprintf(c, "set %s%d 0 0 1 noreply\r\nx\r\n", long, i)
		}
		wantAnswer(t, c, "get a", "END")
		s.demote(t)
		slow := s.dial(t)
		slow.(*net.TCPConn).SetReadBuffer(4096)
		before := s.rss(t, "VmRSS")
		fmt.Fprint(slow, "lru_crawler metadump all\r\n")
		for deadline := time.Now().Add(patience); s.stats(t, "")["lru_crawler_running"] != "1"; {
			if time.Now().After(deadline) {
				t.Fatal("it does not run")
			}
		}
		wantAnswer(t, c, "lru_crawler metadump all", "BUSY currently processing crawler request")
		wantAnswer(t, c, "lru_crawler mgdump all", "BUSY currently processing crawler request")
		wantAnswer(t, c, "lru_crawler crawl all", "BUSY currently processing crawler request")
		unharmed(t, s, before, 8<<20)
		if got := s.stats(t, "")["lru_crawler_running"]; got != "1" {
			t.Errorf("%s: after a while lru_crawler_running is %s", set.name, got)
		}
		slow.Close()
		for deadline := time.Now().Add(patience); s.stats(t, "")["lru_crawler_running"] != "0"; {
			if time.Now().After(deadline) {
				t.Fatal("the list goes on although its client has left")
			}
		}
		half := s.dial(t)
		fmt.Fprint(half, "lru_crawler mgdump all\r\n")
		half.(*net.TCPConn).CloseWrite()
		got, err := readQuiet(half, patience)
		if lines := strings.Count(string(got), "mg k"); err != nil || lines != n || !strings.HasSuffix(string(got), "EN\r\n") {
			t.Errorf("%s: a half-closed client got %d of %d, %v", set.name, lines, n, err)
		}
	}
}

// TestCrawl drops expired items, which nobody asks for, and says so. Some of them
// may have gone in the background before.
func TestCrawl(t *testing.T) {
	t.Parallel()
	for _, set := range settings[:2] {
		s := set.start(t)
		c := s.dial(t)
		const n = 1000
		for i := range n {
			fmt.Fprintf(c, "set key%d 0 0 1 noreply\r\nx\r\n", i)
		}
		wantAnswer(t, c, "get a", "END")
		s.demote(t)
		for i := 0; i < n; i += 2 {
			wantAnswer(t, c, fmt.Sprintf("touch key%d 1", i), "TOUCHED")
		}
		w := watch(t, s, "sysevents")
		time.Sleep(2100 * time.Millisecond)
		wantAnswer(t, c, "lru_crawler crawl all", "OK")
		w.until(`type=lru_crawler elapsed=\d+ examined=\d+ reclaimed=\d+\n$`)
		stats := s.stats(t, "")
		if stats["curr_items"] != fmt.Sprint(n/2) || stats["crawler_reclaimed"] != fmt.Sprint(n/2) {
			t.Errorf("%s: %v", set.name, stats)
		}
		class := map[bool]int{false: 2, true: 1}[s.flash]
		items := s.stats(t, "items")
		if got := items[fmt.Sprintf("items:%d:crawler_reclaimed", class)]; got != fmt.Sprint(n/2) {
			t.Errorf("%s: %v", set.name, items)
		}
	}
}

// TestCrawlEnds: a crawl that sleeps does not hold up a stop, nor commands.
func TestCrawlEnds(t *testing.T) {
	t.Parallel()
	s := startHearthd(t, "-o", "lru_crawler_sleep=1000000")
	c := s.dial(t)
	for i := range 3000 {
		fmt.Fprintf(c, "set key%d 0 0 1 noreply\r\nx\r\n", i)
	}
	wantAnswer(t, c, "lru_crawler crawl all", "OK")
	wantAnswer(t, c, "lru_crawler crawl all", "BUSY currently processing crawler request")
	start := time.Now()
	s.stop(t)
	if took := time.Since(start); took > patience {
		t.Errorf("the stop took %v", took)
	}
}

func TestDumpsRefused(t *testing.T) {
	t.Parallel()
	s := startHearthd(t, "-X")
	c := s.dial(t)
	wantAnswer(t, c, "lru_crawler metadump all", "ERROR metadump not allowed")
	wantAnswer(t, c, "lru_crawler mgdump all", "ERROR key dump not allowed")
	wantAnswer(t, c, "stats cachedump 1 0", "CLIENT_ERROR stats cachedump not allowed")
	s = startHearthd(t, "-o", "no_lru_crawler")
	c = s.dial(t)
	wantAnswer(t, c, "lru_crawler metadump all", "CLIENT_ERROR lru crawler disabled")
	wantAnswer(t, c, "lru_crawler crawl all", "CLIENT_ERROR lru crawler disabled")
	wantAnswer(t, c, "lru_crawler enable", "OK")
	wantAnswer(t, c, "lru_crawler mgdump all", "EN")
	for _, name := range []string{"metadump", "mgdump"} {
		fmt.Fprintf(c, "version\r\nlru_crawler %s all\r\nlru_crawler %s all noreply\r\nversion\r\n", name, name)
		in := &watcher{c, bufio.NewReader(c), t}
		for _, line := range []string{"^VERSION", "^ERROR cannot pipeline other commands before " + name + "\r\n$", "^VERSION"} {
			in.next(line)
		}
	}
}
