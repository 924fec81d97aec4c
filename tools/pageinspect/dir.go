package pageinspect

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/hearthcache/hearth/flashtier"
)

var (
	// ErrNotHearth is returned for a path that is no directory of a flash tier.
	ErrNotHearth = errors.New("not a Hearth directory")
	// ErrNoCatalog is returned for what cannot be done without a catalog.
	ErrNoCatalog = errors.New("there is no catalog to tell dead from alive")
	// ErrNoPage is returned for a page that the directory does not have.
	ErrNoPage = errors.New("no such page")
	// ErrNoKey is returned for a key that no page has.
	ErrNoKey = errors.New("no such key")
)

// Dir is a directory of a flash tier, open for looking. Its methods change
// nothing in it.
type Dir struct {
	Path    string
	Running bool // a server has it
	Now     uint32
	Pages   []*Page // by id
	Aside   []string

	// Catalog is nil if there is none that can be read; CatalogErr says why.
	Catalog    *flashtier.CatalogReader
	CatalogErr error
	// Journal is nil if there is none that can be read; JournalErr says why.
	Journal    *flashtier.JournalReader
	JournalErr error

	later      map[life][]flashtier.RecordChange // of the journal
	generation uint32                            // flushes so far
	badEntries []flashtier.JournalEntry
	damage     string // of the journal
}

// life is a page between two reuses.
type life struct {
	page    flashtier.PageID
	version uint32
}

// Open looks at what is in the directory at path. Catalog and journal may be
// absent or broken; page files are opened later. The error is ErrNotHearth,
// wraps flashtier.ErrFormat for what a newer version has written, or says why
// the directory cannot be read.
func Open(path string) (*Dir, error) {
	d := &Dir{Path: path, Now: uint32(time.Now().Unix())}
	if err := d.list(); err != nil {
		return nil, err
	}
	var err error
	if d.Running, err = flashtier.InUse(path); err != nil {
		return nil, fmt.Errorf("look at the lock: %w", err)
	}
	if d.Catalog, d.CatalogErr = flashtier.OpenCatalog(path); d.CatalogErr == nil {
		d.generation = d.Catalog.Meta.Generation
	}
	if d.Journal, d.JournalErr = flashtier.OpenJournal(path); d.JournalErr == nil {
		d.readJournal()
	}
	for _, err := range []error{d.CatalogErr, d.JournalErr} {
		if errors.Is(err, flashtier.ErrFormat) || errors.Is(err, fs.ErrPermission) {
			return nil, errors.Join(fmt.Errorf("%s: %w", path, err), d.Close())
		}
	}
	d.matchRows()
	return d, nil
}

// list finds the page files.
func (d *Dir) list() error {
	info, err := os.Stat(d.Path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: %s is a file", ErrNotHearth, d.Path)
	}
	entries, err := os.ReadDir(filepath.Join(d.Path, pagesName))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s has no directory %s in it", ErrNotHearth, d.Path, pagesName)
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if id, ok := flashtier.PageOfFileName(e.Name()); ok {
			d.Pages = append(d.Pages, newPage(d, id))
		}
	}
	aside, err := filepath.Glob(filepath.Join(d.Path, "aside", "*.page"))
	d.Aside = aside
	return err
}

// pagesName is where in a Dir the page files are.
const pagesName = "pages"

// readJournal sorts what the catalog does not have yet by the life of a page that
// it is about.
func (d *Dir) readJournal() {
	d.later = map[life][]flashtier.RecordChange{}
	if d.Catalog == nil || d.Journal.Identity != d.Catalog.Meta.Identity {
		return // nothing says where to begin, or it is about other pages
	}
	d.damage = d.Journal.Each(d.Catalog.Meta.Position, func(e flashtier.JournalEntry) {
		switch {
		case e.Err != nil:
			d.badEntries = append(d.badEntries, e)
		case e.Flush:
			d.generation = max(d.generation, e.Version)
		default:
			of := life{e.Page, e.Version}
			d.later[of] = append(d.later[of], e.Change)
		}
	})
}

// matchRows gives each page what the catalog says of it, and adds those that have
// no file.
func (d *Dir) matchRows() {
	if d.Catalog == nil {
		return
	}
	byID := map[flashtier.PageID]*Page{}
	for _, p := range d.Pages {
		byID[p.ID] = p
	}
	for i := range d.Catalog.Pages {
		row := &d.Catalog.Pages[i]
		p := byID[row.ID]
		if p == nil && row.Live {
			p = newPage(d, row.ID)
			d.Pages = append(d.Pages, p)
		}
		if p != nil {
			p.Row = row
		}
	}
	slices.SortFunc(d.Pages, func(a, b *Page) int { return int(a.ID) - int(b.ID) })
}

// Page is the page with the number, or ErrNoPage.
func (d *Dir) Page(number string) (*Page, error) {
	for _, p := range d.Pages {
		if strconv.FormatUint(uint64(p.ID), 10) == number {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%w: %q in %s", ErrNoPage, number, d.Path)
}

// Seed is the seed of the hash of keys; ok is false if nothing tells it.
func (d *Dir) Seed() (seed uint64, ok bool) {
	switch {
	case d.Catalog != nil:
		return d.Catalog.Meta.Seed, true
	case d.Journal != nil:
		return d.Journal.Seed, true
	}
	return 0, false
}

// Warnings says what whoever looks at d must know, a line each.
func (d *Dir) Warnings() (lines []string) {
	if d.Running {
		lines = append(lines, "a server is using the directory: pages change while they are read, and what is only in its memory is not seen")
	}
	if d.Catalog == nil {
		lines = append(lines, fmt.Sprintf("without the catalog (%v): which records are dead and which alive is unknown", reason(d.CatalogErr)))
		return lines
	}
	if d.Catalog.Meta.Rebuilding {
		lines = append(lines, "a rebuild of the catalog was cut short: the next start begins it anew, or starts cold")
	}
	if d.Journal == nil && !d.Catalog.Meta.Clean {
		lines = append(lines, fmt.Sprintf("without the journal (%v): records may be shown as alive that had died", reason(d.JournalErr)))
	}
	return lines
}

// reason is err without the name of the package it comes from.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return trimName(err.Error())
}

// Close lets d go.
func (d *Dir) Close() error {
	var errs []error
	if d.Catalog != nil {
		errs = append(errs, d.Catalog.Close())
	}
	if d.Journal != nil {
		errs = append(errs, d.Journal.Close())
	}
	return errors.Join(errs...)
}
