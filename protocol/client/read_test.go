package client

import (
	"errors"
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/hearthcache/hearth/protocol"
)

// TestInputGrows: the buffer grows with what it holds, not with what is announced,
// and is given back.
func TestInputGrows(t *testing.T) {
	var in input
	for size := 0; size < 10<<20; size += 10_000 {
		in.makeRoom()
		if in.end == len(in.buf) {
			t.Fatal("no room")
		}
		if len(in.buf) > max(readSize, 4*in.held()) {
			t.Fatalf("a buffer of %d bytes holds %d", len(in.buf), in.held())
		}
		in.end = min(in.end+10_000, len(in.buf))
	}
	in.start = in.end
	if in.makeRoom(); len(in.buf) != readSize {
		t.Errorf("%d bytes are kept", len(in.buf))
	}
}

// TestFailedBeforeAnswered: when a caller has his answer, the connection has
// failed if more came than that, so that his next request cannot go there. The
// slot that the answer gives back is what the test holds it up with.
func TestFailedBeforeAnswered(t *testing.T) {
	client, err := New("127.0.0.1:1", Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, k := newConn(client), newCall(protocol.OpSet, "key")
	c.waiting = []*call{k}
	c.underWay.Store(1)
	near, far := net.Pipe()
	ended := make(chan error)
	go func() { ended <- c.read(near) }()
	if _, err := io.WriteString(far, "STORED\r\nSTORED\r\n"); err != nil {
		t.Fatal(err)
	}
	for c.underWay.Load() > 0 {
		runtime.Gosched()
	}
	c.mu.Lock()
	if !errors.Is(c.err, ErrMalformed) {
		t.Errorf("about to answer with %v", c.err)
	}
	c.mu.Unlock()
	client.slots <- struct{}{}
	<-k.done
	if err := <-ended; !errors.Is(err, ErrMalformed) || k.err != nil {
		t.Errorf("the connection ended with %v, the call with %v", err, k.err)
	}
	far.Close()
}
