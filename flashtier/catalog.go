package flashtier

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Of the catalog's memory an eighth is pebble's block cache and a half are
// memtables, of which there can be three: pebble's default of two, and one that is
// being freed. The rest is for blobs that wait to be written.
const (
	cacheShare    = 8
	memTableShare = 2 * 3
)

func (o *Options) blobBytes() int64 { return o.CatalogMemory / 8 * 3 }

const (
	catalogFiles = 128 // open at a time
	// catalogL0 and catalogBase are higher than pebble's defaults of 4 and 64 MiB:
	// only a start and the removal of pages read, so compactions may be late.
	catalogL0    = 8
	catalogBase  = 256 << 20
	catalogGroup = 64 // writes to one batch
	// backgroundPause comes after background work that failed once more.
	backgroundPause = 100 * time.Millisecond
	healPause       = time.Second // between two tries to open a broken store
	closePatience   = 5 * time.Second
)

// catalog is the pebble store. All that is written goes through one goroutine,
// so that batches come in an order, and what is written at the same time shares
// a sync. A write that fails leaves it broken, with a fence around the files: the
// store is closed and opened anew, until that succeeds. A batch that has failed
// may yet be found in it then; that is why none is such that it could not be
// written twice.
type catalog struct {
	dir    string
	fs     vfs.FS
	memory int64 // bytes; how it is divided is said above
	log    *slog.Logger
	store  atomic.Pointer[pebble.DB]
	fence  atomic.Pointer[fence] // of the present store
	broken atomic.Bool
	// written is the bytes written to the files of all stores, compactions included.
	written atomic.Uint64
	told    atomic.Bool // nothing is to be logged of what goes wrong
	// failing is set while pebble's background work fails; writes may stall.
	failing atomic.Bool

	// Of the writing goroutine, once it runs.
	state    state
	journal  *journal // told how many batches there are; may be nil
	started  bool
	requests chan *catalogWrite
	done     chan struct{}
	healed   time.Time     // when healing was last tried
	pause    time.Duration // between two tries

	mu     sync.RWMutex // closed is looked at under it until a request is sent
	closed bool
}

// catalogWrite is a part of a batch.
type catalogWrite struct {
	fill   func(b *pebble.Batch, s *state) error
	undo   func() // may be nil
	filled bool   // fill was called
	result chan error
}

// errBroken is returned for writes after one that failed.
var errBroken = errors.New("flashtier: catalog is broken")

func catalogDir(dir string) string { return filepath.Join(dir, "catalog") }

// openCatalog opens the store of a tier, or makes an empty one.
func openCatalog(o *Options) (*catalog, error) {
	c := &catalog{
		dir: catalogDir(o.Dir), fs: o.FS, log: o.Logger, memory: o.CatalogMemory, pause: healPause,
		requests: make(chan *catalogWrite, catalogGroup), done: make(chan struct{}),
	}
	c.told.Store(true) // an error tells it all
	if err := c.openStore(); err != nil {
		return nil, err
	}
	return c, nil
}

// openStore opens the store. What panics on the way is an error, too: pebble does
// so for some broken files.
func (c *catalog) openStore() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("open catalog: %v", r)
		}
	}()
	f := newFence(c.fs, &c.written, func(err error) { catalogLog{c}.Fatalf("%v", err) })
	o := &pebble.Options{
		FS: f, Logger: catalogLog{c}, Merger: deadMerger, FormatMajorVersion: pebble.FormatNewest,
		CacheSize: c.memory / cacheShare, MemTableSize: uint64(c.memory / memTableShare), MaxOpenFiles: catalogFiles,
		L0CompactionThreshold: catalogL0, LBaseMaxBytes: catalogBase,
	}
	o.EventListener = c.listener()
	// Hashes do not compress, and are most of it.
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	c.fence.Store(f)
	db, err := pebble.Open(c.dir, o)
	if err != nil {
		return fmt.Errorf("open catalog: %w", cmp.Or(f.failure(), err))
	}
	c.store.Store(db)
	if c.broken.Load() {
		c.closeStore() // which comes to nothing
		return fmt.Errorf("open catalog: %w", c.cause())
	}
	return nil
}

// view calls fn with the value of key, which holds until fn returns; nil if there
// is none.
func (c *catalog) view(key []byte, fn func(v []byte) error) (err error) {
	v, closer, err := c.get(key)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return fn(nil)
	case err != nil:
		return fmt.Errorf("read catalog: %w", err)
	}
	return errors.Join(fn(v), closer.Close())
}

// cause is the error for a broken catalog.
func (c *catalog) cause() error {
	if err := c.fence.Load().failure(); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	return errBroken
}

// get is pebble's Get, but that a panic, which some broken files cause, is an
// error.
func (c *catalog) get(key []byte) (v []byte, closer io.Closer, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return c.store.Load().Get(key)
}

// each calls fn for every key that begins with prefix, and its value. Both hold
// until fn returns.
func (c *catalog) each(prefix byte, fn func(key, value []byte) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("read catalog: %v", r)
		}
	}()
	it, err := c.store.Load().NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		return fmt.Errorf("read catalog: %w", err)
	}
	defer it.Close()
	for it.First(); it.Valid(); it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("read catalog: %w", err)
		}
		if err := fn(it.Key(), v); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("read catalog: %w", err)
	}
	return nil
}

