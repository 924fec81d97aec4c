package pageinspect

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hearthcache/hearth/flashtier"
)

// Page is a page as its file and the catalog have it.
type Page struct {
	ID   flashtier.PageID
	Name string // of the file, in the Dir
	Row  *flashtier.CatalogPage

	dir  *Dir
	path string
}

// Condition says what a page is.
type Condition string

// The conditions. Without a catalog a page with a header is sealed or open.
const (
	Sealed    Condition = "sealed"    // full, and its records exist
	Unsealed  Condition = "open"      // has no trailer, and its records exist
	Free      Condition = "free"      // what is in it does not exist any more
	Unwritten Condition = "unwritten" // has never had a header
	Missing   Condition = "missing"   // the catalog has it, but there is no file
	Broken    Condition = "broken"    // its records should exist, but the header cannot be read
)

// Head is what is known of a page before its records are looked at.
type Head struct {
	Condition  Condition
	Header     flashtier.PageHeader
	HeaderErr  error
	Trailer    flashtier.Trailer
	TrailerErr error // nil also where a page has none to have
	FileSize   int64 // bytes
	Modified   time.Time
	// Walk is how its records can be found. Its size is 0 if they cannot.
	Walk flashtier.PageFile
}

func newPage(d *Dir, id flashtier.PageID) *Page {
	name := filepath.Join(pagesName, flashtier.PageFileName(id))
	return &Page{ID: id, Name: name, dir: d, path: filepath.Join(d.Path, name)}
}

// live tells whether the catalog says that p's records exist.
func (p *Page) live() bool { return p.Row != nil && p.Row.Live }

// size is the bytes of p's file.
func (p *Page) size() int64 {
	info, err := os.Stat(p.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// open opens p's file and looks at its ends. The file is nil if there is none.
func (p *Page) open() (*os.File, *Head, error) {
	f, err := os.Open(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Head{Condition: Missing, HeaderErr: err}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	h := &Head{FileSize: info.Size(), Modified: info.ModTime()}
	h.Header, h.HeaderErr = flashtier.ReadHeader(f)
	if errors.Is(h.HeaderErr, flashtier.ErrFormat) {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", p.Name, h.HeaderErr), f.Close())
	}
	p.plan(h)
	if h.Walk.Size > 0 {
		h.Trailer, h.TrailerErr = flashtier.ReadTrailer(f, h.Walk.Size)
		p.useTrailer(f, h)
	}
	h.Condition = p.condition(h)
	return f, h, nil
}

// plan sets how p's records can be found: by its header, else by what the catalog
// says.
func (p *Page) plan(h *Head) {
	switch {
	case h.HeaderErr == nil:
		h.Walk = flashtier.PageFile{ID: h.Header.ID, Format: h.Header.Format, Version: h.Header.Version, Size: h.Header.Size}
	case p.live():
		h.Walk = flashtier.PageFile{ID: p.ID, Format: p.Row.Format, Version: p.Row.Version, Size: p.dir.Catalog.Meta.PageSize}
	}
}

// useTrailer takes the extents of a trailer that is the page's, else those that
// the catalog names.
func (p *Page) useTrailer(f *os.File, h *Head) {
	switch {
	case h.TrailerErr == nil && h.Trailer.ID == h.Walk.ID && h.Trailer.Version == h.Walk.Version:
		h.Walk.Extents = h.Trailer.Extents
		return
	case h.TrailerErr == nil && h.Trailer.Version < h.Walk.Version || zeroes(f, h.Walk.Size):
		h.Trailer, h.TrailerErr = flashtier.Trailer{}, nil // an older life's, or none
	case h.TrailerErr == nil:
		h.TrailerErr = fmt.Errorf("it is of page %d version %d, the header says page %d version %d",
			h.Trailer.ID, h.Trailer.Version, h.Walk.ID, h.Walk.Version)
	}
	if p.live() && p.Row.Version == h.Walk.Version {
		for _, e := range p.Row.Extents {
			h.Walk.Extents = append(h.Walk.Extents, e.Extent)
		}
	}
}

// zeroes tells whether a page has never had a trailer.
func zeroes(f *os.File, pageSize int64) bool {
	b := make([]byte, pageSize-flashtier.TrailerOffset(pageSize))
	n, _ := f.ReadAt(b, flashtier.TrailerOffset(pageSize))
	for _, c := range b[:n] {
		if c != 0 {
			return false
		}
	}
	return n == len(b)
}

func (p *Page) condition(h *Head) Condition {
	sealed := h.Trailer.Version != 0 && h.TrailerErr == nil
	switch {
	case p.live() && h.HeaderErr != nil:
		return Broken
	case p.dir.Catalog != nil && !p.live() && h.HeaderErr == nil:
		return Free
	case h.HeaderErr != nil:
		return Unwritten
	case sealed:
		return Sealed
	}
	return Unsealed
}
