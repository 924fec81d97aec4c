package flashtier

import (
	"reflect"
	"sync/atomic"
)

// Stats are a tier's counters since Open, and its present state. Bytes of
// records are those of their size classes.
type Stats struct {
	PagesFree     int // can be written at once
	PagesUsed     int // open or sealed
	PagesDraining int // between Victim and Free
	PagesRetired  int // never to be used again
	// PagesCondemned is how many of those retired wait for Victim, so that
	// the headers that point into them are dropped.
	PagesCondemned int
	PageSize       int64

	PageAllocs    uint64 // pages begun
	PageReclaims  uint64 // pages freed
	PageEvictions uint64 // pages freed with live records in them

	ObjectsWritten, BytesWritten uint64
	ObjectsRead, BytesRead       uint64
	ObjectsEvicted, BytesEvicted uint64 // live when their page was freed
	ObjectsUsed, BytesUsed       int64  // live now
	// DeviceBytesWritten is what page files were given to write: records, with
	// indexes, headers, trailers and padding, and what then failed.
	DeviceBytesWritten  uint64
	CatalogBytesWritten uint64 // by its log, flushes and compactions
	JournalBytesWritten uint64 // blocks that had changed when it was synced

	ReadIO      uint64 // reads that the device failed
	ReadCRC     uint64 // ... whose bytes were bad
	ReadVersion uint64 // ... that met an older life of the page
	ReadKey     uint64 // ... that met another key
	ReadGone    uint64 // ... refused because the page was gone
	ReadBusy    uint64 // ... refused for want of a buffer
	BadIndexes  uint64 // index frames that could not be used
	WriteErrors uint64

	// ReadLatency has all reads: one that was done as soon as it was submitted
	// counts for sixteen of its kind or for none.
	ReadLatency Latency
	SlowReads   uint64 // reads that took Options.SlowRead or longer

	JournalBytes   int64  // size of the ring
	JournalUsed    int64  // of it, what is not folded yet
	JournalEntries uint64 // appended, in all runs
	Folds          uint64
	FoldErrors     uint64 // folds and syncs of the journal that failed
	BlobsWaiting   int    // blobs on their way to the catalog
	Blobs          uint64 // blobs written
	CatalogBytes   int64  // on disk
	CatalogMemory  int64  // bytes of its tables and cache, and of blobs
	CatalogErrors  uint64 // writes of the catalog that failed
	PagesAside     int    // page files set aside and not yet removed

	DeviceOut       bool
	ReadBufferBytes int64 // mapped, in use and idle
	LentBytes       int64 // buffers that hold values which are read where they are, see Read.Lend
	WriteBuffers    int64 // bytes of all write buffers
}

// counts are the counters behind Stats.
type counts struct {
	pageAllocs, pageReclaims, pageEvictions     atomic.Uint64
	objectsWritten, bytesWritten, deviceBytes   atomic.Uint64
	objectsRead, bytesRead                      atomic.Uint64
	objectsEvicted, bytesEvicted                atomic.Uint64
	readIO, readCRC, readVersion, readKey       atomic.Uint64
	readGone, readBusy, badIndexes, writeErrors atomic.Uint64
	slowReads                                   atomic.Uint64
	folds, foldErrors, blobs, catalogErrors     atomic.Uint64
}

func (c *counts) wrote(b *Batch) {
	c.objectsWritten.Add(uint64(len(b.entries)))
	c.bytesWritten.Add(uint64(b.bytes))
}

// Written is the bytes that pages, catalog and journal were given to write since
// Open, together.
func (t *Tier) Written() uint64 {
	return t.counts.deviceBytes.Load() + t.catalog.written.Load() + t.journal.written.Load()
}

// Longest is the longest record, in bytes, that may be written.
func (t *Tier) Longest() int64 { return t.opt.longest() }

