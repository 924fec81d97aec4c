package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hearthcache/hearth/tools/loadgen"
)

// command runs hearth with these arguments.
func command(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	var buf bytes.Buffer
	cmd := newCommand()
	cmd.SetOut(&buf)
	cmd.SetErr(&buf)
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	return buf.String(), err
}

// answering is a server that has the same value for every key, or none.
func answering(t *testing.T, value string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answer(conn, value)
		}
	}()
	return l.Addr().String()
}

func answer(conn net.Conn, value string) {
	defer conn.Close()
	for in := bufio.NewScanner(conn); in.Scan(); {
		words := strings.Fields(in.Text())
		switch {
		case words[0] == "version":
			fmt.Fprint(conn, "VERSION test\r\n")
		case value == "":
			fmt.Fprint(conn, "END\r\n")
		default:
			fmt.Fprintf(conn, "VALUE %s 0 %d\r\n%s\r\nEND\r\n", words[1], len(value), value)
		}
	}
}

func TestBenchReadPrintsJSON(t *testing.T) {
	out, err := command(t, "bench", "read", answering(t, ""), "--keys", "500", "--dist", "shuffle", "--clients", "3", "--json")
	var r loadgen.Result
	if err := errors.Join(err, json.Unmarshal([]byte(out), &r)); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if r.Misses != 500 || r.Keys != 500 || r.Gets.P99 <= 0 {
		t.Errorf("result %+v", r)
	}
}

func TestBenchFailsOnWrongValues(t *testing.T) {
	out, err := command(t, "bench", "read", answering(t, "not the value"), "--keys", "10", "--dist", "sequential", "--value", "13", "--clients", "1")
	if !errors.Is(err, errBadValues) || !strings.Contains(out, "10 wrong") || !strings.Contains(out, "BAD key k000000000000000: byte ") {
		t.Errorf("error %v, output\n%s", err, out)
	}
}

func TestCompareRunningServers(t *testing.T) {
	out, err := command(t, "bench", "compare", "--a", answering(t, ""), "--b", answering(t, ""), "--names", "left,right",
		"--keys", "50", "--clients", "2", "--requests", "200", "--rounds", "2")
	if err != nil || !strings.Contains(out, "| read | left |") || !strings.Contains(out, "| read | ratio | **") {
		t.Errorf("error %v, output\n%s", err, out)
	}
}

func TestBadFlagsAreNamed(t *testing.T) {
	rows := map[string][]string{
		`--dist`:        {"bench", "read", "127.0.0.1:1", "--dist", "zipf"},
		`--value`:       {"bench", "load", "127.0.0.1:1", "--value", "9-5"},
		`arg(s)`:        {"bench", "load"},
		`"a", "b"`:      {"bench", "suite"},
		`--names a`:     {"bench", "suite", "--a", "x", "--b", "y", "--names", "a"},
		`--work write`:  {"bench", "compare", "--a", "x", "--b", "y", "--work", "write"},
		`no such case`:  {"bench", "suite", "--a", "x", "--b", "y", "--cases", "ram"},
		`key size 2`:    {"bench", "load", "127.0.0.1:1", "--key-size", "2"},
		`--no-such`:     {"bench", "load", "127.0.0.1:1", "--no-such"},
		`unknown flag:`: {"bench", "compare", "--pid", "3"},
	}
	for text, args := range rows {
		if _, err := command(t, args...); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v: error %v, want one with %s", args, err, text)
		}
	}
}

func TestTraceOfTheLibrary(t *testing.T) {
	out, err := command(t, "bench", "trace", "W4", "-m", "16m", "--keys", "200", "--requests", "2000", "--json")
	var r struct {
		Trace string  `json:"trace"`
		Hit   float64 `json:"hit_ratio"`
	}
	if err := errors.Join(err, json.Unmarshal([]byte(out), &r)); err != nil || r.Trace != "W4" || r.Hit < .5 {
		t.Errorf("%+v, %v: %s", r, err, out)
	}
}

func TestTraceIsSavedAndReplayed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "w7.csv.gz")
	if out, err := command(t, "bench", "trace", "W7", "--keys", "100", "--requests", "1000", "--save", file); err != nil || !strings.Contains(out, "1000 requests") {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := command(t, "bench", "trace", file, "--flash", "64m", "-m", "32m", "--limit", "900"); err != nil || !strings.Contains(out, ": 900 requests") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestTraceThatCannotStart(t *testing.T) {
	_, err := command(t, "bench", "trace", "W4", "--keys", "0", "nowhere:1")
	if err == nil {
		t.Error("no error without a server")
	}
	_, err = command(t, "bench", "trace", "no-such-file.csv")
	if err == nil || !strings.Contains(err.Error(), "no-such-file.csv") {
		t.Errorf("error %v", err)
	}
}
