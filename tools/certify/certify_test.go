package certify_test

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hearthcache/hearth/tools/certify"
)

// startMemcached starts the memcached that is installed, on a free port of
// loopback, and returns its address.
func startMemcached(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("memcached")
	if err != nil {
		t.Skip("memcached is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := strings.Cut(addr, ":")
	cmd := exec.Command(path, append([]string{"-u", "root", "-l", "127.0.0.1", "-p", port, "-U", "0"}, args...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 500 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return addr
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("memcached does not listen")
	return ""
}

// TestMemcachedPasses: what the scripts expect is what memcached answers.
func TestMemcachedPasses(t *testing.T) {
	for _, group := range []string{"text", "meta", "binary"} {
		t.Run(group, func(t *testing.T) {
			t.Parallel()
			addr := startMemcached(t)
			report, err := certify.Run(t.Context(), certify.Options{Addr: addr, Groups: []string{group}, Flush: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range report.Results {
				if r.Verdict == certify.Fail {
					t.Errorf("%s", describe(r))
				}
			}
		})
	}
}

func describe(r certify.Result) string {
	var b strings.Builder
	if err := certify.PrintResult(&b, r); err != nil {
		return fmt.Sprint(err)
	}
	return b.String()
}
