package main_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// What one client can send without end, and without waiting for an answer, must
// cost the others nothing.

// quietly are requests that are not answered, over and over.
var quietly = map[string]string{
	"noreply":      "set a 0 0 1 noreply\r\nx\r\ndelete none noreply\r\n",
	"meta misses":  "mg none v q\r\nmd none q\r\n",
	"meta sets":    "ms a 1 q\r\nx\r\n",
	"getkq misses": binaryRequest(0x0d, "none", "", ""),
	"setq":         binaryRequest(0x11, "a", "\x00\x00\x00\x00\x00\x00\x00\x00", "x"),
	"deleteq":      binaryRequest(0x14, "a", "", "") + binaryRequest(0x11, "a", "\x00\x00\x00\x00\x00\x00\x00\x00", "x"),
}

// binaryRequest is a packet.
func binaryRequest(opcode byte, key, extras, value string) string {
	body := extras + key + value
	return string([]byte{0x80, opcode, 0, byte(len(key)), byte(len(extras)), 0, 0, 0, 0, 0, byte(len(body) >> 8), byte(len(body)), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}) + body
}

// TestQuietFlood: without a request that is answered among them.
func TestQuietFlood(t *testing.T) {
	t.Parallel()
	s := startHearthd(t, "-m", "64")
	before, long := s.rss(t, "VmRSS"), 300*time.Millisecond
	if testing.Short() {
		long /= 3
	}
	for name, request := range quietly {
		t.Run(name, func(t *testing.T) {
			c := s.dial(t)
			// The kernel would take 4 MiB ahead, which last long under the race detector.
			c.(*net.TCPConn).SetWriteBuffer(128 << 10)
			flood := []byte(strings.Repeat(request, 1+64<<10/len(request)))
			stop := time.Now().Add(long)
			for sent := 0; time.Now().Before(stop); sent += len(flood) {
				if _, err := pour(c, flood, len(flood), patience); err != nil {
					t.Fatalf("after %d bytes: %v", sent, err)
				}
			}
			unharmed(t, s, before, 48*mib)
		})
	}
}

// TestQuietHitsNotRead: quiet gets whose hits nobody reads come to a halt.
func TestQuietHitsNotRead(t *testing.T) {
	t.Parallel()
	s := startHearthd(t, "-m", "64")
	value := strings.Repeat("v", 100_000)
	if got, err := ask(s.dial(t), fmt.Sprintf("set big 0 0 %d\r\n%s\r\n", len(value), value)); got != "STORED" {
		t.Fatalf("got %q, %v", got, err)
	}
	before := s.rss(t, "VmRSS")
	for _, request := range []string{"mg big v q\r\n", binaryRequest(0x0d, "big", "", ""), "get big big big big\r\n"} {
		for range 5 {
			c := s.dial(t)
			if n, err := pour(c, []byte(strings.Repeat(request, 2000)), 64*mib, 500*time.Millisecond); err == nil {
				t.Errorf("%.10q: it took %d bytes without being read from", request, n)
			}
		}
	}
	unharmed(t, s, before, 64*mib)
}

// TestSlowWriters: hundreds announce the largest value, of which they send a little
// now and then. They get the server to hold little more than that.
func TestSlowWriters(t *testing.T) {
	t.Parallel()
	s := startHearthd(t, "-m", "64", "-I", "16m")
	size := 15 * mib
	heads := []string{
		fmt.Sprintf("set slow 0 0 %d\r\n", size), fmt.Sprintf("ms slow %d\r\n", size),
		string([]byte{0x80, 1, 0, 4, 8, 0, 0, 0, byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}) + "12345678slow",
	}
	before := s.rss(t, "VmRSS")
	var cs []net.Conn
	for round := range 3 {
		for i := range 200 {
			c := s.dial(t)
			fmt.Fprint(c, heads[i%len(heads)]+strings.Repeat("v", 1000))
			cs = append(cs, c)
		}
		for range 3 {
			for _, c := range cs {
				c.Write([]byte("v"))
			}
			unharmed(t, s, before, 64*mib)
		}
		for _, c := range cs[:100*(round%2)] {
			c.Close()
		}
		cs = cs[100*(round%2):]
	}
	if got := s.stats(t, "")["read_buf_bytes"]; len(got) > len("99000000") {
		t.Errorf("%s bytes of buffers", got)
	}
}
