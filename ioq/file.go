package ioq

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// file is an open file of either engine.
type file struct {
	path string
	fd   int
	// users counts operations in flight; closedFile is added by Close. So a
	// descriptor is never closed, and its number never used for another file,
	// while an operation on it is with the kernel.
	users atomic.Int64
}

const closedFile = int64(1) << 40

func (f *file) acquire() {
	if f.users.Add(1) >= closedFile {
		panic("ioq: operation on the closed file " + f.path)
	}
}

func (f *file) release() { f.users.Add(-1) }

// openFile opens or creates path and gives it its blocks. A new file's name is
// made durable at once, so that Sync of the file is all that its data needs.
func openFile(path string, size int64, direct bool) (*file, error) {
	flags := unix.O_RDWR | unix.O_CLOEXEC
	if direct {
		flags |= unix.O_DIRECT
	}
	fd, err := unix.Open(path, flags, 0)
	created := errors.Is(err, fs.ErrNotExist)
	if created {
		fd, err = unix.Open(path, flags|unix.O_CREAT, 0o600)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f := &file{path: path, fd: fd}
	if err = f.prepare(size, direct); err == nil && created {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return f, nil
}

// prepare makes the file size bytes long with its blocks allocated: a full
// device then shows here rather than at a write, and a direct write need not
// allocate on its way.
func (f *file) prepare(size int64, direct bool) error {
	if !direct {
		// Records are read in random order: read-ahead would only fill the
		// page cache. A kernel that ignores the advice is no error.
		_ = unix.Fadvise(f.fd, 0, 0, unix.FADV_RANDOM)
	}
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	if st.Size >= size {
		return nil
	}
	err := retry(func() error { return unix.Fallocate(f.fd, 0, 0, size) })
	if err == unix.EOPNOTSUPP || err == unix.ENOSYS {
		err = retry(func() error { return unix.Ftruncate(f.fd, size) })
	}
	if err != nil {
		return fmt.Errorf("allocate %d bytes: %w", size, err)
	}
	return nil
}

func syncDir(dir string) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Fsync(fd); err != nil && err != unix.EINVAL {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// retry repeats a call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func (f *file) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: f.path, Err: err}
}

func (f *file) Path() string { return f.path }

// Sync writes data and what of the metadata is needed to read it back.
func (f *file) Sync() error {
	return f.wrap("sync", retry(func() error { return unix.Fdatasync(f.fd) }))
}

func (f *file) Truncate(size int64) error {
	return f.wrap("truncate", retry(func() error { return unix.Ftruncate(f.fd, size) }))
}

func (f *file) Close() error {
	n := f.users.Add(closedFile)
	if n != closedFile {
		panic(fmt.Sprintf("ioq: Close of %s, closed or with operations in flight (%#x)", f.path, n))
	}
	return f.wrap("close", unix.Close(f.fd))
}
