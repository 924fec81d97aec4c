package main

import (
	"cmp"
	"math/bits"
	"strconv"
	"strings"

	"github.com/hearthcache/hearth"
)

// extstore is what memcached with extstore says of its flash.
func extstore(s *hearth.Stats) []stat {
	f := &s.Flash
	return []stat{
		counter("get_extstore", s.HitsFlash),
		counter("get_aborted_extstore", 0),
		counter("get_oom_extstore", 0),
		counter("recache_from_extstore", s.Promoted),
		counter("miss_from_extstore", s.MissEvicted),
		counter("badcrc_from_extstore", s.MissBadRecord),
		counter("extstore_compact_lost", s.Rescue.Lost),
		counter("extstore_compact_rescues", s.Rescue.Records),
		counter("extstore_compact_resc_cold", s.Rescue.Cold),
		counter("extstore_compact_resc_old", s.Rescue.Old),
		counter("extstore_compact_skipped", s.Rescue.Skipped),
		counter("extstore_page_allocs", f.PageAllocs),
		counter("extstore_page_evictions", f.PageEvictions),
		counter("extstore_page_reclaims", f.PageReclaims),
		gauge("extstore_pages_free", f.PagesFree),
		gauge("extstore_pages_used", f.PagesUsed),
		counter("extstore_objects_evicted", s.FlashEvicted),
		counter("extstore_bytes_evicted", f.BytesEvicted),
		counter("extstore_objects_read", f.ObjectsRead),
		counter("extstore_objects_written", f.ObjectsWritten),
		gauge("extstore_objects_used", f.ObjectsUsed),
		counter("extstore_bytes_written", f.BytesWritten),
		counter("extstore_bytes_read", f.BytesRead),
		gauge("extstore_bytes_used", f.BytesUsed),
		gauge("extstore_limit_maxbytes", s.FlashSize),
		gauge("extstore_io_queue", s.IO.InFlight),
	}
}

// rescues is what memcached does not say of them.
func rescues(s *hearth.Stats) []stat {
	return []stat{
		counter("hearth_rescued_bytes", s.Rescue.Bytes),
		counter("hearth_rescue_read_bytes", s.Rescue.Read),
		gauge("hearth_rescue_rate", s.Rescue.Rate),
	}
}

// items is what memcached says of what it keeps.
func items(s *hearth.Stats) []stat {
	return []stat{
		gauge("bytes", s.Mem.ValueBytes),
		gauge("curr_items", s.Mem.IndexItems),
		counter("total_items", stored(s)),
		counter("expired_unfetched", s.Mem.ExpiredUnread),
		counter("evicted_unfetched", s.Mem.EvictedUnread),
		counter("evicted_active", 0),
		counter("evictions", s.Mem.Evictions),
		counter("reclaimed", s.Mem.Expired),
		counter("lrutail_reflocked", 0),
		gauge("hash_power_level", bits.Len64(uint64(s.Mem.IndexSlots))-1),
		gauge("hash_bytes", s.Mem.IndexBytes),
		gauge("hash_is_expanding", 0), // not for longer than a fraction of a millisecond
	}
}

func stored(s *hearth.Stats) (n uint64) {
	for v := range s.Changes {
		n += s.Changes[v][hearth.Stored]
	}
	return n
}

// memory says where -m goes: the sum of those before hearth_lent is at most the
// limit; what is lent is held for clients, as their connections' buffers are.
func memory(s *hearth.Stats) []stat {
	f := &s.Flash
	return []stat{
		gauge("hearth_mem_limit", s.Memory),
		gauge("hearth_mem_index", s.Mem.IndexBytes),
		gauge("hearth_mem_segments", s.Mem.SegmentBytes),
		gauge("hearth_mem_hot", s.Mem.HotReserved),
		gauge("hearth_mem_write_buffers", f.WriteBuffers),
		gauge("hearth_mem_read_buffers", f.ReadBufferBytes),
		gauge("hearth_mem_catalog", f.CatalogMemory),
		gauge("hearth_mem_journal", f.JournalBytes),
		gauge("hearth_lent", f.LentBytes),
	}
}

// split says how RAM is divided between fresh values and copies of those on flash.
func split(s *hearth.Split) []stat {
	return []stat{
		gauge("hearth_split_adapts", yesNo(s.Adapts)),
		gauge("hearth_split_hot", s.Hot),
		counter("hearth_split_moves", s.Moves),
		gauge("hearth_split_last", cmp.Or(s.Last, "none")),
		gauge("hearth_split_why", cmp.Or(s.Why, "not_judged_yet")),
		gauge("hearth_split_fresh_hits_per_mib", decimals(s.FreshHits, 1)),
		gauge("hearth_split_hot_hits_per_mib", decimals(s.HotHits, 1)),
	}
}

