package main

import (
	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// admin answers the commands that are not about items.
type admin struct {
	cache  *hearth.Cache
	config *Config
	stop   func() // has the server stop, and returns at once
	stats  statistics
}

func (h *admin) do(_ *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	switch r.Op {
	case protocol.OpVerbosity:
		return protocol.AppendOutcome(dst, r, protocol.Done), nil
	case protocol.OpStats:
		return h.appendStats(r, dst), nil
	case protocol.OpCacheMemlimit:
		return h.memlimit(r, dst), nil
	case protocol.OpShutdown:
		return h.shutdown(dst), nil
	}
	return protocol.AppendOutcome(dst, r, protocol.Unknown), nil
}

// memlimit changes -m of the running server.
func (h *admin) memlimit(r *protocol.Request, dst []byte) []byte {
	if r.Delta > maxMemory || h.cache.SetMemory(int64(r.Delta)*mebibyte) != nil {
		return append(dst, "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n"...)
	}
	return append(dst, protocol.OK...)
}

// shutdown stops the server as a signal would.
func (h *admin) shutdown(dst []byte) []byte {
	if !h.config.AllowShutdown {
		return append(dst, "ERROR: shutdown not enabled\r\n"...)
	}
	h.stop()
	return dst
}
