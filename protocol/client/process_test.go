package client_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol/client"
)

// patience is how long a test waits for what takes milliseconds unless it is
// broken.
const patience = 10 * time.Second

var built struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	status := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(status)
}

// hearthd builds the server, once.
func hearthd(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "client-test"); built.err != nil {
			return
		}
		out, err := exec.Command("go", "build", "-o", filepath.Join(built.dir, "server"), "../../cmd/hearthd").CombinedOutput()
		if err != nil {
			built.err = fmt.Errorf("build hearthd: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "server")
}

// memcached returns the peer's binary. A user may do without, the project's own
// run may not.
func memcached(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("memcached")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("memcached is not installed: %v", err)
	}
	if err != nil {
		t.Skipf("memcached is not installed (apt-get install memcached): %v", err)
	}
	return path
}

// start runs a server on a free port until the test ends, and returns its address.
func start(t testing.TB, binary string, args ...string) string {
	t.Helper()
	for range 5 { // another may take the port first
		addr := freeAddr(t)
		_, port, _ := net.SplitHostPort(addr)
		cmd := exec.Command(binary, append([]string{"-l", "127.0.0.1", "-p", port, "-u", "root"}, args...)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		exited := make(chan struct{})
		go func() {
			cmd.Wait()
			close(exited)
		}()
		if answers(addr, exited) {
			t.Cleanup(func() {
				cmd.Process.Kill()
				<-exited
			})
			return addr
		}
		cmd.Process.Kill()
		<-exited
	}
	t.Fatalf("%s %v does not start", binary, args)
	return ""
}

func freeAddr(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func answers(addr string, exited <-chan struct{}) bool {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if nc, err := net.Dial("tcp", addr); err == nil {
			nc.Close()
			return true
		}
		select {
		case <-exited:
			return false
		case <-time.After(5 * time.Millisecond):
		}
	}
	return false
}

// newClient returns a client, and wants all of its goroutines to have ended when
// the test does.
func newClient(t testing.TB, addr string, opts client.Options) *client.Client {
	t.Helper()
	c, err := client.New(addr, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// noLeaks wants as many goroutines at the end of the test as there are now.
func noLeaks(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		deadline := time.Now().Add(patience)
		for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
		if n := runtime.NumGoroutine(); n > before {
			stacks := make([]byte, 1<<20)
			t.Errorf("%d goroutines before, %d after\n%s", before, n, stacks[:runtime.Stack(stacks, true)])
		}
	})
}

// within is a context that ends a test that hangs.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}
