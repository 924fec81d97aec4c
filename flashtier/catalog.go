package flashtier

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	catalogCache    = 8 << 20
	catalogMemTable = 4 << 20
	// catalogMemTables is how many memtables there can be: pebble's default of
	// two, and one that is being freed.
	catalogMemTables = 3
	catalogFiles     = 256 // open at a time
	catalogGroup     = 64  // writes to one batch
	// backgroundPause comes after background work that failed once more.
	backgroundPause = 100 * time.Millisecond
)

// CatalogMemory is what the catalog of a tier may take of memory, in bytes.
func CatalogMemory() int64 {
	return catalogCache + catalogMemTables*catalogMemTable + catalogFiles*(8<<10)
}

// catalog is the pebble store. All that is written goes through one goroutine,
// so that batches come in an order, and what is written at the same time shares
// a sync. A write that fails leaves it broken: pebble cannot go on after that,
// so nothing is asked of it any more and what is on disk stays as it is.
type catalog struct {
	db     *pebble.DB
	log    *slog.Logger
	broken atomic.Bool
	// failing is set while pebble's background work fails; writes may stall.
	failing atomic.Bool

	// Of the writing goroutine, once it runs.
	state    state
	journal  *journal // told how many batches there are; may be nil
	started  bool
	requests chan *catalogWrite
	done     chan struct{}

	mu     sync.RWMutex // closed is looked at under it until a request is sent
	closed bool
}

// catalogWrite is a part of a batch.
type catalogWrite struct {
	fill   func(b *pebble.Batch, s *state) error
	result chan error
}

// errBroken is returned for writes after one that failed.
var errBroken = errors.New("flashtier: catalog is broken")

// catalogLog is pebble's logger. Its Fatalf returns: pebble's way out of a write
// that failed is the end of the process, ours is a broken catalog.
type catalogLog struct{ c *catalog }

func (l catalogLog) Infof(format string, args ...any) {
	l.c.log.Debug("catalog: " + fmt.Sprintf(format, args...))
}

func (l catalogLog) Errorf(format string, args ...any) {
	l.c.log.Error("catalog: " + fmt.Sprintf(format, args...))
}

func (l catalogLog) Fatalf(format string, args ...any) {
	if !l.c.broken.Swap(true) {
		l.c.log.Error("catalog cannot be written any more: " + fmt.Sprintf(format, args...))
	}
}

// listener makes of corruption and of background work that failed no more than a
// line in the log. Pebble tries again at once, and without end, so it is slowed
// down.
func (c *catalog) listener() *pebble.EventListener {
	return &pebble.EventListener{
		DataCorruption: func(info pebble.DataCorruptionInfo) { catalogLog{c}.Errorf("%s", info) },
		BackgroundError: func(err error) {
			if c.failing.Swap(true) {
				time.Sleep(backgroundPause)
				return
			}
			catalogLog{c}.Errorf("%v", err)
		},
		FlushEnd: func(info pebble.FlushInfo) {
			if info.Err == nil {
				c.failing.Store(false)
			}
		},
	}
}

func catalogDir(dir string) string { return filepath.Join(dir, "catalog") }

// openCatalog opens the store at dir, or makes an empty one. What panics on the
// way is an error, too: pebble does so for some broken files.
func openCatalog(dir string, fs vfs.FS, log *slog.Logger) (c *catalog, err error) {
	c = &catalog{log: log, requests: make(chan *catalogWrite, catalogGroup), done: make(chan struct{})}
	defer func() {
		if r := recover(); r != nil {
			c, err = nil, fmt.Errorf("open catalog: %v", r)
		}
	}()
	o := &pebble.Options{
		FS: fs, Logger: catalogLog{c}, Merger: deadMerger, FormatMajorVersion: pebble.FormatNewest,
		CacheSize: catalogCache, MemTableSize: catalogMemTable, MaxOpenFiles: catalogFiles,
	}
	o.EventListener = c.listener()
	// Hashes do not compress, and are most of it.
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	if c.db, err = pebble.Open(dir, o); err != nil {
		return nil, fmt.Errorf("open catalog: %w", err)
	}
	if c.broken.Load() {
		return nil, fmt.Errorf("open catalog: %w", errBroken)
	}
	return c, nil
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

// get is pebble's Get, but that a panic, which some broken files cause, is an
// error.
func (c *catalog) get(key []byte) (v []byte, closer io.Closer, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return c.db.Get(key)
}

// each calls fn for every key that begins with prefix, and its value. Both hold
// until fn returns.
func (c *catalog) each(prefix byte, fn func(key, value []byte) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("read catalog: %v", r)
		}
	}()
	it, err := c.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
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
	w := &catalogWrite{fill: fill, result: make(chan error, 1)}
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
		for _, w := range group {
			w.result <- err
		}
	}
}

// commit writes one batch. Once it is on disk the journal is told how many there
// are, so that a catalog which has lost some is found out.
func (c *catalog) commit(group []*catalogWrite) (err error) {
	if c.broken.Load() {
		return errBroken
	}
	defer func() {
		if r := recover(); r != nil {
			catalogLog{c}.Fatalf("%v", r)
			err = errBroken
		}
	}()
	b := c.db.NewBatch()
	defer b.Close()
	next := c.state
	next.batches++
	for _, w := range group {
		if err := w.fill(b, &next); err != nil {
			return err
		}
	}
	if err := b.Set([]byte(keyState), next.encode(), nil); err != nil {
		return fmt.Errorf("write catalog: %w", err)
	}
	if err := c.db.Apply(b, pebble.Sync); err != nil {
		return fmt.Errorf("write catalog: %w", err)
	}
	if c.broken.Load() {
		return errBroken
	}
	c.state = next
	if c.journal != nil {
		c.journal.batches().Store(next.batches)
	}
	return nil
}

// close ends writes, if they were started, and closes the store. A broken store
// is left as it is, because closing it would write.
func (c *catalog) close() error {
	c.mu.Lock()
	c.closed = true
	close(c.requests)
	c.mu.Unlock()
	if c.started {
		<-c.done
	}
	if c.broken.Load() {
		return nil
	}
	if err := c.db.Close(); err != nil {
		return fmt.Errorf("close catalog: %w", err)
	}
	return nil
}

// size is the bytes of the catalog on disk.
func (c *catalog) size() int64 {
	if c.broken.Load() {
		return 0
	}
	return int64(c.db.Metrics().DiskSpaceUsage())
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
