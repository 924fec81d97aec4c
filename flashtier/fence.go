package flashtier

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fence stands between pebble and its file system. Pebble takes a write that
// fails for the end of the process: it logs and exits, or panics with locks held.
// The fence tells it of no failure. Instead, from the first one on, nothing more
// is written: the files stay as a crash at that moment would have left them, and
// what pebble writes and reads back from then on is in memory. Whoever waits for
// a write asks the fence whether it still stands open.
type fence struct {
	vfs.FS
	beyond *vfs.MemFS     // files made since
	bytes  *atomic.Uint64 // written to files

	mu     sync.RWMutex // held for reading by writes that are under way
	err    error        // the failure; not nil once the fence is shut
	closed func(err error)
}

func newFence(fs vfs.FS, bytes *atomic.Uint64, closed func(err error)) *fence {
	return &fence{FS: fs, beyond: vfs.NewMem(), bytes: bytes, closed: closed}
}

// failure is why the fence is shut, or nil.
func (f *fence) failure() error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.err
}

// do carries out a write unless the fence is shut, and shuts it if that fails.
// done is false if nothing was written.
func (f *fence) do(write func() error) (done bool) {
	f.mu.RLock()
	if f.err != nil {
		f.mu.RUnlock()
		return false
	}
	err := write()
	f.mu.RUnlock()
	if err == nil {
		return true
	}
	f.mu.Lock()
	first := f.err == nil
	if first {
		f.err = err
	}
	f.mu.Unlock()
	if first {
		f.closed(err)
	}
	return false
}

// file is do for what gives a file to write to; beyond the fence it is a new one
// in memory.
func (f *fence) file(name string, open func() (vfs.File, error)) (file vfs.File, err error) {
	done := f.do(func() (err error) {
		file, err = open()
		return err
	})
	if done {
		return &fencedFile{file, f}, nil
	}
	if err := f.beyond.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, err
	}
	return f.beyond.Create(name, vfs.WriteCategoryUnspecified)
}

// Create makes a file.
func (f *fence) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file(name, func() (vfs.File, error) { return f.FS.Create(name, c) })
}

// ReuseForWrite makes a file of an old one.
func (f *fence) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file(newname, func() (vfs.File, error) { return f.FS.ReuseForWrite(oldname, newname, c) })
}

// OpenReadWrite opens a file for both.
func (f *fence) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.file(name, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, c, opts...) })
}

// Open opens a file for reading, beyond the fence if it is there.
func (f *fence) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if f.failure() != nil {
		if file, err := f.beyond.Open(name, opts...); err == nil {
			return file, nil
		}
	}
	return f.FS.Open(name, opts...)
}

// OpenDir opens a directory, which may be synced.
func (f *fence) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &fencedFile{file, f}, nil
}

// Link makes a second name.
func (f *fence) Link(oldname, newname string) error {
	f.do(func() error { return f.FS.Link(oldname, newname) })
	return nil
}

// Rename changes a name.
func (f *fence) Rename(oldname, newname string) error {
	if !f.do(func() error { return f.FS.Rename(oldname, newname) }) {
		f.beyond.Rename(oldname, newname) // if it is there
	}
	return nil
}

// Remove removes a name. That there is none is told, and no failure.
func (f *fence) Remove(name string) (err error) {
	f.do(func() error {
		if err = f.FS.Remove(name); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// RemoveAll removes a name and all below it.
func (f *fence) RemoveAll(name string) error {
	f.do(func() error { return f.FS.RemoveAll(name) })
	return nil
}

// MkdirAll makes a directory and those above it.
func (f *fence) MkdirAll(dir string, perm os.FileMode) error {
	f.do(func() error { return f.FS.MkdirAll(dir, perm) })
	return nil
}

// Unwrap gives the file system before the fence.
func (f *fence) Unwrap() vfs.FS { return f.FS }

// fencedFile is a file from before the fence was shut.
type fencedFile struct {
	vfs.File
	fence *fence
}

// Write appends p.
func (f *fencedFile) Write(p []byte) (int, error) {
	f.write(p, func() error { _, err := f.File.Write(p); return err })
	return len(p), nil
}

// WriteAt writes p at off.
func (f *fencedFile) WriteAt(p []byte, off int64) (int, error) {
	f.write(p, func() error { _, err := f.File.WriteAt(p, off); return err })
	return len(p), nil
}

func (f *fencedFile) write(p []byte, write func() error) {
	if f.fence.do(write) {
		f.fence.bytes.Add(uint64(len(p)))
	}
}

// Preallocate reserves room.
func (f *fencedFile) Preallocate(off, length int64) error {
	f.fence.do(func() error { return f.File.Preallocate(off, length) })
	return nil
}

// Sync makes the file durable.
func (f *fencedFile) Sync() error {
	f.fence.do(f.File.Sync)
	return nil
}

// SyncData is Sync without the file's metadata.
func (f *fencedFile) SyncData() error {
	f.fence.do(f.File.SyncData)
	return nil
}

// SyncTo makes the first length bytes durable, some time.
func (f *fencedFile) SyncTo(length int64) (full bool, err error) {
	f.fence.do(func() (err error) { full, err = f.File.SyncTo(length); return err })
	return full, nil
}

// Close closes the file, shut or not. It may be what tells of a failed write.
func (f *fencedFile) Close() error {
	err := f.File.Close()
	f.fence.do(func() error { return err })
	return nil
}
