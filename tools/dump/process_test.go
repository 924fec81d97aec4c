package dump

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/client"
)

const patience = time.Minute

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
func hearthd(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "dump-test"); built.err != nil {
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

// memcached is the peer's binary. A user may do without, the project's own run may not.
func memcached(t *testing.T) string {
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

// start runs a server on a socket of its own until the test ends.
func start(t *testing.T, binary string, args ...string) *peer {
	t.Helper()
	dir, err := os.MkdirTemp("", "dump")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	addr := filepath.Join(dir, "s")
	cmd := exec.Command(binary, append([]string{"-s", addr, "-u", "root"}, args...)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for deadline := time.Now().Add(patience); ; {
		if nc, err := net.Dial("unix", addr); err == nil {
			nc.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s %v does not start", binary, args)
		}
		time.Sleep(5 * time.Millisecond)
	}
	c, err := client.New(addr, client.Options{Protocol: protocol.Meta, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &peer{t: t, addr: addr, Client: c}
}

// startMemcached starts one that makes no crawl of its own: it would not list its keys
// meanwhile.
func startMemcached(t *testing.T) *peer {
	t.Helper()
	return start(t, memcached(t), "-o", "no_lru_maintainer")
}

// peer is a server and a client of it.
type peer struct {
	*client.Client
	t    *testing.T
	addr string
}

func (p *peer) ctx() context.Context { return within(p.t) }

func (p *peer) set(items ...client.Item) {
	p.t.Helper()
	for _, it := range items {
		if err := p.Set(p.ctx(), it); err != nil {
			p.t.Fatalf("%q: %v", it.Key, err)
		}
	}
}

// holds wants the items and no others, each with what is left of its time.
func (p *peer) holds(want map[string]client.Item) {
	p.t.Helper()
	for _, key := range slices.Sorted(maps.Keys(want)) {
		w := want[key]
		got, err := p.MetaGet(p.ctx(), key, client.GetOptions{NoBump: true})
		if err != nil {
			p.t.Fatalf("%q: %v", key, err)
		}
		late := w.TTL - got.TTL
		if string(got.Value) != string(w.Value) || got.Flags != w.Flags || late < 0 || late > patience || (w.TTL == 0) != (got.TTL == 0) {
			p.t.Fatalf("%q: %.40q flags %d TTL %v, want %.40q flags %d TTL %v", key, got.Value, got.Flags, got.TTL, w.Value, w.Flags, w.TTL)
		}
	}
	n := 0
	if err := p.Keys(p.ctx(), func([]byte) error { n++; return nil }); err != nil || n != len(want) {
		p.t.Fatalf("%d keys, want %d, %v", n, len(want), err)
	}
}

// within is a context that ends a test that hangs.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}
