package flashtier

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/hearthcache/hearth/ioq"
)

// pageName is a page file's name in the directory of pages.
const pageName = "%08d.page"

func pagesDir(dir string) string { return filepath.Join(dir, "pages") }

func lockPath(dir string) string { return filepath.Join(dir, "lock") }

// lockDir creates dir with what belongs in it, if need be, and takes its lock.
// The lock is the kernel's and goes with the file: it cannot outlive a crash.
func lockDir(dir string) (*os.File, error) {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%w: %s", ErrNotDir, dir)
	}
	if err := os.MkdirAll(pagesDir(dir), 0o700); err != nil {
		return nil, fmt.Errorf("flashtier: create %s: %w", dir, err)
	}
	f, err := os.OpenFile(lockPath(dir), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("flashtier: lock %s: %w", dir, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrLocked, dir)
		}
		return nil, fmt.Errorf("flashtier: lock %s: %w", dir, err)
	}
	return f, nil
}

// pageFile is a page file of an earlier run.
type pageFile struct {
	id      PageID
	path    string
	version uint32 // of the page, as its header has it; 0 if that is no help
	format  uint32 // likewise
	size    int64  // of the page, likewise
	short   bool   // it has not even a header
}

// listPages looks at the page files of an earlier run, and refuses those of a
// newer format.
func (t *Tier) listPages() ([]pageFile, error) {
	dir := pagesDir(t.opt.Dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("flashtier: list %s: %w", dir, err)
	}
	var files []pageFile
	for _, e := range entries {
		id, ok := PageOfFileName(e.Name())
		if !ok {
			continue
		}
		f, err := t.lookAtPage(id)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// PageFileName is the name of page id's file in the directory of pages.
func PageFileName(id PageID) string { return fmt.Sprintf(pageName, id) }

// PagePath is the file of page id of the tier in dir.
func PagePath(dir string, id PageID) string { return filepath.Join(pagesDir(dir), PageFileName(id)) }

// PageOfFileName is the page whose file has the name.
func PageOfFileName(name string) (id PageID, ok bool) {
	n, _ := fmt.Sscanf(name, pageName, &id)
	return id, n == 1 && name == PageFileName(id)
}

// PageSizeOf is the size of the pages in dir, in bytes, as the first of them says
// whose header is whole, or 0.
func PageSizeOf(dir string) int64 {
	pages := pagesDir(dir)
	entries, err := os.ReadDir(pages)
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if _, ok := PageOfFileName(e.Name()); !ok {
			continue
		}
		if size := pageSizeOf(filepath.Join(pages, e.Name())); size > 0 {
			return size
		}
	}
	return 0
}

func pageSizeOf(path string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	h, err := ReadHeader(f)
	if err != nil {
		return 0
	}
	return h.Size
}

// lookAtPage is lookAtFile for the file of page id, or one that claims to be.
func (t *Tier) lookAtPage(id PageID) (pageFile, error) {
	p, err := t.lookAtFile(t.path(id))
	if p.id != id {
		p.id, p.version = id, 0
	}
	return p, err
}

// lookAtFile reads the header of a page file. Only a newer format and a failure
// to open are errors.
func (t *Tier) lookAtFile(path string) (pageFile, error) {
	p := pageFile{path: path}
	f, err := t.queue.Open(p.path, 0)
	if err != nil {
		return p, fmt.Errorf("flashtier: open page: %w", err)
	}
	defer f.Close() // only read from
	mem := alignedBlocks(blockSize)
	op := ioq.Op{File: f, Kind: ioq.Read, Buf: mem}
	op.SubmitTo(t.queue)
	op.Wait()
	h, err := DecodeHeader(mem)
	switch {
	case op.Err != nil:
		p.short = errors.Is(op.Err, ioq.ErrShort)
	case errors.Is(err, ErrFormat):
		return p, fmt.Errorf("%s: %w", p.path, err)
	case err == nil:
		p.id, p.version, p.format, p.size = h.ID, h.Version, h.Format, h.Size
	}
	return p, nil
}

// removeSurplus removes the files of pages that the tier has no room for; none
// of them is in use.
func (t *Tier) removeSurplus(files *[]pageFile) error {
	for _, f := range *files {
		if int64(f.id) < int64(len(t.pages)) {
			continue
		}
		if err := t.queue.Remove(f.path); err != nil {
			return fmt.Errorf("flashtier: remove surplus page: %w", err)
		}
	}
	return nil
}

// allocated is the bytes that the file system has given to the file at path.
func allocated(path string) int64 {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return 0
	}
	return st.Blocks * 512
}

// catalogRoom is what a file system must have left for a catalog to be opened.
const catalogRoom = 8 << 20

// checkCatalogRoom refuses a full disk before pebble tries to write to it.
func (t *Tier) checkCatalogRoom() error {
	var fs unix.Statfs_t
	if err := unix.Statfs(t.opt.Dir, &fs); err != nil {
		return fmt.Errorf("flashtier: room of %s: %w", t.opt.Dir, err)
	}
	if have := int64(fs.Bavail) * fs.Bsize; have < catalogRoom {
		return fmt.Errorf("%w: %s: the catalog needs %d MiB, %d MiB available", ErrNoRoom, t.opt.Dir, catalogRoom>>20, have>>20)
	}
	return nil
}

// checkRoom verifies that the file system could take all pages, given what it
// has given already to those of earlier runs, and to those set aside. Page files
// are sparse, so nothing else would notice before the pages fill.
func (t *Tier) checkRoom(files *[]pageFile) error {
	dir, taken := pagesDir(t.opt.Dir), int64(0)
	for _, f := range *files {
		taken += allocated(f.path)
	}
	for _, path := range t.aside {
		taken += allocated(path)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("flashtier: room of %s: %w", dir, err)
	}
	have := int64(fs.Bavail)*fs.Bsize + taken
	if want := int64(len(t.pages)) * t.pageSize; want > have {
		return fmt.Errorf("%w: %s: %d MiB wanted, %d MiB available", ErrNoRoom, t.opt.Dir, want>>20, have>>20)
	}
	return nil
}
