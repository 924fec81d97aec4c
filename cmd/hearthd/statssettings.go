package main

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// settings is what the server was started with, or what commands have made of it.
func (h *admin) settings() []stat {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.config
	stats := []stat{
		gauge("maxbytes", h.cache.Memory()), gauge("maxconns", c.Connections),
		gauge("tcpport", c.Port), gauge("udpport", 0), gauge("inter", orNull(c.Hosts)),
		gauge("verbosity", c.Verbosity), gauge("oldest", 0),
		gauge("evictions", onOff(!c.NoEvictions)), gauge("domain_socket", orNull(c.Socket)),
		gauge("umask", fmt.Sprintf("%o", c.SocketMode)), gauge("shutdown_command", yesNo(c.AllowShutdown)),
		gauge("num_threads", c.Threads), gauge("reqs_per_event", c.RequestsPerEvent),
		gauge("cas_enabled", yesNo(!c.NoCAS)), gauge("tcp_backlog", c.Backlog),
		gauge("binding_protocol", bindingProtocol(c.Protocol)),
		gauge("auth_enabled_sasl", yesNo(c.SASL)), gauge("auth_enabled_ascii", cmp.Or(c.AuthFile, "no")),
		gauge("item_size_max", c.MaxItem), gauge("flush_enabled", yesNo(!c.NoFlushAll)),
		gauge("idle_timeout", int(c.IdleTimeout.Seconds())), gauge("client_flags_size", 4),
		gauge("detail_enabled", yesNo(h.prefixes.on.Load())), gauge("stat_key_prefix", c.PrefixDelimiter),
		gauge("watcher_logbuf_size", c.WatchBuffer), gauge("dump_enabled", yesNo(!c.NoDump)),
		gauge("ext_item_size", c.MinFlashItem), gauge("ext_item_age", orNever(c.FlashAge)),
		gauge("ext_wbuf_size", c.WriteBuffer),
		gauge("ext_low_ttl", int64(c.Reclaim.LowTTL.Seconds())), gauge("ext_compact_under", c.Reclaim.FreePages),
		gauge("ext_drop_under", c.Reclaim.DropUnder), gauge("ext_max_frag", decimals(c.Reclaim.MaxFrag, 2)),
		gauge("ext_drop_unread", yesNo(!c.Reclaim.RescueUnread)), gauge("hearth_rescue_percent", max(0, c.Reclaim.RescuePercent)),
		gauge("memory_file", cmp.Or(c.MemoryFile, "(null)")),
		gauge("hearth_ext_path", orNull(c.paths())), gauge("hearth_ext_io", c.IOEngine),
		gauge("hearth_ext_admit", c.Admit), gauge("hearth_ext_write_mbps", decimals(float64(c.WriteLimit)/1e6, 3)),
		gauge("hearth_backpressure_ms", c.Backpressure.Milliseconds()),
	}
	stats = append(stats, tlsSettings(&c.TLS)...)
	for _, name := range slices.Sorted(maps.Keys(c.Reported)) {
		stats = append(stats, gauge(name, c.Reported[name]))
	}
	return stats
}

func tlsSettings(t *TLSConfig) []stat {
	format := 1
	if t.KeyDER {
		format = 2
	}
	return []stat{
		gauge("ssl_enabled", yesNo(t.Enabled)), gauge("ssl_chain_cert", orNull(t.ChainCert)),
		gauge("ssl_key", orNull(t.Key)), gauge("ssl_verify_mode", t.VerifyMode),
		gauge("ssl_keyformat", format), gauge("ssl_ciphers", orNull(t.Ciphers)),
		gauge("ssl_ca_cert", orNull(t.CACert)), gauge("ssl_wbuf_size", t.WriteBuffer),
		gauge("ssl_session_cache", yesNo(t.SessionCache)), gauge("ssl_min_version", tlsVersions[t.MinVersion].name),
	}
}

func bindingProtocol(p string) string {
	if p == "auto" {
		return "auto-negotiate"
	}
	return p
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// orNever is an age in seconds; no age at all is memcached's largest.
func orNever(age time.Duration) int64 {
	if age == 0 {
		return math.MaxUint32
	}
	return int64(age.Seconds())
}

func orNull(s string) string {
	if s == "" {
		return "NULL"
	}
	return s
}