// own are the statistics that memcached does not have.
func own(s *hearth.Stats) []stat {
	stats := append(memory(s),
		gauge("hearth_index_items", s.Mem.IndexItems),
		gauge("hearth_index_max_resize_us", s.Mem.MaxResizeNs/1000),
		gauge("hearth_flash_items", s.Mem.FlashItems),
		gauge("hearth_hot_bytes", s.Mem.HotBytes),
		gauge("hearth_hot_items", s.Mem.HotItems),
		counter("hearth_hits_ram", s.HitsRAM),
		counter("hearth_hits_hot", s.HitsHot),
		counter("hearth_hits_flash", s.HitsFlash),
		counter("hearth_misses_absent", s.MissAbsent()),
		counter("hearth_misses_expired", s.MissExpired),
		counter("hearth_misses_evicted", s.MissEvicted),
		counter("hearth_misses_bad_record", s.MissBadRecord),
		counter("hearth_hash_collisions", s.Collisions),
		counter("hearth_backpressured", s.Backpressured),
		counter("hearth_backpressure_us", s.BackpressureUs),
		counter("hearth_demoted", s.Demoted),
		counter("hearth_expiry_checked", s.Expiry.Checked),
		counter("hearth_expiry_dropped", s.Expiry.Dropped),
		counter("hearth_expiry_busy_us", uint64(s.Expiry.Busy.Microseconds())),
		gauge("hearth_expiry_last_pass_seconds", decimals(s.Expiry.LastPass.Seconds(), 1)),
		gauge("hearth_expiry_period_seconds", decimals(s.Expiry.Period.Seconds(), 1)),
		gauge("hearth_recovered_items", s.Recovered),
	)
	if s.Engine == "" {
		return stats
	}
	f := &s.Flash
	return append(append(stats, split(&s.Split)...),
		gauge("hearth_io_engine", s.Engine),
		counter("hearth_io_inline", s.IO.Inline),
		counter("hearth_dropped_small", s.DroppedSmall),
		counter("hearth_dropped_unread", s.DroppedUnread),
		counter("hearth_dropped_by_chance", s.DroppedByChance),
		counter("hearth_dropped_for_wear", s.DroppedForWear),
		counter("hearth_dropped_no_place", s.DroppedNoPlace),
		counter("hearth_demoted_bytes", s.DemotedBytes),
		counter("hearth_flash_written", s.FlashWritten),
		counter("hearth_flash_written_pages", f.DeviceBytesWritten),
		counter("hearth_flash_written_catalog", f.CatalogBytesWritten),
		counter("hearth_flash_written_journal", f.JournalBytesWritten),
		gauge("hearth_flash_written_hour", s.FlashWrittenHour),
		gauge("hearth_flash_written_day", s.FlashWrittenDay),
		gauge("hearth_flash_written_per_day", int64(s.FlashWrittenPerDay())),
		gauge("hearth_write_amplification", decimals(s.WriteAmplification(), 3)),
		counter("hearth_io_errors", s.IO.Errors),
		counter("hearth_flash_write_errors", f.WriteErrors),
		counter("hearth_flash_reads_failed", f.ReadIO),
		counter("hearth_flash_reads_bad_crc", f.ReadCRC),
		counter("hearth_flash_reads_old_version", f.ReadVersion),
		counter("hearth_flash_reads_other_key", f.ReadKey),
		counter("hearth_flash_reads_gone", f.ReadGone),
		counter("hearth_flash_reads_no_buffer", f.ReadBusy),
		counter("hearth_flash_reads_slow", f.SlowReads),
		gauge("hearth_flash_read_us_p50", f.ReadLatency.Quantile(0.5).Microseconds()),
		gauge("hearth_flash_read_us_p99", f.ReadLatency.Quantile(0.99).Microseconds()),
		gauge("hearth_flash_read_us_p999", f.ReadLatency.Quantile(0.999).Microseconds()),
		gauge("hearth_flash_pages_retired", f.PagesRetired),
		gauge("hearth_flash_device_out", yesNo(f.DeviceOut)),
		gauge("hearth_recovery_ms", s.Recovery.Duration.Milliseconds()),
		gauge("hearth_recovery_mode", strings.ReplaceAll(string(s.Recovery.Mode), " ", "_")),
		gauge("hearth_journal_used", f.JournalUsed),
		counter("hearth_journal_entries", f.JournalEntries),
		counter("hearth_journal_folds", f.Folds),
		gauge("hearth_catalog_bytes", f.CatalogBytes),
		counter("hearth_catalog_errors", f.CatalogErrors),
		gauge("hearth_catalog_waiting", f.BlobsWaiting),
	)
}

// devices is a line for each property of each device, if there are several.
func devices(list []hearth.DeviceStats) (stats []stat) {
	if len(list) < 2 {
		return nil
	}
	for i, d := range list {
		name, f := "hearth_device_"+strconv.Itoa(i)+"_", &d.Flash
		stats = append(stats,
			gauge(name+"dir", d.Dir), gauge(name+"size", d.Size), gauge(name+"state", string(d.State)),
			gauge(name+"recovery_mode", strings.ReplaceAll(string(d.Recovery.Mode), " ", "_")),
			gauge(name+"pages_free", f.PagesFree), gauge(name+"pages_used", f.PagesUsed),
			gauge(name+"items", f.ObjectsUsed), counter(name+"written", f.DeviceBytesWritten),
			counter(name+"read_errors", f.ReadIO), counter(name+"write_errors", f.WriteErrors),
		)
	}
	return stats
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// pages is a line for each property of each page of the flash tier.
func (h *admin) pages() []stat {
	var stats []stat
	for _, p := range h.cache.Pages() {
		n := strconv.Itoa(int(p.ID))
		stats = append(stats,
			gauge(n+":version", p.Version), gauge(n+":bytes", p.Bytes),
			gauge(n+":bucket", p.Bucket), gauge(n+":free_bucket", p.Bucket))
	}
	return stats
}
