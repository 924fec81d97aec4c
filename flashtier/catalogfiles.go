package flashtier

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// stillFS is the catalog's files as they were at one moment, for pebble to read.
// All of them are opened at once and keep their length, so it matters not that a
// server adds to them or removes them; nothing is written or locked.
type stillFS struct {
	vfs.FS
	dir   string
	files map[string]*stillFile
}

// stillTries is how often the files may change while they are being opened.
const stillTries = 20

// errChanging is returned for files that change faster than they are opened.
var errChanging = errors.New("catalog changes while it is being read")

// openStill opens all files in dir. If their names are the same before and after,
// they are of one moment, as far as pebble's own order of writing goes.
func openStill(dir string) (*stillFS, error) {
	for range stillTries {
		s := &stillFS{FS: vfs.Default, dir: dir, files: map[string]*stillFile{}}
		before, err := s.openAll()
		if errors.Is(err, os.ErrNotExist) && before != nil {
			continue // it was removed after it was listed
		}
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		after, err := os.ReadDir(dir)
		if err == nil && slices.EqualFunc(before, after, func(a, b os.DirEntry) bool { return a.Name() == b.Name() }) {
			return s, nil
		}
		if err := errors.Join(err, s.close()); err != nil {
			return nil, err
		}
	}
	return nil, errChanging
}

func (s *stillFS) openAll() ([]os.DirEntry, error) {
	names, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	for _, e := range names {
		if !e.Type().IsRegular() {
			continue
		}
		f, err := s.FS.Open(filepath.Join(s.dir, e.Name()))
		if err != nil {
			return names, err
		}
		info, err := f.Stat()
		if err != nil {
			return names, errors.Join(err, f.Close())
		}
		s.files[e.Name()] = &stillFile{File: f, info: info}
	}
	return names, nil
}

func (s *stillFS) close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.File.Close())
	}
	return errors.Join(errs...)
}

func (s *stillFS) find(name string) (*stillFile, error) {
	f, ok := s.files[filepath.Base(name)]
	if !ok || filepath.Dir(name) != filepath.Clean(s.dir) {
		return nil, fmt.Errorf("open %s: %w", name, os.ErrNotExist)
	}
	return f, nil
}

// Open opens the file from its start.
func (s *stillFS) Open(name string, _ ...vfs.OpenOption) (vfs.File, error) {
	f, err := s.find(name)
	if err != nil {
		return nil, err
	}
	return &stillFile{File: f.File, info: f.info, content: io.NewSectionReader(f.File, 0, f.info.Size())}, nil
}

// Stat is of the moment the file was opened.
func (s *stillFS) Stat(name string) (vfs.FileInfo, error) {
	if filepath.Clean(name) == filepath.Clean(s.dir) {
		return s.FS.Stat(name)
	}
	f, err := s.find(name)
	if err != nil {
		return nil, err
	}
	return f.info, nil
}

// List gives the names of that moment.
func (s *stillFS) List(string) (names []string, err error) {
	for name := range s.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// Lock locks nothing.
func (s *stillFS) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// Create and all else that writes is refused.
func (s *stillFS) Create(string, vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, syscall.EROFS
}

// OpenReadWrite is refused.
func (s *stillFS) OpenReadWrite(string, vfs.DiskWriteCategory, ...vfs.OpenOption) (vfs.File, error) {
	return nil, syscall.EROFS
}

// ReuseForWrite is refused.
func (s *stillFS) ReuseForWrite(string, string, vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, syscall.EROFS
}

// Link is refused.
func (s *stillFS) Link(string, string) error { return syscall.EROFS }

// Remove is refused.
func (s *stillFS) Remove(string) error { return syscall.EROFS }

// RemoveAll is refused.
func (s *stillFS) RemoveAll(string) error { return syscall.EROFS }

// Rename is refused.
func (s *stillFS) Rename(string, string) error { return syscall.EROFS }

// MkdirAll is refused.
func (s *stillFS) MkdirAll(string, os.FileMode) error { return syscall.EROFS }

// stillFile is a file of a stillFS, or what pebble has opened of it. The file
// itself is closed with the stillFS.
type stillFile struct {
	vfs.File
	info    vfs.FileInfo
	content *io.SectionReader
}

// Read reads on.
func (f *stillFile) Read(b []byte) (int, error) { return f.content.Read(b) }

// ReadAt reads no further than the file went when it was opened.
func (f *stillFile) ReadAt(b []byte, off int64) (int, error) { return f.content.ReadAt(b, off) }

// Stat is of the moment the file was opened.
func (f *stillFile) Stat() (vfs.FileInfo, error) { return f.info, nil }

// Close closes nothing.
func (f *stillFile) Close() error { return nil }
