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

// lockDir creates dir with what belongs in it, if need be, and takes its lock.
// The lock is the kernel's and goes with the file: it cannot outlive a crash.
func lockDir(dir string) (*os.File, error) {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%w: %s", ErrNotDir, dir)
	}
	if err := os.MkdirAll(pagesDir(dir), 0o700); err != nil {
		return nil, fmt.Errorf("flashtier: create %s: %w", dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
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

// adoptFiles looks at the page files of an earlier run. It remembers their
// versions, so that a page's version never comes twice, refuses files of a newer
// format before it changes any, and removes those the tier has no room for.
func (t *Tier) adoptFiles() error {
	dir := pagesDir(t.opt.Dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("flashtier: list %s: %w", dir, err)
	}
	var surplus []string
	var taken int64
	for _, e := range entries {
		var id PageID
		if n, _ := fmt.Sscanf(e.Name(), pageName, &id); n != 1 || e.Name() != fmt.Sprintf(pageName, id) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		version, err := t.versionOf(path)
		if err != nil {
			return err
		}
		taken += allocated(path)
		if int64(id) >= int64(len(t.pages)) {
			surplus = append(surplus, path)
			continue
		}
		t.pages[id].version.Store(version)
	}
	if err := t.checkRoom(dir, taken); err != nil {
		return err
	}
	for _, path := range surplus {
		if err := t.queue.Remove(path); err != nil {
			return fmt.Errorf("flashtier: remove surplus page: %w", err)
		}
	}
	return nil
}

// versionOf reads the page version of the file at path; 0 if its header does not
// say. Only a newer format and a failure to open are errors.
func (t *Tier) versionOf(path string) (uint32, error) {
	f, err := t.queue.Open(path, 0)
	if err != nil {
		return 0, fmt.Errorf("flashtier: open page: %w", err)
	}
	defer f.Close() // only read from
	mem := alignedBlocks(blockSize)
	op := ioq.Op{File: f, Kind: ioq.Read, Buf: mem}
	op.SubmitTo(t.queue)
	op.Wait()
	h, err := DecodeHeader(mem)
	if op.Err == nil && errors.Is(err, ErrFormat) {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	if op.Err != nil || err != nil {
		return 0, nil
	}
	return h.Version, nil
}

// allocated is the bytes that the file system has given to the file at path.
func allocated(path string) int64 {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return 0
	}
	return st.Blocks * 512
}

// checkRoom verifies that the file system could take all pages, given that it
// has given us taken bytes already. Page files are sparse, so nothing else would
// notice before the pages fill.
func (t *Tier) checkRoom(dir string, taken int64) error {
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
