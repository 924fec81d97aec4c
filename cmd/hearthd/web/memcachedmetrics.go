package web

import (
	"time"

	"github.com/hearthcache/hearth"
)

// Where the memcached exporter has a metric of the same meaning, its name is used,
// so that its dashboards and alerts work.

// processMetrics are told from the start on, before there is a cache.
var processMetrics = []metric{
	{"memcached_up", "1 if the cache is open and serves.", gauge, nil, one(func(n *snapshot) int { return oneIf(n.phase == ready) })},
	{"memcached_uptime_seconds", "Time since the process began.", gauge, nil,
		one(func(n *snapshot) float64 { return time.Since(n.server.started).Seconds() })},
	{"memcached_version", "1, with the version as its label.", gauge, []string{"version"},
		func(n *snapshot, tell teller) { tell(1, n.server.opts.Version) }},
	{"hearth_recovery_records", "Records on flash that the recovery goes through; 0 while that is not known.", gauge, nil,
		one(func(n *snapshot) int64 { return n.server.total.Load() })},
	{"hearth_recovery_records_done", "Records on flash that the recovery has gone through.", gauge, nil,
		one(func(n *snapshot) int64 { return n.server.done.Load() })},
}

// cacheMetrics are told of every cache.
var cacheMetrics = append([]metric{
	{"memcached_time_seconds", "The clock by which items expire, as Unix time.", gauge, nil,
		one(func(n *snapshot) int64 { return time.Now().Unix() })},
	{"memcached_commands_total", "Commands by what came of them.", counter, []string{"command", "status"}, commands},
	{"memcached_current_connections", "Open connections of clients.", gauge, nil, one(func(n *snapshot) int64 { return n.conns.CurrConns })},
	{"memcached_max_connections", "Most connections of clients, -c.", gauge, nil, one(func(n *snapshot) int { return n.server.opts.MaxConns })},
	{"memcached_connections_total", "Connections accepted.", counter, nil, one(func(n *snapshot) uint64 { return n.conns.TotalConns })},
	{"memcached_connections_rejected_total", "Connections turned away at -c.", counter, nil, one(func(n *snapshot) uint64 { return n.conns.RejectedConns })},
	{"memcached_connections_yielded_total", "Times a connection let the others go first, at -R.", counter, nil, one(func(n *snapshot) uint64 { return n.conns.ConnYields })},
	{"memcached_read_bytes_total", "Bytes read from clients.", counter, nil, one(func(n *snapshot) uint64 { return n.conns.BytesRead })},
	{"memcached_written_bytes_total", "Bytes written to clients.", counter, nil, one(func(n *snapshot) uint64 { return n.conns.BytesWritten })},
	{"memcached_limit_bytes", "Memory that the cache may use, -m.", gauge, nil, one(func(n *snapshot) int64 { return n.stats.Memory })},
	{"memcached_current_bytes", "Bytes of values in RAM.", gauge, nil, one(func(n *snapshot) int64 { return n.stats.Mem.ValueBytes })},
	{"memcached_current_items", "Items, in RAM and on flash.", gauge, nil, one(func(n *snapshot) int64 { return n.stats.Mem.IndexItems })},
	{"memcached_items_total", "Values stored.", counter, nil, one(func(n *snapshot) (sum uint64) {
		for _, by := range n.stats.Changes {
			sum += by[hearth.Stored]
		}
		return sum
	})},
	{"memcached_items_evicted_total", "Items dropped from RAM to make room.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Mem.Evictions })},
	{"memcached_items_reclaimed_total", "Items dropped past their time.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Mem.Expired })},
	{"memcached_item_too_large_total", "Values refused for their size, -I.", counter, nil, one(func(n *snapshot) uint64 { return refused(n, hearth.TooLarge) })},
	{"memcached_item_no_memory_total", "Values refused because there was no room in time.", counter, nil, one(func(n *snapshot) uint64 { return refused(n, hearth.NoRoom) })},
	{"memcached_lru_crawler_items_checked_total", "Items that the background looked at for their time.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Expiry.Checked })},
}, ownMetrics...)

func refused(n *snapshot, why hearth.Status) (sum uint64) {
	for _, by := range n.stats.Changes {
		sum += by[why]
	}
	return sum
}

// commands are counted as the memcached exporter does: set is all that stores,
// but cas; of flush and set there are hits only.
func commands(n *snapshot, tell teller) {
	s := &n.stats
	hits := s.HitsRAM + s.HitsHot + s.HitsFlash
	tell(float64(hits-s.TouchHits), "get", "hit")
	tell(float64(s.Misses-s.TouchMisses), "get", "miss")
	tell(float64(s.Changes[hearth.Touch][hearth.Touched]+s.TouchHits), "touch", "hit")
	tell(float64(s.Changes[hearth.Touch][hearth.NotFound]+s.TouchMisses), "touch", "miss")
	for _, c := range []struct {
		name string
		verb hearth.Verb
		hit  hearth.Status
	}{{"delete", hearth.Delete, hearth.Deleted}, {"incr", hearth.Incr, hearth.Stored}, {"decr", hearth.Decr, hearth.Stored}, {"cas", hearth.CompareAndSwap, hearth.Stored}} {
		tell(float64(s.Changes[c.verb][c.hit]), c.name, "hit")
		tell(float64(s.Changes[c.verb][hearth.NotFound]), c.name, "miss")
	}
	tell(float64(s.Changes[hearth.CompareAndSwap][hearth.Exists]), "cas", "badval")
	var sets uint64
	for v := hearth.Set; v <= hearth.Prepend; v++ {
		sets += s.Asked(v) - s.Changes[v][hearth.TooLarge]
	}
	tell(float64(sets), "set", "hit")
	tell(float64(s.Flushes), "flush", "hit")
}
