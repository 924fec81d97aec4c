package main

import (
	"github.com/hearthcache/hearth/cmd/hearthd/watch"
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// watching is a connection that watches, until its client leaves.
type watching struct {
	h     *admin
	w     *watch.Watcher
	ended bool
}

// Step gives what has been logged since the last one.
func (s *watching) Step(dst []byte) ([]byte, bool) {
	if s.ended {
		s.w.Close()
		s.h.retap()
		return dst, true
	}
	return s.w.Take(dst), false
}

// Ended ends the watch.
func (s *watching) Ended(bool) { s.ended = true }

// startWatch answers the watch command.
func (h *admin) startWatch(c *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	kinds, refusal := h.watchable(words(r), len(dst) > 0)
	if refusal != "" {
		return append(dst, refusal...), nil
	}
	w, err := h.watch.Add(kinds, protocol.OK, func() { c.Notify(0) })
	if err != nil {
		return append(dst, "WATCHER_TOO_MANY log watcher limit reached\r\n"...), nil
	}
	h.retap()
	return dst, &watching{h: h, w: w}
}

// watchable is what the words of a watch command ask for, or why that cannot be.
// As in memcached no reply may be on its way: here pipelining it would do no harm,
// but a client that does so has not understood that there is no way back.
func (h *admin) watchable(args []string, pipelined bool) (kinds watch.Kind, refusal string) {
	switch {
	case h.config.NoWatch:
		return 0, "CLIENT_ERROR watch commands not allowed\r\n"
	case pipelined:
		return 0, "ERROR cannot pipeline other commands before watch\r\n"
	case len(args) == 0:
		return watch.Fetchers, ""
	}
	for _, word := range args {
		switch word {
		case "proxyreqs", "proxyevents", "proxyuser":
			return 0, "CLIENT_ERROR this server is no proxy\r\n"
		}
		k, ok := watch.ParseKind(word)
		if !ok {
			return 0, protocol.Error
		}
		kinds |= k
	}
	return kinds, ""
}

func (h *admin) connOpened(c *server.Conn) {
	if h.watch.Wants(watch.ConnEvents) {
		h.watch.ConnOpened(c.RemoteAddr(), c.FD())
	}
}

func (h *admin) connClosed(c *server.Conn, why server.CloseReason) {
	if h.watch.Wants(watch.ConnEvents) {
		h.watch.ConnClosed(c.RemoteAddr(), c.FD(), why.String())
	}
}
