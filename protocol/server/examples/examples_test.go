// Package examples has the tests of the programs beside it.
package examples

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

const patience = 20 * time.Second

// run builds a program and runs it until the test calls stop, or ends.
func run(t *testing.T, name string, args ...string) (address string, stop func()) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", path, "./"+name).CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	address = freeAddress(t)
	cmd := exec.Command(path, append([]string{address}, args...)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cmd.Process.Signal(os.Interrupt)
		kill := time.AfterFunc(patience, func() { cmd.Process.Kill() })
		defer kill.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s ended with %v", name, err)
		}
	}
	t.Cleanup(stop)
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return address, stop
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen", name)
		}
	}
}

func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// ask sends in and wants these bytes back.
func ask(t *testing.T, address, in, want string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(c, in)
	got := make([]byte, len(want))
	if n, err := io.ReadFull(bufio.NewReader(c), got); err != nil || string(got) != want {
		t.Errorf("%q: got %q (%v), want %q", in, got[:n], err, want)
	}
}

// packet is a binary one; body is what stands behind the header.
func packet(magic, opcode, key, extras, status byte, body string) string {
	return string([]byte{magic, opcode, 0, key, extras, 0, 0, status, 0, 0, 0, byte(len(body)), 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0}) + body
}

// served is what both programs do, in all protocols.
func served(t *testing.T, address string) {
	c := memcache.New(address)
	c.Timeout = patience
	if _, err := c.Get("a"); err != memcache.ErrCacheMiss {
		t.Errorf("get of nothing: %v", err)
	}
	if err := c.Set(&memcache.Item{Key: "a", Value: []byte("one"), Flags: 7}); err != nil {
		t.Errorf("set: %v", err)
	}
	if it, err := c.Get("a"); err != nil || string(it.Value) != "one" || it.Flags != 7 {
		t.Errorf("get: %v, %v", it, err)
	}
	ask(t, address, "get a none a\r\nmg a v f k\r\nmg none v\r\nms b 3\r\ntwo\r\nmg b v\r\nmd b\r\nmd b\r\nmd b q\r\nmn\r\n",
		"VALUE a 7 3\r\none\r\nVALUE a 7 3\r\none\r\nEND\r\nVA 3 f7 ka\r\none\r\nEN\r\nHD\r\nVA 3\r\ntwo\r\nHD\r\nNF\r\n")
	ask(t, address, packet(0x80, 0x00, 1, 0, 0, "a")+packet(0x80, 0x01, 1, 8, 0, "\x00\x00\x00\x05\x00\x00\x00\x00cthree")+packet(0x80, 0x0c, 1, 0, 0, "c"),
		packet(0x81, 0x00, 0, 4, 0, "\x00\x00\x00\x07one")+packet(0x81, 0x01, 0, 0, 0, "")+packet(0x81, 0x0c, 1, 4, 0, "\x00\x00\x00\x05cthree"))
	if err := c.Delete("a"); err != nil {
		t.Errorf("delete: %v", err)
	}
	if err := c.Delete("a"); err != memcache.ErrCacheMiss {
		t.Errorf("delete of nothing: %v", err)
	}
	large := strings.Repeat("v", 2<<20)
	ask(t, address, "set d 0 0 1\r\nx\r\nset d 0 0 2097152\r\n"+large+"\r\nget d\r\nincr d 1\r\n",
		"STORED\r\nSERVER_ERROR object too large for cache\r\nEND\r\nERROR\r\n")
}

func TestMap(t *testing.T) {
	address, _ := run(t, "map")
	served(t, address)
}

func TestPebble(t *testing.T) {
	dir := t.TempDir()
	address, stop := run(t, "pebble", dir)
	served(t, address)
	ask(t, address, "add e 1 0 4\r\nfour\r\nadd e 0 0 1\r\nx\r\nreplace f 0 0 1\r\nx\r\nreplace e 2 0 4\r\nfive\r\n",
		"STORED\r\nNOT_STORED\r\nNOT_STORED\r\nSTORED\r\n")
	var in, want strings.Builder
	for i := range 200 {
		fmt.Fprintf(&in, "set k%d 0 0 1\r\nx\r\n", i)
		want.WriteString("STORED\r\n")
	}
	fmt.Fprint(&in, "get"+strings.Repeat(" e none", 200)+"\r\n")
	want.WriteString(strings.Repeat("VALUE e 2 4\r\nfive\r\n", 200) + "END\r\n")
	ask(t, address, in.String(), want.String())
	stop()
	address, _ = run(t, "pebble", dir)
	ask(t, address, "get e k199 none\r\n", "VALUE e 2 4\r\nfive\r\nVALUE k199 0 1\r\nx\r\nEND\r\n")
}
