package hearth

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hearthcache/hearth/memtier"
)

// A memory file F is there only while no cache uses it:
//
//	Open    F.new is made and locked: it is this cache's, and F may be written.
//	        F is read, then removed, or renamed to F.bad if something in it is
//	        damaged, and the directory synced. Only then does Open return.
//	Close   F.new is written, synced, renamed to F, and the directory synced.
//
// So a cache that has changed anything has no F beside it, and one that ends
// without Close leaves none, whatever a power loss makes of the directory. What
// Open is stopped in, the next Open begins anew.
const (
	imageNew = ".new"
	imageBad = ".bad"

	// imageSync is how many bytes are written before they are synced, so that
	// neither the kernel's buffers nor the last sync grow with the cache.
	imageSync = 64 << 20
	// always is a time at which every segment is old enough to be taken.
	always = math.MaxUint32
)

// loaded is what became of a memory file's records.
type loaded struct {
	items, expired, flushed int64
	noMemory                int64 // too large for MaxItem, no room for them, or pushed out by later ones
}

// loadMemory brings back what Close has left in Options.MemoryFile, and consumes
// the file.
func (c *Cache) loadMemory() (err error) {
	file := c.opts.MemoryFile
	if file == "" {
		return nil
	}
	if c.image, err = lockImage(file + imageNew); err != nil {
		return fmt.Errorf("lock memory file: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.dropImage())
		}
	}()
	switch info, err := os.Stat(file); {
	case errors.Is(err, fs.ErrNotExist):
		c.opts.Logger.Info("no memory file, starting empty", "file", file)
		return syncDir(file) // its removal may not have lasted yet
	case err != nil:
		return fmt.Errorf("read memory file: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: %s is not a regular file", ErrMemoryFile, file)
	}
	whole, err := c.readImage(file)
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	return consume(file, whole)
}

// lockImage opens the file that a cache will leave its items in, for this cache
// alone.
func lockImage(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = fmt.Errorf("%w: %s is in use by another cache", ErrMemoryFile, path)
		}
		if err == nil && isAt(f, path) {
			if err = f.Truncate(0); err == nil { // what a Close that was killed has left
				return f, nil
			}
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		f.Close() // renamed by its owner between open and lock
	}
}

// isAt tells whether f is what the path names now.
func isAt(f *os.File, path string) bool {
	here, err := f.Stat()
	there, err2 := os.Stat(path)
	return err == nil && err2 == nil && os.SameFile(here, there)
}

// consume takes the file out of the next Open's sight.
func consume(file string, whole bool) error {
	var err error
	if whole {
		err = os.Remove(file)
	} else {
		err = os.Rename(file, file+imageBad)
	}
	if err != nil {
		return fmt.Errorf("consume memory file: %w", err)
	}
	return syncDir(file)
}

// syncDir makes the names in file's directory last.
func syncDir(file string) error {
	d, err := os.Open(filepath.Dir(file))
	if err != nil {
		return fmt.Errorf("open directory of memory file: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync directory of memory file: %w", err)
	}
	return nil
}

// readImage loads what is whole of the file. The error is of one that must be
// left where it is.
func (c *Cache) readImage(file string) (whole bool, err error) {
	begun := time.Now()
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	r, err := newImageReader(f, info.Size(), c.opts.MaxItem)
	if errors.Is(err, errForeign) {
		c.opts.Logger.Warn("memory file is not one, starting empty", "file", file, "why", err, "aside", file+imageBad)
		return false, nil
	} else if err != nil {
		return false, err
	}
	c.cas.Store(r.head.cas)
	n := c.loadImage(r)
	c.recovered = n.items
	attrs := []any{"file", file, "items", n.items, "bytes", info.Size(), "expired", n.expired, "flushed", n.flushed,
		"no_memory", n.noMemory, "lost", r.lost(), "seconds", time.Since(begun).Seconds()}
	if r.sound() {
		c.opts.Logger.Info("read memory file", attrs...)
		return true, nil
	}
	c.opts.Logger.Warn("memory file is damaged, the rest was read",
		append(attrs, "damaged", r.bad, "trailer", r.records >= 0, "err", r.err, "aside", file+imageBad)...)
	return false, nil
}

