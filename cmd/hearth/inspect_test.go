package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// stored is what a test sets, by key.
type stored map[string]*memcache.Item

const inspected = 3000

// startServer starts a memcached-speaking program on a socket, and waits until it
// serves. stop sends it a signal and waits for its end.
func startServer(t *testing.T, path string, args ...string) (client *memcache.Client, socket string, stop func(os.Signal)) {
	t.Helper()
	dir, err := os.MkdirTemp("", "inspect") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "s")
	cmd := exec.Command(path, append([]string{"-u", "root", "-s", socket}, args...)...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	running := true
	stop = func(sig os.Signal) {
		if running {
			running = false
			_ = cmd.Process.Signal(sig)
			_ = cmd.Wait()
		}
	}
	t.Cleanup(func() { stop(syscall.SIGKILL); os.RemoveAll(dir) })
	client = memcache.New(socket)
	for range 200 {
		if client.Ping() == nil {
			return client, socket, stop
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s does not serve:\n%s", path, said.String())
	return nil, "", nil
}

// fill sets, overwrites and deletes items, and gives those that are left.
func fill(t *testing.T, c *memcache.Client) stored {
	t.Helper()
	items := stored{}
	for i := range inspected {
		it := &memcache.Item{
			Key: fmt.Sprintf("key-%d", i%(inspected-200)), Flags: uint32(i),
			Value: bytes.Repeat(fmt.Appendf(nil, "%d\r\n", i), 300),
		}
		if i%3 == 0 {
			it.Expiration = 5000
		}
		if err := c.Set(it); err != nil {
			t.Fatal(err)
		}
		items[it.Key] = it
	}
	for i := 500; i < 600; i++ {
		key := fmt.Sprintf("key-%d", i)
		if err := c.Delete(key); err != nil {
			t.Fatal(err)
		}
		delete(items, key)
	}
	return items
}

// holds checks that a server has the items, with their flags, and no others of
// fill's keys.
func (s stored) holds(t *testing.T, c *memcache.Client) {
	t.Helper()
	for i := range inspected - 200 {
		key := fmt.Sprintf("key-%d", i)
		got, err := c.Get(key)
		switch want := s[key]; {
		case want == nil && errors.Is(err, memcache.ErrCacheMiss):
		case want == nil || err != nil:
			t.Fatalf("%s: %v, want %v", key, err, want)
		case !bytes.Equal(got.Value, want.Value) || got.Flags != want.Flags:
			t.Fatalf("%s: another value or other flags", key)
		}
	}
}

// talk sends bytes and gives all that comes back until the server closes.
func talk(t *testing.T, socket string, b []byte) string {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func buildHearthd(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hearthd")
	if out, err := exec.Command("go", "build", "-o", path, "../hearthd").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// TestInspectServer looks into what a real server leaves, after a graceful stop
// and after a kill, replays it into others, and repairs it.
func TestInspectServer(t *testing.T) {
	hearthd := buildHearthd(t)
	flash := filepath.Join(t.TempDir(), "flash")
	args := []string{"-m", "16", "-o", "ext_path=" + flash + ":64m,ext_page_size=2,ext_wbuf_size=1", "-I", "512k"}
	c, socket, stop := startServer(t, hearthd, args...)
	items := fill(t, c)
	binary := []byte("a\x00\xffb")
	if got := talk(t, socket, []byte("ms YQD/Yg== 3 b F7 T5000\r\nxyz\r\nquit\r\n")); !strings.HasPrefix(got, "HD") {
		t.Fatal(got)
	}
	stop(syscall.SIGTERM)
	healthy(t, flash)
	out, err := command(t, "inspect", "get", flash, "@"+fmt.Sprintf("%x", binary))
	if err != nil || !strings.Contains(out, `"a\x00\xffb": live, value 3 bytes, flags 7`) || !strings.HasSuffix(out, "xyz") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := command(t, "inspect", "records", flash, "--min-size", "1m"); err != nil || out != "" {
		t.Errorf("records of a mebibyte: %v\n%s", err, out)
	}
	if out, err := command(t, "inspect", "records", flash, "--min-size", "1k", "--limit", "3"); err != nil || strings.Count(out, "\n") != 3 {
		t.Errorf("three records of a kibibyte: %v\n%s", err, out)
	}
	replay(t, flash, hearthd, items)

	c, _, stop = startServer(t, hearthd, args...)
	items.holds(t, c)
	if err := c.Delete("key-7"); err != nil {
		t.Fatal(err)
	}
	if out, err := command(t, "inspect", flash); err != nil || !strings.Contains(out, "note: a server is using the directory") {
		t.Errorf("while it runs: %v\n%s", err, out)
	}
	if _, err := command(t, "inspect", "repair", flash, "--accept-stale"); err == nil {
		t.Error("the directory of a running server is repaired")
	}
	stop(syscall.SIGKILL)
	healthy(t, flash)
	if out, err := command(t, "inspect", "get", flash, "key-7"); !errors.Is(err, errNotAlive) || !strings.Contains(out, "key-7: dead") {
		t.Errorf("%v\n%s", err, out)
	}

	if err := os.RemoveAll(filepath.Join(flash, "catalog")); err != nil {
		t.Fatal(err)
	}
	repair(t, flash)
	c, _, _ = startServer(t, hearthd, args...)
	for _, i := range []int{7, 8, 9, 1000} { // 7 returns from the dead
		if it, err := c.Get(fmt.Sprintf("key-%d", i)); err != nil || !bytes.Equal(it.Value, items[it.Key].Value) {
			t.Errorf("key-%d after the repair: %v", i, err)
		}
	}
}

func healthy(t *testing.T, flash string) {
	t.Helper()
	out, err := command(t, "inspect", "verify", flash)
	if err != nil || !strings.HasSuffix(out, "\n0 faults\n") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = command(t, "inspect", "verify", flash, "--json")
	if err != nil || !strings.HasPrefix(out, `{"faults":[],"notes":[`) || !strings.Contains(out, `"bytes_checked":`) {
		t.Errorf("%v\n%s", err, out)
	}
}

// repair repairs a directory without a catalog, and leaves its page files as they
// are.
func repair(t *testing.T, flash string) {
	t.Helper()
	before := pageBytes(t, flash)
	if out, err := command(t, "inspect", "repair", flash, "--dry-run"); err != nil || !strings.Contains(out, "wrong: there is no catalog") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(flash, "catalog")); err == nil {
		t.Error("a dry run makes a catalog")
	}
	if out, err := command(t, "inspect", "repair", flash, "--accept-stale"); err != nil || !strings.Contains(out, "repaired: ") {
		t.Errorf("%v\n%s", err, out)
	}
	if !slices.EqualFunc(before, pageBytes(t, flash), bytes.Equal) {
		t.Error("a repair changes page files")
	}
	healthy(t, flash)
}

func pageBytes(t *testing.T, flash string) (all [][]byte) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(flash, "pages", "*.page"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// replay exports the directory and sends that to a hearthd and to a memcached.
func replay(t *testing.T, flash, hearthd string, items stored) {
	t.Helper()
	var stream, told bytes.Buffer
	cmd := newCommand()
	cmd.SetOut(&stream)
	cmd.SetErr(&told)
	cmd.SetArgs([]string{"inspect", "export", flash})
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%d items", len(items)+1); !strings.Contains(told.String(), want) {
		t.Errorf("%s: want %s", &told, want)
	}
	for _, path := range []string{hearthd, "/usr/bin/memcached"} {
		if _, err := os.Stat(path); err != nil {
			t.Logf("%s is not here", path)
			continue
		}
		c, socket, stop := startServer(t, path, "-m", "64")
		if answer := talk(t, socket, stream.Bytes()); !strings.HasPrefix(answer, "VERSION ") || strings.Count(answer, "\n") != 1 {
			t.Errorf("%s answers %.200q", path, answer)
		}
		items.holds(t, c)
		ttl := talk(t, socket, []byte("mg YQD/Yg== b v f t\r\nmg key-300 t\r\nmg key-301 t\r\nquit\r\n"))
		var a, b int
		if n, _ := fmt.Sscanf(ttl, "VA 3 f7 t%d\r\nxyz\r\nHD t%d\r\nHD t-1\r\n", &a, &b); n != 2 || min(a, b) < 4900 || max(a, b) > 5000 {
			t.Errorf("%s: %q", path, ttl)
		}
		stop(syscall.SIGKILL)
	}
}
