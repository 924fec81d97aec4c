package flashtier

import (
	"fmt"
	"sync/atomic"

	"github.com/hearthcache/hearth/ioq"
)

// PageState is where a page is in its life.
//
//	       openPage        last write done        Forget           Free
//	Free -----------> Open ----------------> Sealed ------> Draining ----> Free
//	 ^                 |                       |                |
//	 | nothing written | too many read faults  |                | too many faults
//	 +-----------------+------------------> Retired <-----------+
//
// Records of a page can be read while it is open or sealed. No edge leaves
// retired. A page that reads have retired still goes through Forget and Free, so
// that the headers that point at it are dropped.
type PageState uint32

// The states of a page. A free page may have been written before.
const (
	PageFree PageState = iota
	PageOpen
	PageSealed
	PageDraining
	PageRetired
)

// String is the state's name.
func (s PageState) String() string {
	return [...]string{"free", "open", "sealed", "draining", "retired"}[s]
}

// page is the tier's knowledge of one page file.
//
// Readers use the first group without a lock, which is safe because:
//   - a pin is taken before the state is looked at, and Free looks at the pins
//     after it has changed the state: either the reader sees the page gone, or
//     Free waits for the reader;
//   - version, format and file are set before the state becomes open, and change only
//     when there is no pin;
//   - end grows only after the bytes below it have been written. A record in a
//     hole below it is caught by its CRC or version.
type page struct {
	id      PageID
	state   atomic.Uint32 // a PageState; changed under Tier.mu
	pins    atomic.Int32  // reads in flight
	version atomic.Uint32 // of the present life, or of the last one; 0 never used
	format  uint32        // of the present life
	end     atomic.Int64  // where what can be read ends, bytes
	file    ioq.File      // nil until first used in this run; kept after
	faults  atomic.Int32  // of reads and writes, since the last life without any
	objects atomic.Int64  // records written and not dead
	bytes   atomic.Int64  // the same, in bytes of their classes
	lastExp atomic.Uint32 // when the last record expires; never is the greatest

	// Under Tier.mu.
	bucket   uint8
	created  uint32
	before   int32    // faults when the present life began
	extents  []Extent // written, in the order of the page
	records  uint64   // in extents
	writes   int      // batches begun and not settled, and a seal not yet submitted
	begun    int      // extents, written or not
	held     int      // batches begun and not released: slots may yet be pointed at them
	barren   []uint32 // where extents begin of which no record was alive at Commit
	closed   bool     // the Writer has let it go
	failed   bool     // a write failed, or reads retired it: the Writer lets it go
	headless bool     // the write that carried the header failed
	seal     *seal    // the trailer's write, in flight
	named    []named  // of extents, those in the catalog
	picked   bool     // Pick has given it out, and Forget has not put it back
	leaving  bool     // taken out of the catalog, or about to be
	unsynced bool     // a sync failed: the catalog names no more of this life
	rehash   bool     // its index frames have hashes of another seed
	sized    bool     // file has been cut to size in this run

	// Of the Writer that fills the page.
	next int64 // where the next extent goes
}

// never is page.lastExp of a page with a record that does not expire.
const never = 1<<32 - 1

func (p *page) is() PageState { return PageState(p.state.Load()) }

func (p *page) become(s PageState) { p.state.Store(uint32(s)) }

func (p *page) readable() bool {
	s := p.is()
	return s == PageOpen || s == PageSealed
}

// pin keeps p from being freed, if it is readable. Every pin is followed by an
// unpin, even a refused one.
func (p *page) pin() bool {
	p.pins.Add(1)
	return p.readable()
}

func (t *Tier) unpin(p *page) {
	if p.pins.Add(-1) != 0 || p.readable() {
		return
	}
	t.mu.Lock() // so as not to fall between the look and the sleep of Free
	t.drained.Broadcast()
	t.mu.Unlock()
}

// openPage starts a new life of a free page.
func (t *Tier) openPage(bucket uint8) (*page, error) {
	t.mu.Lock()
	if len(t.free) == 0 {
		t.mu.Unlock()
		return nil, ErrNoPage
	}
	p := &t.pages[t.free[0]]
	t.free = t.free[1:]
	t.mu.Unlock()

	if err := t.openFile(p); err != nil {
		t.mu.Lock()
		t.free = append(t.free, p.id)
		news := t.failedPageLocked()
		t.mu.Unlock()
		t.tellDevice(news, err)
		return nil, fmt.Errorf("%w: %w", ErrIO, err)
	}
	// Row and header of an earlier run may be lost, but no incarnation comes
	// twice.
	version := max(p.version.Load()+1, t.meta.incarnation)
	t.mu.Lock()
	p.bucket, p.created = bucket, t.opt.Now()
	p.lastExp.Store(0)
	p.extents, p.barren, p.records, p.begun = p.extents[:0], p.barren[:0], 0, 0
	p.closed, p.failed, p.headless = false, false, false
	p.named, p.picked, p.leaving, p.unsynced, p.rehash = p.named[:0], false, false, false, false
	p.next, p.before = 0, p.faults.Load()
	p.version.Store(version)
	p.format = FormatVersion
	p.become(PageOpen)
	t.mu.Unlock()
	t.counts.pageAllocs.Add(1)
	return p, nil
}

// headerOf is the header of p's present life.
func (t *Tier) headerOf(p *page) PageHeader {
	return PageHeader{
		ID: p.id, Version: p.version.Load(), Size: t.pageSize,
		Created: uint64(p.created), Bucket: uint32(p.bucket),
	}
}

// openFile opens p's file, and cuts it to size, before it is first written in
// this run. It is sparse.
func (t *Tier) openFile(p *page) error {
	if p.sized {
		return nil
	}
	if p.file == nil {
		t.makeRoom()
		f, err := t.queue.Open(t.path(p.id), t.pageSize)
		if err != nil {
			t.counts.writeErrors.Add(1)
			return err
		}
		p.file = f
		t.newFiles.Store(true)
	}
	if err := p.file.Truncate(t.pageSize); err != nil {
		t.counts.writeErrors.Add(1)
		return err
	}
	p.sized = true
	return nil
}

// fault counts a fault of p that a read has met, and retires p for too many.
func (t *Tier) fault(p *page) {
	if int(p.faults.Add(1)) < t.opt.PageFaults {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !p.readable() {
		return
	}
	if p.is() == PageSealed {
		t.dropSealedLocked(p.id)
	}
	p.failed = true
	p.become(PageRetired)
	t.settlePageLocked(p)
}

// settlePageLocked moves p on once its Writer has let it go and its last write
// is done; mu is held. A seal it returns is to be submitted after mu is let go.
func (t *Tier) settlePageLocked(p *page) *seal {
	if !p.closed || p.writes > 0 {
		return nil
	}
	switch {
	case t.closed:
		return nil
	case p.is() == PageRetired:
		if !p.picked {
			t.condemned = append(t.condemned, p.id)
		}
		return nil
	case len(p.extents) == 0:
		t.freeLocked(p)
		return nil
	}
	p.become(PageSealed)
	return t.newSealLocked(p)
}
