package execute_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/hearthcache/hearth"
)

// TestLargeSentFromFlash: what has come from flash is sent from where it was read to,
// in order, and nothing of it is left after that; a client who takes it slowly keeps
// nobody from reading others, nor its page from being reclaimed.
func TestLargeSentFromFlash(t *testing.T) {
	const n, size = 12, 12<<20 + 1
	s := serve(t, t.TempDir(), hearth.Options{
		Memory: 128 << 20, FlashSize: 256 << 20, PageSize: 32 << 20, MaxItem: 16 << 20, HotPercent: -1,
	})
	all := random(size+2*n, 1)
	bytesOf := func(i int) []byte { return all[i : i+size] }
	value := func(i int) string { return fmt.Sprintf("VALUE k%d 5 %d\r\n%s\r\n", i%n, size, bytesOf(i)) }
	store := func(i int) {
		t.Helper()
		go s.send(set(fmt.Sprint("k", i%n), bytesOf(i)), 0)
		s.expect("STORED\r\n")
	}
	for i := range n {
		store(i)
	}

	before := s.cache.Stats()
	go s.send([]byte("get k0 none k1 k0\r\nmg k2 s v O1\r\nmg k0 s\r\ngat 0 k3\r\nmn\r\n"), 0)
	s.expect(value(0) + value(1) + value(0) + "END\r\n")
	s.expect(fmt.Sprintf("VA %d s%d O1\r\n%s\r\nHD s%d\r\n", size, size, bytesOf(2), size))
	s.expect(value(3) + "END\r\nMN\r\n")
	if hits := s.cache.Stats().HitsFlash - before.HitsFlash; hits != 6 {
		t.Errorf("%d of the six came from flash", hits)
	}
	if n := s.srv.Stats().BufferBytes; n > 1<<20 {
		t.Errorf("%d bytes of the connection's buffers", n)
	}

	var slow []*served
	for i := range n / 2 { // more than there are buffers for reads
		c := *s
		c.dial()
		c.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		c.send(fmt.Appendf(nil, "get k%d\r\n", i), 0)
		if _, err := c.in.Peek(100 << 10); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, &c)
	}
	lent := func() int64 { return s.cache.Stats().Flash.LentBytes }
	if lent() < n/2*size {
		t.Errorf("%d bytes are lent: the values are not sent from where they were read to", lent())
	}
	for i := range n {
		go s.send(fmt.Appendf(nil, "get k%d\r\n", i), 0)
		s.expect(value(i) + "END\r\n")
	}
	for i := range n { // with what there is more than flash holds: the pages of what is being sent go
		store(n + i)
	}
	for i, c := range slow {
		if i%2 == 0 {
			c.Close()
			continue
		}
		c.expect(value(i) + "END\r\n")
	}
	for end := time.Now().Add(10 * time.Second); lent() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d bytes are still lent", lent())
		}
	}
}
