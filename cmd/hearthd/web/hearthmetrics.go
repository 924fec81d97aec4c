package web

import (
	"strings"

	"github.com/hearthcache/hearth"
)

// memoryUses are what -m goes to, in the order of memoryUse.
var memoryUses = []string{"index", "segments", "hot", "write_buffers", "read_buffers", "catalog", "journal"}

// memoryUse is at most the limit, together.
func memoryUse(n *snapshot) []int64 {
	m, f := &n.stats.Mem, &n.stats.Flash
	return []int64{m.IndexBytes, m.SegmentBytes, m.HotReserved, f.WriteBuffers, f.ReadBufferBytes, f.CatalogMemory, f.JournalBytes}
}

// ownMetrics are those of every cache that memcached has no name for.
var ownMetrics = []metric{
	{"hearth_hits_total", "Gets that gave a value, by where it was: in RAM, in a hot copy of a value on flash, on flash.", counter, []string{"tier"},
		by([]string{"ram", "hot", "flash"}, func(n *snapshot) []uint64 {
			return []uint64{n.stats.HitsRAM, n.stats.HitsHot, n.stats.HitsFlash}
		})},
	{"hearth_misses_total", "Gets that gave no value, by cause: no such item, past its time, its page was being reclaimed, its record was bad or unreadable.", counter, []string{"cause"},
		by([]string{"absent", "expired", "evicted", "bad_record"}, func(n *snapshot) []uint64 {
			return []uint64{n.stats.MissAbsent(), n.stats.MissExpired, n.stats.MissEvicted, n.stats.MissBadRecord}
		})},
	{"hearth_memory_bytes", "Memory by use; together at most memcached_limit_bytes.", gauge, []string{"use"}, by(memoryUses, memoryUse)},
	{"hearth_items", "Items by where their value is.", gauge, []string{"tier"},
		by([]string{"ram", "flash"}, func(n *snapshot) []int64 {
			return []int64{n.stats.Mem.IndexItems - n.stats.Mem.FlashItems, n.stats.Mem.FlashItems}
		})},
	{"hearth_backpressured_total", "Changes that waited for room.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Backpressured })},
	{"hearth_backpressure_seconds_total", "How long changes waited for room, together.", counter, nil, one(func(n *snapshot) float64 { return float64(n.stats.BackpressureUs) / 1e6 })},
	{"hearth_hash_collisions_total", "Reads that found another key with the same hash.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Collisions })},
	{"hearth_index_resizes_total", "Times a table of the index grew.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Mem.Resizes })},
	{"hearth_expiry_dropped_total", "Items past their time that the background dropped.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Expiry.Dropped })},
}

func devicesUp(n *snapshot, tell teller) {
	for _, d := range n.devices {
		tell(float64(oneIf(d.State == hearth.DeviceIn)), strings.ToValidUTF8(d.Dir, "?"))
	}
}

// flashMetrics are told only where there is flash.
var flashMetrics = []metric{
	{"memcached_extstore_pages_allocated_total", "Pages begun.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Flash.PageAllocs })},
	{"memcached_extstore_pages_evicted_total", "Pages freed with live records in them.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Flash.PageEvictions })},
	{"memcached_extstore_pages_reclaimed_total", "Pages freed.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Flash.PageReclaims })},
	{"memcached_extstore_pages_free", "Pages that can be written at once.", gauge, nil, one(func(n *snapshot) int { return n.stats.Flash.PagesFree })},
	{"memcached_extstore_pages_used", "Pages with records.", gauge, nil, one(func(n *snapshot) int { return n.stats.Flash.PagesUsed })},
	{"memcached_extstore_objects_evicted_total", "Live records that went with their reclaimed page.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.FlashEvicted })},
	{"memcached_extstore_objects_read_total", "Records read.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Flash.ObjectsRead })},
	{"memcached_extstore_objects_written_total", "Records written.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Flash.ObjectsWritten })},
	{"memcached_extstore_objects_used", "Live records.", gauge, nil, one(func(n *snapshot) int64 { return n.stats.Flash.ObjectsUsed })},
	{"memcached_extstore_bytes_evicted_total", "Bytes of live records that went with their reclaimed page.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Flash.BytesEvicted })},
	{"memcached_extstore_bytes_read_total", "Bytes of records read.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Flash.BytesRead })},
	{"memcached_extstore_bytes_written_total", "Bytes of records written.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Flash.BytesWritten })},
	{"memcached_extstore_bytes_used", "Bytes of live records.", gauge, nil, one(func(n *snapshot) int64 { return n.stats.Flash.BytesUsed })},
	{"memcached_extstore_bytes_limit", "Size of the flash tier.", gauge, nil, one(func(n *snapshot) int64 { return n.stats.FlashSize })},
	{"memcached_extstore_io_queue_depth", "Reads and writes submitted and not done.", gauge, nil, one(func(n *snapshot) int64 { return n.stats.IO.InFlight })},
	{"memcached_extstore_compact_rescued_total", "Live records of reclaimed pages that moved to another page.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Rescue.Records })},
	{"memcached_extstore_compact_skipped_total", "Live records of reclaimed pages that were left to go with their page.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Rescue.Skipped })},
	{"memcached_extstore_compact_lost_total", "Live records of reclaimed pages that should have moved and could not.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Rescue.Lost })},
	{"hearth_rescued_bytes_total", "Bytes of the records that moved to another page.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Rescue.Bytes })},
	{"hearth_device_up", "1 if the device takes writes, by its directory.", gauge, []string{"device"}, devicesUp},
	{"hearth_demoted_total", "Records that moved from RAM to flash.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Demoted })},
	{"hearth_demoted_bytes_total", "Bytes of those records, as they were in RAM.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.DemotedBytes })},
	{"hearth_promoted_total", "Values on flash that were offered a hot copy in RAM.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Promoted })},
	{"hearth_hot_items", "Hot copies in RAM.", gauge, nil, one(func(n *snapshot) int64 { return n.stats.Mem.HotItems })},
	{"hearth_hot_used_bytes", "Bytes of hot copies, of hearth_memory_bytes{use=\"hot\"}.", gauge, nil, one(func(n *snapshot) int64 { return n.stats.Mem.HotBytes })},
	{"hearth_lent_bytes", "Large values from flash that clients are taking, not part of the memory limit.", gauge, nil, one(func(n *snapshot) int64 { return n.stats.Flash.LentBytes })},
	{"hearth_dropped_total", "Records dropped from RAM instead of written to flash, by cause.", counter, []string{"cause"},
		by([]string{"small", "unread", "chance", "wear", "no_place"}, func(n *snapshot) []uint64 {
			s := &n.stats
			return []uint64{s.DroppedSmall, s.DroppedUnread, s.DroppedByChance, s.DroppedForWear, s.DroppedNoPlace}
		})},
	{"hearth_flash_written_bytes_total", "Bytes given to the drive to write, by what they are.", counter, []string{"use"},
		by([]string{"pages", "catalog", "journal"}, func(n *snapshot) []uint64 {
			f := &n.stats.Flash
			return []uint64{f.DeviceBytesWritten, f.CatalogBytesWritten, f.JournalBytesWritten}
		})},
	{"hearth_write_amplification_ratio", "Bytes written to flash for each byte of a record that moved there.", gauge, nil,
		one(func(n *snapshot) float64 { return n.stats.WriteAmplification() })},
	{"hearth_flash_read_faults_total", "Reads that gave no value, by cause.", counter, []string{"cause"},
		by([]string{"io", "crc", "version", "key", "gone", "no_buffer"}, func(n *snapshot) []uint64 {
			f := &n.stats.Flash
			return []uint64{f.ReadIO, f.ReadCRC, f.ReadVersion, f.ReadKey, f.ReadGone, f.ReadBusy}
		})},
	{"hearth_flash_slow_reads_total", "Reads that took -o slow_read_ms or longer.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Flash.SlowReads })},
	{"hearth_flash_write_errors_total", "Writes that the drive failed.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Flash.WriteErrors })},
	{"hearth_flash_pages", "Pages that are neither free nor used, by state.", gauge, []string{"state"},
		by([]string{"draining", "retired"}, func(n *snapshot) []int64 {
			return []int64{int64(n.stats.Flash.PagesDraining), int64(n.stats.Flash.PagesRetired)}
		})},
	{"hearth_flash_device_out", "1 if a device takes no writes.", gauge, nil, one(func(n *snapshot) int { return oneIf(n.stats.Flash.DeviceOut) })},
	{"hearth_io_operations_total", "Operations on page files that were done.", counter, []string{"kind"},
		by([]string{"read", "write", "sync"}, func(n *snapshot) []uint64 { return []uint64{n.stats.IO.Reads, n.stats.IO.Writes, n.stats.IO.Syncs} })},
	{"hearth_io_errors_total", "Operations on page files that failed.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.IO.Errors })},
	{"hearth_io_inline_total", "Reads that were done as soon as they were submitted, from the page cache.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.IO.Inline })},
	{"hearth_journal_size_bytes", "Size of the journal.", gauge, nil, one(func(n *snapshot) int64 { return n.stats.Flash.JournalBytes })},
	{"hearth_journal_lag_bytes", "Bytes of the journal that are not folded into the catalog yet.", gauge, nil, one(func(n *snapshot) int64 { return n.stats.Flash.JournalUsed })},
	{"hearth_journal_entries_total", "Invalidations journaled, in all runs.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Flash.JournalEntries })},
	{"hearth_journal_folds_total", "Times the journal was folded into the catalog.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Flash.Folds })},
	{"hearth_journal_errors_total", "Folds and syncs of the journal that failed.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Flash.FoldErrors })},
	{"hearth_catalog_size_bytes", "Size of the catalog on disk.", gauge, nil, one(func(n *snapshot) int64 { return n.stats.Flash.CatalogBytes })},
	{"hearth_catalog_waiting", "Write buffers whose index is on its way to the catalog.", gauge, nil, one(func(n *snapshot) int { return n.stats.Flash.BlobsWaiting })},
	{"hearth_catalog_errors_total", "Writes of the catalog that failed.", counter, nil, one(func(n *snapshot) uint64 { return n.stats.Flash.CatalogErrors })},
	{"hearth_recovered_items", "Items that came back at the start.", gauge, nil, one(func(n *snapshot) int64 { return n.stats.Recovered })},
	{"hearth_recovery_duration_seconds", "How long the recovery at the start took.", gauge, nil, one(func(n *snapshot) float64 { return n.stats.Recovery.Duration.Seconds() })},
}
