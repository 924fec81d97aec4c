package server_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// byState returns the texts of the addresses of what is in each state.
func byState(s *server.Server) map[string][]string {
	of := map[string][]string{}
	for _, c := range s.Conns() {
		of[c.State.String()] = append(of[c.State.String()], c.Remote.Network()+":"+c.Remote.String())
	}
	slices.Sort(of["conn_listening"])
	return of
}

func TestConns(t *testing.T) {
	h := &later{release: make(chan struct{}), value: make([]byte, 1<<20)}
	s, tcp, unix := start(t, h, server.Options{Loops: 2, IdleTimeout: 30 * time.Second})
	idle, half, pending, stuck := dial(t, "tcp", tcp), dial(t, "unix", unix), dial(t, "tcp", tcp), dial(t, "tcp", tcp)
	fmt.Fprint(half, "set half 0 0 100\r\nha")
	fmt.Fprint(pending, "get never\r\n")
	fmt.Fprint(stuck, strings.Repeat("get now now now now\r\n", 100))
	want := map[string][]string{
		"conn_listening": {"tcp:" + tcp, "unix:" + unix},
		"conn_read":      {"tcp:" + idle.LocalAddr().String()},
		"conn_nread":     {"unix:" + unix},
		"conn_io_queue":  {"tcp:" + pending.LocalAddr().String()},
		"conn_mwrite":    {"tcp:" + stuck.LocalAddr().String()},
	}
	until(t, "all are in their states", func() bool { return maps.EqualFunc(byState(s), want, slices.Equal) })
	listen := map[int]string{}
	for _, c := range s.Conns() {
		if _, twice := listen[c.FD]; twice {
			t.Errorf("descriptor %d twice", c.FD)
		}
		listen[c.FD] = c.Listen.String()
		if c.Remote.Network() == "tcp" && c.Listen.String() != tcp {
			t.Errorf("accepted at %s", c.Listen)
		}
	}
	stuck.Close()
	close(h.release)
}

// TestConnsIdle: the time since the last command grows, and begins anew.
func TestConnsIdle(t *testing.T) {
	s, tcp, _ := start(t, &later{}, server.Options{IdleTimeout: time.Minute})
	idleOf := func() time.Duration { return s.Conns()[len(s.Conns())-1].Idle }
	c := dial(t, "tcp", tcp)
	until(t, "it is open", func() bool { return len(s.Conns()) == 3 })
	until(t, "it is idle", func() bool { return idleOf() >= time.Second/2 })
	until(t, "it is not idle", func() bool {
		fmt.Fprint(c, "get now\r\n")
		c.want(value("now") + protocol.End)
		return idleOf() < time.Second/2
	})
}

// events notes what Opened and Closed are told.
type events struct {
	mu   sync.Mutex
	open map[int]string
	why  []server.CloseReason
	bad  []string
}

func (e *events) options() server.Options {
	e.open = map[int]string{}
	return server.Options{Opened: e.opened, Closed: e.closed, IdleTimeout: 200 * time.Millisecond}
}

func (e *events) opened(c *server.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, twice := e.open[c.FD()]; twice {
		e.bad = append(e.bad, "opened twice")
	}
	e.open[c.FD()] = c.RemoteAddr().String()
}

func (e *events) closed(c *server.Conn, why server.CloseReason) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open[c.FD()] != c.RemoteAddr().String() {
		e.bad = append(e.bad, "closed at another address")
	}
	delete(e.open, c.FD())
	e.why = append(e.why, why)
}

func (e *events) closedFor(why server.CloseReason) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Contains(e.why, why)
}

// forget has closedFor know only of what comes from here on.
func (e *events) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.why = nil
}

func TestOpenedAndClosed(t *testing.T) {
	e := &events{}
	s, tcp, unix := start(t, &later{}, e.options())
	for why, send := range map[server.CloseReason]string{
		server.CloseError: strings.Repeat("x", 3000), server.CloseNormal: "quit\r\n", server.CloseIdle: "get n",
	} {
		e.forget()
		c := dial(t, "unix", unix)
		fmt.Fprint(c, send)
		until(t, why.String(), func() bool { return e.closedFor(why) })
	}
	gone := dial(t, "tcp", tcp)
	e.forget()
	gone.Close()
	until(t, "it has left", func() bool { return e.closedFor(server.CloseNormal) })
	dial(t, "tcp", tcp)
	until(t, "it is open", func() bool { return s.Stats().CurrConns == 1 })
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if !e.closedFor(server.CloseShutdown) || len(e.open) > 0 || e.bad != nil {
		t.Errorf("%+v", e)
	}
}
