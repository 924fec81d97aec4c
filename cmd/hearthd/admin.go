package main

import (
	"log/slog"
	"strings"
	"sync"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/cmd/hearthd/execute"
	"github.com/hearthcache/hearth/cmd/hearthd/watch"
	"github.com/hearthcache/hearth/cmd/hearthd/web"
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// admin answers the commands that are not about items.
type admin struct {
	cache    *hearth.Cache
	stop     func() // has the server stop, and returns at once
	stats    statistics
	watch    *watch.Log
	tap      execute.Tap
	prefixes *prefixes
	crawler  *crawler
	level    *slog.LevelVar // of the log
	secrets  *secrets
	site     *web.Server

	mu     sync.Mutex // guards what commands change of config
	config *Config
}

func (h *admin) do(c *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	switch r.Op {
	case protocol.OpStats:
		return h.appendStats(c, r, dst)
	case protocol.OpVerbosity:
		h.setVerbosity(int(min(r.Delta, mostVerbose)))
		return protocol.AppendOutcome(dst, r, protocol.Done), nil
	case protocol.OpCacheMemlimit:
		return append(dst, h.memlimit(r.Delta)...), nil
	case protocol.OpShutdown:
		return append(dst, h.shutdown(words(r))...), nil
	case protocol.OpLRUCrawler:
		return h.lruCrawler(c, r, dst)
	case protocol.OpLRU:
		return append(dst, h.lru(words(r))...), nil
	case protocol.OpSlabs:
		return append(dst, h.slabs(words(r))...), nil
	case protocol.OpExtstore:
		return append(dst, h.extstore(words(r))...), nil
	case protocol.OpRefreshCerts:
		return append(dst, h.secrets.refreshCerts()...), nil
	case protocol.OpWatch:
		return h.startWatch(c, r, dst)
	}
	return protocol.AppendOutcome(dst, r, protocol.Unknown), nil
}

// words are those of a line behind the command's name.
func words(r *protocol.Request) []string {
	return strings.FieldsFunc(string(r.Args), func(c rune) bool { return c == ' ' })
}

// mostVerbose is the highest level of the log that memcached knows.
const mostVerbose = 2

func (h *admin) setVerbosity(level int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.config.Verbosity = level
	h.level.Set(logLevel(level))
}

// memlimit changes -m of the running server.
func (h *admin) memlimit(megabytes uint64) string {
	switch {
	case megabytes < minMemory:
		return "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n"
	case megabytes > 1_000_000_000:
		return "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n"
	case megabytes > maxMemory || h.cache.SetMemory(int64(megabytes)*mebibyte) != nil:
		return "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n"
	}
	return protocol.OK
}

// shutdown stops the server as a signal would, which is always graceful. There is
// no reply: the connection is closed.
func (h *admin) shutdown(args []string) string {
	switch {
	case !h.config.AllowShutdown:
		return "SERVER_ERROR: shutdown not enabled\r\n"
	case len(args) > 1 || len(args) == 1 && args[0] != "graceful":
		return "CLIENT_ERROR invalid shutdown mode\r\n"
	}
	h.stop()
	return ""
}