// Stats gives the counters. It looks at every page.
func (t *Tier) Stats() Stats {
	c := &t.counts
	s := Stats{
		PageSize:           t.pageSize,
		PageAllocs:         c.pageAllocs.Load(),
		PageReclaims:       c.pageReclaims.Load(),
		PageEvictions:      c.pageEvictions.Load(),
		ObjectsWritten:     c.objectsWritten.Load(),
		BytesWritten:       c.bytesWritten.Load(),
		ObjectsRead:        c.objectsRead.Load(),
		BytesRead:          c.bytesRead.Load(),
		ObjectsEvicted:     c.objectsEvicted.Load(),
		BytesEvicted:       c.bytesEvicted.Load(),
		DeviceBytesWritten: c.deviceBytes.Load(),
		ReadIO:             c.readIO.Load(),
		ReadCRC:            c.readCRC.Load(),
		ReadVersion:        c.readVersion.Load(),
		ReadKey:            c.readKey.Load(),
		ReadGone:           c.readGone.Load(),
		ReadBusy:           c.readBusy.Load(),
		BadIndexes:         c.badIndexes.Load(),
		WriteErrors:        c.writeErrors.Load(),
		ReadLatency:        t.latencies.look(),
		SlowReads:          c.slowReads.Load(),
		DeviceOut:          t.out.Load(),
		ReadBufferBytes:    t.reads.mapped.Load(),
		LentBytes:          t.reads.lent.Load(),
		WriteBuffers:       int64(t.opt.Buffers) * int64(t.opt.BufferSize),
	}
	t.addCatalog(&s)
	t.mu.Lock()
	s.PagesCondemned = len(t.condemned)
	t.mu.Unlock()
	for i := range t.pages {
		s.addPage(&t.pages[i])
	}
	return s
}

// Add makes s the sum of s and o, tiers with pages of one size. A device is out if
// one of the two is.
func (s *Stats) Add(o Stats) {
	o.PageSize = 0
	addTo(reflect.ValueOf(s).Elem(), reflect.ValueOf(o))
}

func addTo(to, from reflect.Value) {
	switch to.Kind() {
	case reflect.Struct:
		for i := range to.NumField() {
			addTo(to.Field(i), from.Field(i))
		}
	case reflect.Array:
		for i := range to.Len() {
			addTo(to.Index(i), from.Index(i))
		}
	case reflect.Bool:
		to.SetBool(to.Bool() || from.Bool())
	case reflect.Uint64:
		to.SetUint(to.Uint() + from.Uint())
	default:
		to.SetInt(to.Int() + from.Int())
	}
}

func (t *Tier) addCatalog(s *Stats) {
	c := &t.counts
	s.JournalBytes, s.JournalUsed = int64(t.journal.n*entryBytes), int64(t.journal.used()*entryBytes)
	s.JournalEntries = t.journal.head.Load()
	s.CatalogBytesWritten, s.JournalBytesWritten = t.catalog.written.Load(), t.journal.written.Load()
	s.Folds, s.FoldErrors = c.folds.Load(), c.foldErrors.Load()
	s.Blobs, s.CatalogErrors = c.blobs.Load(), c.catalogErrors.Load()
	s.CatalogBytes, s.CatalogMemory = t.catalog.sizes()
	t.commits.mu.Lock()
	s.BlobsWaiting = len(t.commits.waiting) + t.commits.busy
	s.CatalogMemory += t.commits.bytes
	t.commits.mu.Unlock()
	t.makingRoom.Lock()
	s.PagesAside = len(t.aside)
	t.makingRoom.Unlock()
}

func (s *Stats) addPage(p *page) {
	switch p.is() {
	case PageFree:
		s.PagesFree++
	case PageOpen, PageSealed:
		s.PagesUsed++
		s.ObjectsUsed += p.objects.Load()
		s.BytesUsed += p.live(s.PageSize)
	case PageDraining:
		s.PagesDraining++
	case PageRetired:
		s.PagesRetired++
	}
}

// live is the bytes of p's live records. Sizes of classes are rounded up, so that
// those of all its records may be more than the page has.
func (p *page) live(pageSize int64) int64 { return min(max(0, p.bytes.Load()), pageSize) }

// PageStat is the state of one page.
type PageStat struct {
	ID      PageID
	Version uint32 // 0 if the page is free
	State   PageState
	Bucket  uint8
	Objects int64  // live records
	Bytes   int64  // the same, in bytes of their classes, at most the page's size
	Faults  int    // since its last life without any
	Created uint32 // Unix seconds: when its present life began, 0 if the page is free
}

// Pages gives the state of every page, in the order of their ids.
func (t *Tier) Pages() []PageStat {
	stats := make([]PageStat, len(t.pages))
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.pages {
		p := &t.pages[i]
		stats[i] = PageStat{
			ID: p.id, State: p.is(), Bucket: p.bucket, Faults: int(p.faults.Load()),
			Objects: max(0, p.objects.Load()), Bytes: p.live(t.pageSize),
		}
		if p.is() != PageFree {
			stats[i].Version, stats[i].Created = p.version.Load(), p.created
		}
	}
	return stats
}