// start lets writes begin.
func (c *catalog) start(s state) {
	c.state, c.started = s, true
	c.told.Store(false)
	go c.writeLoop()
}

// now gives the state after all writes so far, and from here on j is told of
// each batch.
func (c *catalog) now(j *journal) (s state, err error) {
	err = c.write(func(_ *pebble.Batch, next *state) error {
		s, c.journal = *next, j
		return nil
	})
	return s, err
}

// write has fill add to a batch, and returns when that batch is on disk. Calls
// of fill come one after the other, in the order of their batches; s is the
// state that the batch leaves.
func (c *catalog) write(fill func(b *pebble.Batch, s *state) error) error {
	return c.writeOrUndo(fill, nil)
}

// writeOrUndo is write, but that undo is called if the batch fails, before the
// next is filled: for what fill has changed beside the batch.
func (c *catalog) writeOrUndo(fill func(b *pebble.Batch, s *state) error, undo func()) error {
	w := &catalogWrite{fill: fill, undo: undo, result: make(chan error, 1)}
	c.mu.RLock()
	if c.closed {
		c.mu.RUnlock()
		return ErrClosed
	}
	c.requests <- w
	c.mu.RUnlock()
	return <-w.result
}

func (c *catalog) writeLoop() {
	defer close(c.done)
	group := make([]*catalogWrite, 0, catalogGroup)
	for w := range c.requests {
		group = append(group[:0], w)
		for len(group) < catalogGroup && len(c.requests) > 0 {
			w, ok := <-c.requests
			if !ok {
				break
			}
			group = append(group, w)
		}
		err := c.commit(group)
		for _, w := range slices.Backward(group) { // what was changed last is undone first
			if err != nil && w.undo != nil && w.filled {
				w.undo()
			}
		}
		for _, w := range group {
			w.result <- err
		}
	}
}

// commit writes one batch. Once it is on disk the journal is told how many there
// are, so that a catalog which has lost some is found out.
func (c *catalog) commit(group []*catalogWrite) (err error) {
	if c.broken.Load() && !c.heal() {
		return c.cause()
	}
	defer func() {
		if r := recover(); r != nil {
			catalogLog{c}.Fatalf("%v", r)
			err = c.cause()
		}
	}()
	db := c.store.Load()
	b := db.NewBatch()
	defer b.Close()
	next := c.state
	next.batches++
	for _, w := range group {
		w.filled = true
		if err := w.fill(b, &next); err != nil {
			return err
		}
	}
	if err := b.Set([]byte(keyState), next.encode(), nil); err != nil {
		return fmt.Errorf("write catalog: %w", err)
	}
	if err := db.Apply(b, pebble.Sync); err != nil {
		return fmt.Errorf("write catalog: %w", err)
	}
	if c.broken.Load() {
		return c.cause()
	}
	c.state = next
	if c.journal != nil {
		c.journal.batches().Store(next.batches)
	}
	return nil
}

// heal tries to open a broken store anew, now and then.
func (c *catalog) heal() bool {
	if time.Since(c.healed) < c.pause {
		return false
	}
	defer func() { c.healed = time.Now() }()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		if c.store.Load() != nil {
			c.closeStore() // it is broken, and may say so
		}
	}()
	select {
	case <-closed:
	case <-time.After(closePatience):
		return false // nor will it next time, but that is no reason not to look
	}
	c.broken.Store(false)
	err := c.openStore()
	if err == nil {
		err = c.view([]byte(keyState), func(v []byte) (err error) {
			c.state, err = decodeState(v)
			return err
		})
	}
	if err != nil {
		c.broken.Store(true)
		return false
	}
	c.told.Store(false)
	c.log.Info("catalog can be written again")
	return true
}

// close ends writes, if they were started, and closes the store. One that is
// broken, or whose writes have stalled, is given closePatience and then left.
func (c *catalog) close() error {
	c.mu.Lock()
	c.closed = true
	close(c.requests)
	c.mu.Unlock()
	closed := make(chan error, 1)
	go func() {
		if c.started {
			<-c.done
		}
		closed <- c.closeStore()
	}()
	for {
		select {
		case err := <-closed:
			if c.broken.Load() {
				return nil // what failed was told when it did
			}
			return err
		case <-time.After(closePatience):
			if c.broken.Load() || c.failing.Load() {
				return fmt.Errorf("close catalog: %w", errBroken)
			}
		}
	}
}

// closeStore closes the store, if it is open.
func (c *catalog) closeStore() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("close catalog: %v", r)
		}
	}()
	db := c.store.Swap(nil)
	if db == nil {
		return nil
	}
	if err := db.Close(); err != nil {
		return fmt.Errorf("close catalog: %w", err)
	}
	return nil
}

// sizes are the bytes of the catalog on disk, and those of the store in memory.
func (c *catalog) sizes() (disk, memory int64) {
	defer func() { recover() }() // it may just be closed, to be opened anew
	db := c.store.Load()
	if db == nil || c.broken.Load() {
		return 0, 0
	}
	m := db.Metrics()
	return int64(m.DiskSpaceUsage()), int64(m.MemTable.Size+m.MemTable.ZombieSize) + m.BlockCache.Size
}

// syncDir makes the names in dir survive a power loss.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}
