package certify

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// startMemcached starts the memcached that is installed and returns its address.
func startMemcached(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("memcached")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip("memcached is not installed")
	}
	return start(t, path, append([]string{"-U", "0"}, args...)...)
}

// start starts a server on a free port of loopback and returns its address.
func start(t *testing.T, path string, args ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := strings.Cut(addr, ":")
	cmd := exec.Command(path, append([]string{"-u", "root", "-l", "127.0.0.1", "-p", port}, args...)...)
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
	t.Fatalf("%s does not listen", path)
	return ""
}

// TestMemcachedPasses: what the scripts expect is what memcached answers.
func TestMemcachedPasses(t *testing.T) {
	t.Parallel()
	var runs sync.WaitGroup
	defer runs.Wait()
	for _, group := range []string{"text", "meta", "binary"} {
		addr := startMemcached(t)
		runs.Go(func() { // which mostly waits
			o := Options{Addr: addr, Groups: []string{group}, Flush: true, Timeout: 10 * time.Second}
			report, err := Run(t.Context(), o)
			if err != nil {
				t.Error(err)
				return
			}
			for _, r := range report.Results {
				if r.Verdict == Fail {
					t.Error(describe(t, r))
				}
			}
			checkCleaned(t, addr)
		})
	}
}

// checkCleaned tells whether a server has been left without a value.
func checkCleaned(t *testing.T, addr string) {
	s := &server{numbers: map[string]uint64{}}
	if err := s.learn(t.Context(), &Options{Addr: addr, Timeout: 10 * time.Second}, "stats\r\n"); err != nil {
		t.Error(err)
	}
	if n := s.numbers["curr_items"]; n != 0 {
		t.Errorf("%d values are left", n)
	}
}

// extstoreDeviates is what memcached 1.6 cannot do to a value on flash.
var extstoreDeviates = []string{
	"append", "append noreply", "append changes the CAS", "prepend", "incr", "incr noreply", "decr",
	"what was appended to one on flash goes to flash itself", "read often, then appended to and counted",
	"read often, then by meta", "ms MA", "ms MP", "ma", "ma C and q",
	"binary append", "binary prepend", "binary appendq and prependq", "binary incr", "binary decr", "binary incr with a CAS",
}

// TestExtstoreDeviates: what memcached is known to refuse on flash is found, and
// nothing else.
func TestExtstoreDeviates(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ext") + ":256m"
	// A value that it takes back to RAM has another CAS; it does so at the first chance,
	// if a lock is free then, and every 2000th after that. Not here.
	addr := startMemcached(t, "-m", "64", "-o", "ext_path="+path+",ext_item_size=512,ext_item_age=1,ext_threads=2,ext_recache_rate=0")
	report, err := Run(t.Context(), Options{Addr: addr, Groups: []string{"flash"}})
	if err != nil {
		t.Fatal(err)
	}
	var failed []string
	for _, r := range report.Results {
		switch {
		case r.Verdict == Fail:
			failed = append(failed, r.Name)
			if !slices.Contains(extstoreDeviates, r.Name) {
				t.Error(describe(t, r))
			}
		case r.Verdict == NotSupported && !strings.Contains(r.Why, "by 1.6.45") && r.Why != notFlushed:
			t.Error(describe(t, r))
		}
	}
	if !slices.Equal(failed, extstoreDeviates) {
		t.Errorf("failed: %q\nwant: %q", failed, extstoreDeviates)
	}
}

func describe(t *testing.T, r Result) string {
	var b strings.Builder
	if err := PrintResult(&b, r); err != nil {
		t.Error(err)
	}
	return b.String()
}
