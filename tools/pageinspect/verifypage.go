package pageinspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/hearthcache/hearth/flashtier"
)

// check is the verification of one page.
type check struct {
	v      *verifier
	p      *Page
	s      *scanner
	seed   uint64
	hashes bool // those of index frames and catalog can be checked
	// Of the present extent.
	seen    []flashtier.PartEntry // what its index frame should say
	entries []flashtier.PartEntry // and what it says
	holes   bool                  // there is something bad in it

	unlike      int // records that the catalog names otherwise
	firstUnlike string
	Report      // of this page
}

// page checks one page. Faults of a page that changed meanwhile are none, if a
// server is running.
func (v *verifier) page(ctx context.Context, s *scanner, p *Page) error {
	f, head, err := p.open()
	if err != nil {
		v.fault(p.Name, -1, "%v", err)
		return nil
	}
	c := &check{v: v, p: p, s: s}
	s.head = head
	c.seed, c.hashes = v.dir.Seed()
	c.hashes = c.hashes && !(p.Row != nil && p.Row.Rehash)
	c.ends()
	if f != nil {
		defer f.Close() // only read from
		err = s.parts(p, f, func(f *Found) error {
			c.part(f)
			return ctx.Err()
		})
		c.strays()
		if v.dir.Running && len(c.Faults) > 0 && changed(f, head) {
			v.note("%s was written to meanwhile and could not be checked", p.Name)
			return err
		}
	}
	v.add(c)
	return err
}

// changed tells whether a page was written to since it was opened.
func changed(f *os.File, h *Head) bool {
	info, err := f.Stat()
	return err != nil || !info.ModTime().Equal(h.Modified)
}

func (v *verifier) add(c *check) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if h := c.s.head; h.Walk.Size > 0 && h.Condition != Free {
		v.PagesChecked++
		v.BytesChecked += c.BytesChecked
	}
	v.Faults = append(v.Faults, c.Faults...)
	v.Records += c.Records
	v.Indexes += c.Indexes
	v.Live += c.Live
	v.Named += c.Named
}

func (c *check) fault(offset int64, format string, args ...any) {
	c.Faults = append(c.Faults, Fault{c.p.Name, offset, trimName(fmt.Sprintf(format, args...))})
}

// catalogFault notes that the catalog is wrong about p.
func (c *check) catalogFault(format string, args ...any) {
	what := fmt.Sprintf("page %d version %d: ", c.p.ID, c.p.Row.Version) + fmt.Sprintf(format, args...)
	c.Faults = append(c.Faults, Fault{"catalog", -1, trimName(what)})
}

// ends checks header, trailer, and what they share with the catalog.
func (c *check) ends() {
	h, p := c.s.head, c.p
	live := p.live()
	switch {
	case h.Condition == Missing:
		c.fault(-1, "the file is missing; the catalog names %d records in it", p.records())
		return
	case h.HeaderErr != nil && (live || !errors.Is(h.HeaderErr, flashtier.ErrTorn) && !blank(p)):
		c.fault(0, "page header: %v", h.HeaderErr)
	case h.HeaderErr == nil && h.Header.ID != p.ID:
		c.fault(16, "the header is of page %d, the file's name is of page %d", h.Header.ID, p.ID)
	}
	if h.HeaderErr == nil && live && h.Header.ID == p.ID && h.Header.Version != p.Row.Version {
		c.fault(20, "the header has page version %d, the catalog has %d", h.Header.Version, p.Row.Version)
	}
	if want := p.dir.pageSize(); h.HeaderErr == nil && want != 0 && h.Header.Size != want {
		c.fault(24, "the header has a page size of %d, the catalog has %d", h.Header.Size, want)
	}
	if h.Walk.Size > 0 && h.FileSize != h.Walk.Size {
		c.fault(h.FileSize, "the file has %d bytes, a page has %d", h.FileSize, h.Walk.Size)
	}
	if h.HeaderErr == nil {
		c.BytesChecked += flashtier.HeaderSize
	}
	if h.TrailerErr == nil && h.Walk.Size > 0 {
		c.BytesChecked += h.Walk.Size - flashtier.TrailerOffset(h.Walk.Size)
	}
	if h.TrailerErr != nil && h.Condition != Free && h.FileSize >= h.Walk.Size {
		c.fault(flashtier.TrailerOffset(h.Walk.Size), "page trailer: %v", h.TrailerErr)
	}
}

// pageSize is that of the catalog, or 0.
func (d *Dir) pageSize() int64 {
	if d.Catalog == nil {
		return 0
	}
	return d.Catalog.Meta.PageSize
}

// records is how many records the catalog names in p.
func (p *Page) records() (n int64) {
	for _, e := range p.Row.Extents {
		n += int64(e.Named)
	}
	return n
}

// blank tells whether p begins with zeroes, as before its first write.
func blank(p *Page) bool {
	f, err := os.Open(p.path)
	if err != nil {
		return false
	}
	defer f.Close() // only read from
	b := make([]byte, 4096)
	n, _ := f.ReadAt(b, 0)
	return !slices.ContainsFunc(b[:n], func(c byte) bool { return c != 0 })
}

