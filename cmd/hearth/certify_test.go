package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// startLiar is a server whose every answer but the version and the first set is
// ERROR.
func startLiar(t *testing.T) string {
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
			go func() {
				defer conn.Close()
				for in := bufio.NewScanner(conn); in.Scan(); {
					answer := "ERROR"
					if in.Text() == "version" {
						answer = "VERSION 1.6.45"
					}
					fmt.Fprintf(conn, "%s\r\n", answer)
				}
			}()
		}
	}()
	return l.Addr().String()
}

func runHearth(args ...string) (string, error) {
	var out bytes.Buffer
	cmd := newCommand()
	cmd.SetOut(&out)
	cmd.SetArgs(args)
	err := cmd.Execute()
	return out.String(), err
}

// TestCertify: the exit says whether a check failed, the table which.
func TestCertify(t *testing.T) {
	addr := startLiar(t)
	out, err := runHearth("certify", addr, "--group", "text", "--timeout", "100ms", "--check", "^(version|get of nothing)$")
	if !errors.Is(err, errNotCertified) || !strings.Contains(out, "get of nothing") || !strings.Contains(out, `expected  END\r\n`) {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = runHearth("certify", addr, "--group", "text", "--timeout", "100ms", "--check", "^version$")
	if err != nil || !strings.Contains(out, "pass") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = runHearth("certify", addr, "--group", "text,meta", "--timeout", "100ms", "--check", "^(version|get of nothing|mn)$", "--failed")
	if !errors.Is(err, errNotCertified) || strings.Contains(out, "pass\n") || !strings.Contains(out, "not supported") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestCertifyJSON(t *testing.T) {
	out, err := runHearth("certify", startLiar(t), "--json", "--group", "text", "--timeout", "100ms", "--check", "^get of nothing$")
	var report struct {
		Version string
		Results []struct {
			Name, Verdict string
			Failure       struct{ Expected, Received string }
		}
	}
	if jerr := json.Unmarshal([]byte(out), &report); jerr != nil || !errors.Is(err, errNotCertified) || len(report.Results) != 1 {
		t.Fatalf("%v, %v\n%s", err, jerr, out)
	}
	if r := report.Results[0]; r.Verdict != "fail" || r.Failure.Expected != `END\r\n` || r.Failure.Received != `ERROR\r\n` {
		t.Errorf("%+v", r)
	}
}

func TestCertifyList(t *testing.T) {
	out, err := runHearth("certify", "--list", "--group", "flash")
	if err != nil || strings.Count(out, "\n") < 60 || !strings.HasPrefix(out, "flash   get\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestCertifyRefuses(t *testing.T) {
	noCertificate := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noCertificate, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{}, {"a", "b"}, {"127.0.0.1:1", "--group", "udp"}, {"127.0.0.1:1", "--check", "("}, {"127.0.0.1:1"},
		{"127.0.0.1:1", "--tls-ca", noCertificate}, {"127.0.0.1:1", "--user", "u", "--password-file", noCertificate + ".not"},
	} {
		if out, err := runHearth(append([]string{"certify"}, args...)...); err == nil {
			t.Errorf("%q: %s", args, out)
		}
	}
}
