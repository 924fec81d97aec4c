package server_test

import (
	"fmt"
	"net"
	"sync/atomic"
	"testing"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// abandoned is a Handler of answers that come only if they are canceled, and the
// test agrees.
type abandoned struct {
	open, told atomic.Int64
	release    atomic.Bool
	last       atomic.Pointer[server.Conn]
}

type orphan struct {
	h    *abandoned
	told bool
}

func (p *orphan) Step(dst []byte) ([]byte, bool) {
	if !p.told || !p.h.release.Load() {
		return dst, false
	}
	p.h.open.Add(-1)
	return dst, true
}

func (p *orphan) Cancel() {
	if p.told {
		panic("canceled twice")
	}
	p.told = true
	p.h.told.Add(1)
}

func (h *abandoned) Get(c *server.Conn, _ *protocol.Request, dst []byte) ([]byte, server.Pending) {
	h.open.Add(1)
	h.last.Store(c)
	return dst, &orphan{h: h}
}

func (h *abandoned) Do(c *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	return h.Get(c, r, dst)
}

// TestCancel: all that waits learns that its client has gone, and is stepped to
// its end.
func TestCancel(t *testing.T) {
	h := &abandoned{}
	s, tcp, unix := start(t, h, server.Options{})
	for i, at := range [][2]string{{"tcp", tcp}, {"unix", unix}} {
		c := dial(t, at[0], at[1])
		fmt.Fprint(c, "get a b c\r\nget half")
		until(t, "the gets have begun", func() bool { return h.open.Load() == 3 })
		if n := h.told.Load(); n != int64(3*i) {
			t.Errorf("%d were told while the client was there", n)
		}
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		c.Close()
		until(t, "all have been told", func() bool { return h.told.Load() == int64(3*(i+1)) })
		if at[0] == "tcp" {
			until(t, "it is closed", func() bool { return s.Stats().CurrConns == 0 })
		}
		h.release.Store(true)
		h.last.Load().Notify(0)
		until(t, "all have ended", func() bool { return h.open.Load() == 0 && s.Stats().CurrConns == 0 })
		h.release.Store(false)
	}
}

// TestCancelOfWhatFollows: a request that is executed though its client has gone
// already is told so, too.
func TestCancelOfWhatFollows(t *testing.T) {
	h := &abandoned{}
	h.release.Store(true)
	s, _, unix := start(t, h, server.Options{})
	c := dial(t, "unix", unix)
	fmt.Fprint(c, "set a 0 0 1\r\nx\r\nset b 0 0 1\r\nx\r\nset c 0 0 1\r\nx\r\n")
	until(t, "the first has begun", func() bool { return h.open.Load() == 1 })
	c.Close()
	until(t, "all have been told", func() bool { return h.told.Load() == 3 })
	until(t, "it is closed", func() bool { return s.Stats().CurrConns == 0 })
}
