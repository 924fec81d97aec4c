package execute_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"testing"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/protocol"
)

// sendsLarge is a server with two large values and a small one.
func sendsLarge(t *testing.T) (s *served, a, b []byte) {
	s = serve(t, "", hearth.Options{Memory: 256 << 20, MaxItem: 64 << 20})
	a, b = random(20<<20+1, 1), random(3<<20, 2)
	go s.send(append(append(set("a", a), set("b", b)...), set("c", []byte("3"))...), 0)
	s.expect("STORED\r\nSTORED\r\nSTORED\r\n")
	return s, a, b
}

// TestLargeSent: large values are sent whole, in order, between small answers, in
// each protocol, from where they lie.
func TestLargeSent(t *testing.T) {
	s, a, b := sendsLarge(t)
	go s.send([]byte("get c\r\nget a none b c a\r\ngets none\r\nmg a s v O1 f\r\nmg b s k\r\nget c\r\ngat 0 b\r\nmn\r\n"), 0)
	s.expect("VALUE c 5 1\r\n3\r\nEND\r\n")
	valueA, valueB := fmt.Sprintf("VALUE a 5 %d\r\n%s\r\n", len(a), a), fmt.Sprintf("VALUE b 5 %d\r\n%s\r\n", len(b), b)
	s.expect(valueA + valueB + "VALUE c 5 1\r\n3\r\n" + valueA + "END\r\n")
	s.expect(fmt.Sprintf("END\r\nVA %d s%d O1 f5\r\n%s\r\nHD s%d kb\r\n", len(a), len(a), a, len(b)))
	s.expect("VALUE c 5 1\r\n3\r\nEND\r\n" + valueB + "END\r\nMN\r\n")
	if n := s.srv.Stats().BufferBytes; n > 4<<20 {
		t.Errorf("%d bytes of buffers", n)
	}
	s.dial()
	get := make([]byte, 25)
	get[0], get[1], get[3], get[11], get[24] = protocol.MagicRequest, 0x0c, 1, 1, 'b'
	s.send(append(get, get...), 0)
	for range 2 {
		head := make([]byte, 29)
		if _, err := io.ReadFull(s.in, head); err != nil || int(binary.BigEndian.Uint32(head[8:])) != 5+len(b) || head[27] != 5 || head[28] != 'b' {
			t.Fatalf("%x, %v", head, err)
		}
		s.expect(string(b))
	}
	s.settled()
}

// TestLargeSentSlowly: a client that takes its value slowly gets it as it was,
// whatever becomes of the item meanwhile; what leaves half way keeps nothing.
func TestLargeSentSlowly(t *testing.T) {
	for _, change := range []string{
		"delete a\r\n", "flush_all\r\n", "set a 0 0 1\r\n1\r\n", "append a 0 0 3\r\nabc\r\n", "prepend a 0 0 3\r\nabc\r\n",
		"touch a -1\r\n", "md a I\r\n", string(set("a", random(20<<20, 9))),
	} {
		s, a, _ := sendsLarge(t)
		slow, in := s.Conn, s.in
		s.send([]byte("get a c\r\n"), 0)
		if _, err := in.Peek(1 << 20); err != nil {
			t.Fatal(err)
		}
		s.dial()
		leaver := s.Conn
		s.send([]byte("get a b\r\n"), 0)
		if _, err := s.in.Peek(1 << 20); err != nil {
			t.Fatal(err)
		}
		s.dial()
		go s.send([]byte(change), 0)
		if _, err := s.in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		for i := range 3 { // would use memory that is free
			go s.send(set(fmt.Sprint(i), random(20<<20, 10+i)), 0)
			s.expect("STORED\r\n")
		}
		if s.cache.Stats().Mem.PinnedBytes < 20<<20 {
			t.Errorf("%.20q: the value is not sent from where it lies", change)
		}
		leaver.Close()
		s.Conn, s.in = slow, in
		s.expect(fmt.Sprintf("VALUE a 5 %d\r\n%s\r\n", len(a), a))
		s.settled()
	}
}
