package flashtier

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"

	"github.com/hearthcache/hearth/ioq"
)

var (
	// ErrOptions is returned by Open for options that cannot be.
	ErrOptions = errors.New("flashtier: bad options")
	// ErrLocked is returned by Open when another tier, of this process or
	// another, has the directory.
	ErrLocked = errors.New("flashtier: directory is in use")
	// ErrNotDir is returned by Open when the path is something else than a
	// directory.
	ErrNotDir = errors.New("flashtier: not a directory")
	// ErrNoRoom is returned by Open when the file system has less room than
	// Size asks for.
	ErrNoRoom = errors.New("flashtier: not enough room")
	// ErrClosed is returned by a Writer after Close of its tier.
	ErrClosed = errors.New("flashtier: tier is closed")

	// ErrTooLarge is returned for a record that no write buffer can hold.
	ErrTooLarge = errors.New("flashtier: record too large")
	// ErrBufferFull is returned when the write buffer has no room left: Flush,
	// then try again.
	ErrBufferFull = errors.New("flashtier: write buffer is full")
	// ErrNoPage is returned when there is no free page: reclaim one first.
	ErrNoPage = errors.New("flashtier: no free page")
	// ErrBusy is returned when all write buffers, or all read buffers, are in
	// use: release one first.
	ErrBusy = errors.New("flashtier: all buffers are in use")
	// ErrDeviceOut is returned to writers after too many pages in a row could
	// not be written, until a page can be written again, which is tried every
	// ten seconds. Reads go on where they can.
	ErrDeviceOut = errors.New("flashtier: device is out")

	// ErrGone is returned for an address whose page is not readable any more,
	// or has not been written that far in its present life.
	ErrGone = errors.New("flashtier: page is gone")
	// ErrIO is returned when the device failed the read or the write.
	ErrIO = errors.New("flashtier: input/output failed")
	// ErrVersion is returned for a record of an older life of its page.
	ErrVersion = errors.New("flashtier: record of another page version")
	// ErrKey is returned for a sound record that has another key.
	ErrKey = errors.New("flashtier: record has another key")
)

// Tier is a directory of page files and the table of their states. Its methods
// may be called by several goroutines at once, but for Close.
//
// Locks: mu guards the page table's changes. It is never held across a call into
// the queue, a mapping, or a wait other than on drained. The lock of the read
// buffers is a leaf, and so is that of the blobs that wait. The catalog's writing
// goroutine takes mu.
//
// Goroutines, from Open to Close: journalLoop, which syncs and folds the journal,
// commitLoop, which takes blobs to the catalog, and the catalog's writeLoop.
type Tier struct {
	opt         Options
	queue       ioq.Queue
	lock        *os.File
	pageSize    int64
	pageUnits   uint64   // a page's size in units
	pages       []page   // of fixed length; page.go says what guards its fields
	batches     []*Batch // all there are
	reads       readBuffers
	counts      counts
	failedReads atomic.Int32  // in a row
	out         atomic.Bool   // the device is out
	outUntil    atomic.Uint32 // when it is tried again, by the clock

	catalog  *catalog
	journal  *journal
	meta     meta // changed only while a batch is filled
	past     past // what Open has found, for Recover
	gen      atomic.Uint32
	flushAt  atomic.Uint32
	seq      atomic.Uint64 // of the last blob
	newFiles atomic.Bool   // page files were created since their directory was synced
	commits  committer
	loops    sync.WaitGroup
	stop     chan struct{}

	complaints complaints
	latencies  latencies

	folding    sync.Mutex // one fold at a time; held across its write
	foldBuffer []entry
	foldOrder  []uint64
	aside      []string // page files set aside, next to be removed first; under makingRoom
	makingRoom sync.Mutex

	mu        sync.Mutex
	drained   *sync.Cond // on mu: a page's last pin is gone, or a batch was released
	free      []PageID   // next to be used first
	sealed    []PageID   // oldest first
	condemned []PageID   // retired by reads; Victim has not yielded them yet
	buffers   []*Batch   // neither being filled nor in flight
	submitted int        // batches between Flush and Release
	seals     []*seal    // in flight
	idleSeals []*seal
	failing   int // pages in a row that could not be written
	closed    bool
}