// part checks one part.
func (c *check) part(f *Found) {
	if f.Kind != flashtier.PartBad {
		c.BytesChecked += max(0, min(f.Size, c.s.head.FileSize-f.Offset))
	}
	switch f.Kind {
	case flashtier.PartRecord:
		c.record(f)
	case flashtier.PartIndex:
		c.Indexes++
		c.index(f)
		c.seen, c.holes = c.seen[:0], false
	case flashtier.PartBad:
		c.bad(f)
	}
}

func (c *check) record(f *Found) {
	c.Records++
	if f.State == Live {
		c.Live++
	}
	var hash uint64
	if c.hashes {
		hash = hashOf(f.Record.Key, c.seed)
	}
	c.seen = append(c.seen, flashtier.PartEntry{Offset: f.Offset, Size: f.Size, Hash: hash})
	if f.Named == nil {
		return
	}
	c.Named++
	says := flashtier.PartEntry{Offset: f.Offset, Size: f.Size, Hash: f.Named.Hash}
	if want := flashtier.ClassSize(flashtier.ClassFor(int(f.Size))); f.Named.Most != want {
		says.Size = int64(f.Named.Most)
	}
	if !c.hashes {
		says.Hash = 0
	}
	if what := differ(says, c.seen[len(c.seen)-1]); what != "" {
		c.firstUnlike = cmp.Or(c.firstUnlike, what)
		c.unlike++
	}
}

// bad tells of a place without a sound record. A page whose extents nobody lists
// ends somewhere, and a kill may have cut it short there.
func (c *check) bad(f *Found) {
	what := "record"
	switch {
	case len(f.Record.Key) > 0:
		what = "record of " + ShowKey(f.Record.Key, false)
	case c.isIndex(f.Offset):
		what = "index frame"
		c.seen, c.holes = c.seen[:0], false
	}
	if c.s.head.Walk.Extents == nil {
		c.v.note("%s at %d: %s: %v (the page is not sealed: a kill may have cut it short there)", c.p.Name, f.Offset, what, f.Err)
		return
	}
	c.holes = c.holes || what != "index frame"
	lost := ""
	if n := c.s.judge.lose(f); n > 0 {
		lost = fmt.Sprintf(" (%d records that the catalog names are lost in these %d bytes)", n, f.Size)
	}
	c.fault(f.Offset, "%s: %v%s", what, f.Err, lost)
}

func (c *check) isIndex(off int64) bool {
	return slices.ContainsFunc(c.s.head.Walk.Extents, func(e flashtier.Extent) bool { return int64(e.Index) == off })
}

// index checks that an index frame says what the records before it are.
func (c *check) index(f *Found) {
	c.entries = f.Entries(c.entries[:0])
	seen := c.seen
	wrong, first := 0, ""
	for n, e := range c.entries {
		for len(seen) > 0 && seen[0].Offset < e.Offset {
			seen = seen[1:]
		}
		if !c.hashes {
			e.Hash = 0
		}
		what := ""
		switch {
		case len(seen) > 0 && seen[0].Offset == e.Offset:
			what = differ(e, seen[0])
		case !c.holes:
			what = fmt.Sprintf("entry %d names a record at %d, where none begins", n, e.Offset)
		}
		if what != "" {
			first = cmp.Or(first, what)
			wrong++
		}
	}
	if !c.holes && wrong == 0 && len(c.entries) < len(c.seen) {
		wrong, first = 1, fmt.Sprintf("there are %d records", len(c.seen))
	}
	if wrong > 0 {
		c.fault(f.Offset, "index frame: %d of its %d entries are wrong: %s", wrong, len(c.entries), first)
	}
}

// differ says what is wrong in an entry of an index frame, if anything.
func differ(says, is flashtier.PartEntry) string {
	switch {
	case says.Size != is.Size:
		return fmt.Sprintf("the record at %d has %d bytes, not %d", is.Offset, is.Size, says.Size)
	case says.Hash != is.Hash:
		return fmt.Sprintf("the key of the record at %d has hash %016x, not %016x", is.Offset, is.Hash, says.Hash)
	}
	return ""
}

// strays tells of what the catalog says of places where no record is.
func (c *check) strays() {
	j := &c.s.judge
	if !j.known || c.s.head.Walk.Size == 0 {
		return
	}
	j.advance(c.s.head.Walk.Size)
	for _, err := range j.errs {
		c.catalogFault("%v", err)
	}
	if n := len(j.stray); n > 0 {
		c.catalogFault("it names %d records where none begins, the first at %d", n, j.stray[0])
	}
	j.strayed = slices.DeleteFunc(j.strayed, func(off int64) bool { return !c.inNamed(off) })
	if n := len(j.strayed); n > 0 {
		c.catalogFault("%d records are said to have died or been touched where none begins, the first at %d", n, j.strayed[0])
	}
	if c.unlike > 0 {
		c.catalogFault("%d records are not those it names: %s", c.unlike, c.firstUnlike)
	}
}

// inNamed tells whether off is in an extent that the catalog names: deaths of
// others may be on record although a power loss took the records.
func (c *check) inNamed(off int64) bool {
	return slices.ContainsFunc(c.p.Row.Extents, func(e flashtier.CatalogExtent) bool {
		return off >= int64(e.Start) && off < int64(e.Index)
	})
}
