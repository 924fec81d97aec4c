package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
)

// startStats is a server that answers stats only, each time with a number that is
// 10 more.
func startStats(t *testing.T, lines string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for gets := 10; ; {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			for in := bufio.NewScanner(conn); in.Scan(); gets += 10 {
				fmt.Fprintf(conn, "STAT group %s\r\nSTAT cmd_get %d\r\n%sEND\r\n", strings.TrimPrefix(in.Text(), "stats"), gets, lines)
			}
			conn.Close()
		}
	}()
	return l.Addr().String()
}

func TestStats(t *testing.T) {
	addr := startStats(t, "STAT version 1.6.45\r\nSTAT libevent 2.1\r\nSTAT big 18446744073709551615\r\n")
	out, err := runHearth("stats", addr)
	want := "big       18446744073709551615\ncmd_get   10\ngroup     \nlibevent  2.1\nversion   1.6.45\n"
	if err != nil || out != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
	out, err = runHearth("stats", addr, "settings", "--json")
	var got map[string]any
	if jerr := json.Unmarshal([]byte(out), &got); err != nil || jerr != nil || got["cmd_get"] != 20.0 || got["version"] != "1.6.45" ||
		got["group"] != " settings" || !strings.Contains(out, `"big":18446744073709551615`) {
		t.Errorf("%v, %v\n%s", err, jerr, out)
	}
	if _, err := runHearth("stats", "127.0.0.1:1"); err == nil {
		t.Error("no server, and no error")
	}
}

// TestStatsChange: a number is followed by how much it changed a second, a word by
// nothing.
func TestStatsChange(t *testing.T) {
	s := statistics{every: 2_000_000_000}
	for _, row := range [][3]string{{"10", "30", "\t+10.0/s"}, {"30", "10", "\t-10.0/s"}, {"5", "5", ""}, {"", "5", ""}, {"a", "b", ""}} {
		if got := s.change(row[0], row[1]); got != row[2] {
			t.Errorf("%q: %q", row, got)
		}
	}
}