// Open takes the directory and makes a tier of it. Pages that the catalog of an
// earlier run names are sealed, and can be read as soon as Recover has given
// their addresses; all other page files are space. Where catalog or journal are
// lost or cannot be trusted, the pages are set aside. Open refuses what a newer
// version has written, and sizes that do not fit the pages in use. The error is
// one line that names the directory.
func Open(o Options) (*Tier, error) {
	d, err := Look(o)
	if err != nil {
		return nil, err
	}
	return d.Open(Start{})
}

// Look takes the directory and looks at what it holds, as the first step of Open.
func Look(o Options) (*Opening, error) {
	opt, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	t := &Tier{
		opt:       opt,
		queue:     opt.Queue,
		pageSize:  int64(opt.PageSize),
		pageUnits: uint64(opt.PageSize) / unit,
		pages:     make([]page, opt.Size/int64(opt.PageSize)),
		stop:      make(chan struct{}),
	}
	t.drained = sync.NewCond(&t.mu)
	t.commits.changed = sync.NewCond(&t.commits.mu)
	t.commits.most = opt.blobBytes()
	t.reads.init(&opt)
	if t.lock, err = lockDir(opt.Dir); err != nil {
		return nil, err
	}
	for i := range t.pages {
		t.pages[i].id = PageID(i)
	}
	files, err := t.lookBack()
	if err != nil {
		return nil, errors.Join(err, t.giveUp())
	}
	return &Opening{t, files}, nil
}

// open makes the page table of what Look has found, and lets the tier begin.
func (t *Tier) open(files []pageFile) (*Tier, error) {
	if err := t.prepare(files); err != nil {
		return nil, errors.Join(err, t.giveUp())
	}
	t.loops.Add(2)
	go t.journalLoop()
	go t.commitLoop()
	return t, nil
}

// prepare fills the page table and makes the write buffers.
func (t *Tier) prepare(files []pageFile) error {
	if err := t.adopt(files); err != nil {
		return err
	}
	for i := range t.pages {
		if t.pages[i].is() == PageFree {
			t.free = append(t.free, PageID(i))
		}
	}
	for range t.opt.Buffers {
		b, err := t.newBatch()
		if err != nil {
			return err
		}
		t.batches = append(t.batches, b)
	}
	t.buffers = append(t.buffers, t.batches...)
	return nil
}

// giveUp undoes what of Open has been done.
func (t *Tier) giveUp() error {
	err := t.closeCatalog()
	return errors.Join(err, t.closeFiles())
}

func (t *Tier) releaseMemory() {
	for _, b := range t.batches {
		unmap(b.mem)
	}
	t.reads.release()
}

// Close waits until every Read and every Batch has been released, closes the
// page files and gives the directory up. What Writers have not flushed is
// dropped; they, and slices from Reserve, must not be used during or after it.
// The next Open takes it for a crash, unless MarkClean came before.
func (t *Tier) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.closed = true
	for i := range t.pages {
		p := &t.pages[i]
		if p.readable() {
			p.become(PageDraining) // no new pins, and the last one signals
		}
		for p.pins.Load() != 0 {
			t.drained.Wait()
		}
	}
	for t.submitted > 0 {
		t.drained.Wait()
	}
	seals := t.seals
	t.mu.Unlock()
	for _, s := range seals {
		s.wait()
	}
	t.mu.Lock()
	t.reapSealsLocked()
	t.mu.Unlock()
	err := t.CommitAll()
	t.commits.close()
	close(t.stop)
	t.loops.Wait()
	return errors.Join(err, t.closeCatalog(), t.closeFiles())
}

// closeCatalog syncs and closes journal and catalog, as far as they are open.
func (t *Tier) closeCatalog() (err error) {
	if t.catalog != nil {
		err = t.catalog.close()
	}
	if t.journal != nil {
		err = errors.Join(err, t.journal.sync(), t.journal.close())
	}
	return err
}

func (t *Tier) closeFiles() error {
	var errs []error
	for i := range t.pages {
		if f := t.pages[i].file; f != nil {
			errs = append(errs, f.Close())
		}
	}
	t.releaseMemory()
	return errors.Join(append(errs, t.lock.Close())...)
}

// path is the file of page id.
func (t *Tier) path(id PageID) string { return PagePath(t.opt.Dir, id) }
