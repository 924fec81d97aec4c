package flashtier

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Pages that cannot be trusted, because nothing says what of them had died, are
// set aside: moved to DIR/aside. They are removed one by one as new page files
// take their room, or come back when the tier is told to accept stale values.

func asideDir(dir string) string { return filepath.Join(dir, "aside") }

// listAside finds the page files that lie aside, from this accident or earlier
// ones.
func (t *Tier) listAside() error {
	dir := asideDir(t.opt.Dir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("flashtier: list %s: %w", dir, err)
	}
	t.aside = t.aside[:0]
	for _, e := range entries {
		if filepath.Ext(e.Name()) == filepath.Ext(pageName) {
			t.aside = append(t.aside, filepath.Join(dir, e.Name()))
		}
	}
	return nil
}

// setAside moves page files, catalog and journal out of the way.
func (t *Tier) setAside(files []pageFile) error {
	dir := asideDir(t.opt.Dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("flashtier: set aside: %w", err)
	}
	for _, f := range files {
		if err := os.Rename(f.path, unusedName(filepath.Join(dir, filepath.Base(f.path)), os.Lstat)); err != nil {
			return fmt.Errorf("flashtier: set aside: %w", err)
		}
	}
	if err := t.setCatalogAside(); err != nil {
		return err
	}
	return errors.Join(syncDir(dir), syncDir(pagesDir(t.opt.Dir)))
}

// setCatalogAside moves catalog and journal out of the way.
func (t *Tier) setCatalogAside() error {
	dir := asideDir(t.opt.Dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("flashtier: set aside: %w", err)
	}
	err := os.Rename(journalPath(t.opt.Dir), unusedName(filepath.Join(dir, "journal"), os.Lstat))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("flashtier: set aside: %w", err)
	}
	if err := t.opt.FS.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("flashtier: set aside: %w", err)
	}
	name := unusedName(filepath.Join(dir, "catalog"), t.opt.FS.Stat)
	err = t.opt.FS.Rename(catalogDir(t.opt.Dir), name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("flashtier: set aside: %w", err)
	}
	return nil
}

// unusedName is path, or with a number if there is such a file.
func unusedName[T any](path string, stat func(string) (T, error)) string {
	ext := filepath.Ext(path)
	for n, name := 2, path; ; n++ {
		if _, err := stat(name); errors.Is(err, fs.ErrNotExist) {
			return name
		}
		name = fmt.Sprintf("%s-%d%s", path[:len(path)-len(ext)], n, ext)
	}
}

// makeRoom removes a page file that lies aside if, with the one that is about to
// be made, there would be more files than the tier has pages.
func (t *Tier) makeRoom() {
	t.makingRoom.Lock()
	defer t.makingRoom.Unlock()
	if len(t.aside) == 0 {
		return
	}
	files, err := os.ReadDir(pagesDir(t.opt.Dir))
	if err != nil || len(files)+len(t.aside) < len(t.pages) {
		return
	}
	path := t.aside[0]
	t.aside = slices.Delete(t.aside, 0, 1)
	if err := t.queue.Remove(path); err != nil {
		t.complain("remove page set aside", "err", err)
	}
}
