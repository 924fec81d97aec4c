package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/cmd/hearthd/execute"
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// statistics is what stats needs beside the cache's own counters.
type statistics struct {
	server  *server.Server
	handler *execute.Handler
	started time.Time

	mu    sync.Mutex
	since map[string]uint64 // the counters' values at the last stats reset
}

// stat is one line of a stats reply. A counter begins at 0 after stats reset.
type stat struct {
	name    string
	value   any
	counter bool
}

func gauge(name string, value any) stat      { return stat{name, value, false} }
func counter(name string, value uint64) stat { return stat{name, value, true} }

// groups are the arguments of stats that are answered with a list.
var groups = map[string]func(*admin) []stat{
	"":         (*admin).general,
	"settings": (*admin).settings,
	"conns":    (*admin).conns,
	"items":    (*admin).itemStats,
	"slabs":    (*admin).slabStats,
	"sizes":    (*admin).sizes,
	"extstore": (*admin).pages,
}

// appendStats answers the stats command.
func (h *admin) appendStats(c *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	args := words(r)
	if len(args) > 0 && args[0] == "cachedump" && r.Proto != protocol.Binary {
		return h.startCachedump(c, r, args[1:], dst)
	}
	return h.appendGroup(r, append(args, "", ""), dst), nil
}

// appendGroup answers what can be answered at once.
func (h *admin) appendGroup(r *protocol.Request, args []string, dst []byte) []byte {
	if list := groups[args[0]]; list != nil {
		return h.appendLines(dst, r, list(h))
	}
	switch args[0] {
	case "reset":
		h.reset()
		return appendSimple(dst, r, protocol.Reset)
	case "detail":
		return h.detail(r, args[1], dst)
	case "sizes_disable":
		return appendSimple(dst, r, "STAT sizes_status disabled\r\n")
	case "sizes_enable":
		return appendSimple(dst, r, "STAT sizes_status error\r\nSTAT sizes_error not_supported\r\n")
	}
	if r.Proto == protocol.Binary {
		return protocol.AppendStatus(dst, r, protocol.StatusKeyNotFound, "")
	}
	return protocol.AppendOutcome(dst, r, protocol.Unknown)
}

// appendSimple appends line, which the binary protocol says as an empty list.
func appendSimple(dst []byte, r *protocol.Request, line string) []byte {
	if r.Proto == protocol.Binary {
		return protocol.AppendStatEnd(dst, r)
	}
	return append(dst, line...)
}

// sizes is memcached's answer where sizes are not counted.
func (h *admin) sizes() []stat { return []stat{gauge("sizes_status", "disabled")} }

func (h *admin) appendLines(dst []byte, r *protocol.Request, stats []stat) []byte {
	h.stats.mu.Lock()
	defer h.stats.mu.Unlock()
	for _, s := range stats {
		if s.counter {
			s.value = s.value.(uint64) - h.stats.since[s.name]
		}
		dst = protocol.AppendStat(dst, r, s.name, fmt.Sprint(s.value))
	}
	return protocol.AppendStatEnd(dst, r)
}

func (h *admin) reset() {
	h.prefixes.clear()
	stats := append(h.general(), h.itemStats()...)
	h.stats.mu.Lock()
	defer h.stats.mu.Unlock()
	h.stats.since = make(map[string]uint64)
	for _, s := range stats {
		if s.counter {
			h.stats.since[s.name] = s.value.(uint64)
		}
	}
}

// general is memcached's list, with its names where the meaning is the same,
// and Hearth's own lines behind it.
func (h *admin) general() []stat {
	s := h.cache.Stats()
	stats := append(h.process(), h.connections()...)
	stats = append(stats, h.logins()...)
	stats = append(stats, commands(&s)...)
	stats = append(stats, counter("cmd_meta", h.stats.handler.MetaCommands()))
	if s.Engine != "" {
		stats = append(stats, extstore(&s)...)
		stats = append(stats, rescues(&s)...)
	}
	stats = append(stats, items(&s)...)
	stats = append(stats, h.crawls(&s.Expiry)...)
	stats = append(stats, h.logs()...)
	stats = append(stats, own(&s)...)
	stats = append(stats, goRuntime()...)
	return append(stats, devices(h.cache.Devices())...)
}

func (h *admin) process() []stat {
	var use syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &use) // cannot fail with these arguments
	now := time.Now()
	return []stat{
		gauge("pid", os.Getpid()),
		gauge("uptime", int(now.Sub(h.stats.started).Seconds())),
		gauge("time", now.Unix()),
		gauge("version", version),
		gauge("pointer_size", strconv.IntSize),
		gauge("rusage_user", seconds(use.Utime)),
		gauge("rusage_system", seconds(use.Stime)),
	}
}

