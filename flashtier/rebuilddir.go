package flashtier

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/hearthcache/hearth/ioq"
)

// RebuildCatalog makes a catalog for the pages in dir, those that lie aside
// included, as Open with AcceptStale does for a server: of each key the newest
// record counts, so values may return that had been deleted or overwritten. What
// can be used of an old catalog is used; one that cannot is moved to DIR/aside, and
// so is the journal. Page files are read, and those aside are moved back, but none
// is written to or removed. hash is that of the cache. The next Open is a clean
// start.
func RebuildCatalog(dir string, hash func(key []byte, seed uint64) uint64) (r Recovery, err error) {
	o, err := rebuildOptions(dir)
	if err != nil {
		return r, err
	}
	if o.Queue, err = ioq.New(ioq.Options{Engine: "pread", Dir: dir}); err != nil {
		return r, fmt.Errorf("flashtier: rebuild: %w", err)
	}
	var t *Tier
	o.Hash = func(key []byte) uint64 { return hash(key, t.Seed()) }
	if t, err = Open(o); err != nil {
		return r, errors.Join(err, o.Queue.Close())
	}
	r, err = t.Recover(runtime.GOMAXPROCS(0), func([]Entry) {})
	if err == nil {
		err = t.MarkClean()
	}
	return r, errors.Join(err, t.Close(), o.Queue.Close())
}

// rebuildOptions are such that all pages in dir have their place.
func rebuildOptions(dir string) (Options, error) {
	o := Options{Dir: dir, AcceptStale: true}
	files, err := filepath.Glob(filepath.Join(pagesDir(dir), "*.page"))
	if err != nil {
		return o, err
	}
	aside, err := filepath.Glob(filepath.Join(asideDir(dir), "*.page"))
	if err != nil {
		return o, err
	}
	pages := int64(minPages)
	for _, path := range append(files, aside...) {
		h, err := headerOfFile(path)
		if err == nil && o.PageSize == 0 {
			o.PageSize = int(h.Size)
		}
		if err == nil {
			pages = max(pages, int64(h.ID)+1)
		}
		if id, ok := PageOfFileName(filepath.Base(path)); ok {
			pages = max(pages, int64(id)+1)
		}
	}
	if o.PageSize == 0 {
		return o, fmt.Errorf("flashtier: rebuild: no page in %s has a header that can be read", dir)
	}
	o.Size = pages * int64(o.PageSize)
	return o, clearWay(dir, aside)
}

func headerOfFile(path string) (PageHeader, error) {
	f, err := os.Open(path)
	if err != nil {
		return PageHeader{}, err
	}
	defer f.Close() // only read from
	return ReadHeader(f)
}

// clearWay moves page files without a sound header aside if one that lies there is
// to take their place, and would replace them.
func clearWay(dir string, aside []string) error {
	for _, path := range aside {
		h, err := headerOfFile(path)
		if err != nil {
			continue
		}
		place := PagePath(dir, h.ID)
		if _, err := headerOfFile(place); err == nil || errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err := os.Rename(place, unusedName(filepath.Join(asideDir(dir), filepath.Base(place)), os.Lstat)); err != nil {
			return fmt.Errorf("flashtier: set aside: %w", err)
		}
	}
	return nil
}
