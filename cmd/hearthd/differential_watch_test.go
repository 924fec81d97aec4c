package main_test

import (
	"bufio"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// watched is what a server logs of the commands a script sends: the lines without
// times, numbers and classes, which are each server's own.
func watched(t *testing.T, s *running, kinds, script string) string {
	t.Helper()
	w := s.dial(t)
	in := bufio.NewReader(w)
	fmt.Fprintf(w, "watch %s\r\n", kinds)
	w.SetReadDeadline(time.Now().Add(patience))
	if line, err := in.ReadString('\n'); line != "OK\r\n" {
		t.Fatalf("%s: reply to watch: %q, %v", s.name, line, err)
	}
	c := s.dial(t)
	fmt.Fprintf(c, "%sset sentinel 0 0 1\r\nx\r\nget sentinel\r\nquit\r\n", script)
	if _, err := readQuiet(c, patience); err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	var lines strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("%s: after\n%s%v", s.name, &lines, err)
		}
		if !watchLine.MatchString(line) {
			t.Errorf("%s: line %q", s.name, line)
		}
		if strings.Contains(line, "key=sentinel") {
			return lines.String()
		}
		// Of what is past when it is stored memcached tells the time left modulo 2^32.
		lines.WriteString(belowZero.ReplaceAllString(ownWords.ReplaceAllString(line, ""), "ttl=0 "))
	}
}

var (
	watchLine = regexp.MustCompile(`^ts=\d+\.\d+ gid=\d+ type=\w+ \S+=`)
	belowZero = regexp.MustCompile(`ttl=42949\d{5} `)
	ownWords  = regexp.MustCompile(`(ts|gid|clsid|cfd)=\S+ `)
)

const watchScript = "set a 0 0 1\r\nx\r\n" + "set a 0 100 2\r\nxx\r\n" + "get a b a\r\ngets a\r\n" +
	"add a 0 0 1\r\nx\r\nadd b 0 0 3\r\nxxx\r\n" + "replace a 0 0 1\r\nx\r\nreplace c 0 0 1\r\nx\r\n" +
	"append a 0 0 2\r\nyy\r\nset t 0 100 1\r\nx\r\nappend t 0 0 1\r\nx\r\nprepend a 0 0 2\r\nyy\r\nappend c 0 0 1\r\nx\r\n" +
	"cas c 0 0 1 1\r\nx\r\ncas a 0 0 1 99999\r\nx\r\n" +
	"set n 0 0 1\r\n5\r\nincr n 1\r\nincr c 1\r\nincr b 1\r\ndecr n 1\r\n" +
	"touch a 50\r\ntouch c 50\r\ngat 0 a c\r\n" + "delete a\r\ndelete a\r\n" +
	"set with:strange%key~ 7 0 0\r\n\r\nget with:strange%key~\r\n" +
	"set old 0 -1 1\r\nx\r\nget old\r\nget old\r\nset old 0 -1 1\r\nx\r\nadd old 0 0 1\r\nx\r\n" +
	"set old 0 -1 1\r\nx\r\ndelete old\r\nset old 0 -1 1\r\nx\r\nincr old 1\r\nset old 0 -1 1\r\nx\r\ntouch old 1\r\nset old 0 -1 1\r\nx\r\nset old 0 0 1\r\nx\r\n" +
	"mg b\r\nmg b v k\r\nmg zz v\r\nms b 2\r\nxx\r\nms e 2 MA\r\nxx\r\nms e 2 ME\r\nxx\r\nms e 1 MR\r\nx\r\nms e 1 MP\r\nx\r\nmd b\r\nmd b\r\n" +
	"set noreply 0 0 1 noreply\r\nx\r\nverbosity 0\r\n"

// TestWatchAsMemcached compares what both servers log of the same commands.
func TestWatchAsMemcached(t *testing.T) {
	t.Parallel()
	for _, kinds := range []string{"", "fetchers", "mutations", "fetchers mutations"} {
		want := watched(t, startServer(t, memcachedPath(t), memcachedArgs...), kinds, watchScript)
		for _, set := range settings[:2] {
			if got := watched(t, set.start(t), kinds, watchScript); got != want {
				t.Errorf("watch %q, %s: got\n%s\nwant\n%s\n%s", kinds, set.name, got, want, firstDifference(got, want))
			}
		}
	}
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("line %d: got %q, want %q", i+1, x[i], y[i])
		}
	}
	return "one is longer"
}