// loadImage stores the records, oldest first.
func (c *Cache) loadImage(r *imageReader) (n loaded) {
	now := c.now.Load()
	flushed := r.head.flushAt != 0 && r.head.flushAt <= now
	if !flushed {
		c.flushAt.Store(r.head.flushAt)
	}
	d := c.newDemoter()
	for {
		rec, ok := r.next()
		if !ok {
			break
		}
		switch {
		case flushed:
			n.flushed++
		case rec.exptime != 0 && rec.exptime <= now:
			n.expired++
		default:
			c.loadRecord(d, &rec)
		}
		if r.whole%4096 == 0 && r.records > 0 {
			c.progress(r.whole, r.records)
		}
	}
	n.items = c.mem.Stats().IndexItems
	n.noMemory = r.whole - n.items - n.expired - n.flushed
	return n
}

// loadRecord stores one record, in place of the oldest if it has to and may.
func (c *Cache) loadRecord(d *demoter, r *imageRecord) {
	w := memtier.Write{
		Hash: c.mem.Hash(r.key), Key: r.key, Value: r.value, Flags: r.flags, Exptime: r.exptime, NewCAS: r.cas, State: r.state,
	}
	for c.mem.Store(&w, c.now.Load()) == memtier.NoRoom && d.step(0) {
	}
}

// saveMemory leaves what is in RAM in Options.MemoryFile. What is not written
// within Options.ShutdownTimeout is dropped, and that is no error: the rest is
// right.
func (c *Cache) saveMemory() error {
	if c.image == nil {
		return nil
	}
	begun, file := time.Now(), c.opts.MemoryFile
	c.mem.SetLimit(c.opts.Memory) // after SetMemory there may be none to seal the last segment with
	c.progressAt = begun
	w, err := newImageWriter(c.image, imageHeader{
		salt: rand.Uint64(), cas: c.cas.Load(), flushAt: c.flushAt.Load(), written: uint64(c.now.Load()),
	})
	if err == nil {
		err = c.writeItems(w, begun.Add(c.opts.ShutdownTimeout))
	}
	if err == nil {
		err = c.publish(w, file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write memory file: %w", err), c.dropImage())
	}
	left := c.mem.Stats().IndexItems
	log := c.opts.Logger.Info
	if left > 0 {
		log = c.opts.Logger.Warn
	}
	log("wrote memory file", "file", file, "items", w.records, "left", left, "bytes", w.length, "seconds", time.Since(begun).Seconds())
	return nil
}

// writeItems writes all live items, those that were written first at first.
func (c *Cache) writeItems(w *imageWriter, until time.Time) error {
	total, synced := c.mem.Stats().IndexItems, int64(0)
	value := make([]byte, 0, 64<<10)
	for v := c.nextSegment(); v != nil; v = c.nextSegment() {
		for v.Next() {
			var it memtier.Item
			var verdict memtier.Verdict
			if verdict, it, value = v.Judge(c.now.Load(), false, value[:0]); verdict != memtier.Demote {
				continue
			}
			r := imageRecord{cas: it.CAS, flags: it.Flags, exptime: it.Exptime, state: it.State, key: v.Key(), value: value}
			if err := w.put(&r); err != nil {
				return err
			}
		}
		v.Free() // the last segment can only be sealed while another is free
		if w.length-synced > imageSync {
			synced = w.length
			if err := c.image.Sync(); err != nil {
				return err
			}
		}
		now := time.Now()
		if now.After(until) {
			break
		}
		if now.Sub(c.progressAt) > progressEvery {
			c.progressAt = now
			c.opts.Logger.Info("writing memory file", "items", w.records, "of", total)
		}
	}
	return nil
}

// nextSegment takes the oldest segment, or nil if all were taken.
func (c *Cache) nextSegment() *memtier.Victim {
	v, ok := c.mem.TakeOldest(0, always)
	if !ok && c.mem.SealActive(0, always) {
		v, _ = c.mem.TakeOldest(0, always)
	}
	return v
}

// publish gives what was written its name.
func (c *Cache) publish(w *imageWriter, file string) error {
	if err := w.end(); err != nil {
		return err
	}
	if err := c.image.Sync(); err != nil {
		return err
	}
	if err := os.Rename(file+imageNew, file); err != nil {
		return err
	}
	return errors.Join(syncDir(file), c.image.Close())
}

// dropImage leaves no memory file behind.
func (c *Cache) dropImage() error {
	err := os.Remove(c.opts.MemoryFile + imageNew)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, c.image.Close())
}