func seconds(t syscall.Timeval) string { return fmt.Sprintf("%d.%06d", t.Sec, t.Usec) }

func (h *admin) connections() []stat {
	s := h.stats.server.Stats()
	return []stat{
		gauge("max_connections", h.config.Connections),
		gauge("curr_connections", s.CurrConns),
		counter("total_connections", s.TotalConns),
		counter("rejected_connections", s.RejectedConns),
		gauge("connection_structures", s.CurrConns),
		gauge("read_buf_bytes", s.BufferBytes),
		counter("bytes_read", s.BytesRead),
		counter("bytes_written", s.BytesWritten),
		gauge("limit_maxbytes", h.cache.Memory()),
		gauge("accepting_conns", 1),
		counter("listen_disabled_num", 0),
		counter("time_in_listen_disabled_us", 0),
		gauge("threads", h.config.Threads),
		counter("conn_yields", s.ConnYields),
		counter("idle_kicks", s.IdleKicks),
	}
}

func (h *admin) logins() []stat {
	s := h.stats.server.Stats()
	stats := []stat{counter("auth_cmds", s.AuthCmds), counter("auth_errors", s.AuthErrors)}
	certs := h.secrets.certs
	if certs == nil {
		return stats
	}
	if certs.config.SessionCache {
		stats = append(stats, counter("ssl_new_sessions", s.TLSSessions))
	}
	return append(stats, counter("ssl_handshake_errors", s.TLSErrors),
		gauge("time_since_server_cert_refresh", time.Now().Unix()-certs.read.Load()))
}

// crawls are those of the lru_crawler command and the cache's own, which memcached
// counts together, too.
func (h *admin) crawls(e *hearth.ExpiryStats) []stat {
	running, s := h.crawler.read()
	return []stat{
		gauge("lru_crawler_running", oneIf(running)),
		counter("lru_crawler_starts", s.starts+e.Passes),
		counter("crawler_reclaimed", s.reclaimed+e.Dropped),
		counter("crawler_items_checked", s.checked+e.Checked),
	}
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (h *admin) logs() []stat {
	s := h.watch.Stats()
	return []stat{
		counter("log_worker_dropped", 0),
		counter("log_worker_written", s.Written),
		counter("log_watcher_skipped", s.Skipped),
		counter("log_watcher_sent", s.Sent),
		gauge("log_watchers", s.Watchers),
	}
}

func commands(s *hearth.Stats) []stat {
	hits := s.HitsRAM + s.HitsHot + s.HitsFlash
	touches := s.Changes[hearth.Touch]
	cas := s.Changes[hearth.CompareAndSwap]
	var sets, tooLarge, noRoom uint64
	for v := hearth.Set; v <= hearth.CompareAndSwap; v++ {
		sets += s.Asked(v) - s.Changes[v][hearth.TooLarge]
	}
	for v := range s.Changes {
		tooLarge += s.Changes[v][hearth.TooLarge]
		noRoom += s.Changes[v][hearth.NoRoom]
	}
	stats := []stat{
		counter("cmd_get", hits-s.TouchHits+s.Misses-s.TouchMisses),
		counter("cmd_set", sets),
		counter("cmd_flush", s.Flushes),
		counter("cmd_touch", s.Asked(hearth.Touch)+s.TouchHits+s.TouchMisses),
		counter("get_hits", hits-s.TouchHits),
		counter("get_misses", s.Misses-s.TouchMisses),
		counter("get_expired", s.MissExpired),
		counter("get_flushed", 0),
		counter("touch_hits", touches[hearth.Touched]+s.TouchHits),
		counter("touch_misses", touches[hearth.NotFound]+s.TouchMisses),
		counter("cas_misses", cas[hearth.NotFound]),
		counter("cas_hits", cas[hearth.Stored]),
		counter("cas_badval", cas[hearth.Exists]),
		counter("store_too_large", tooLarge),
		counter("store_no_memory", noRoom),
	}
	for _, verb := range []struct {
		name string
		hit  hearth.Status
		verb hearth.Verb
	}{{"delete", hearth.Deleted, hearth.Delete}, {"incr", hearth.Stored, hearth.Incr}, {"decr", hearth.Stored, hearth.Decr}} {
		of := s.Changes[verb.verb]
		stats = append(stats, counter(verb.name+"_misses", of[hearth.NotFound]), counter(verb.name+"_hits", of[verb.hit]))
	}
	return stats
}
