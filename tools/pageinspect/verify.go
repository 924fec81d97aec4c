package pageinspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/hearthcache/hearth/flashtier"
)

// Fault is something that is not as it should be.
type Fault struct {
	File   string `json:"file"`   // in the directory
	Offset int64  `json:"offset"` // in the file, bytes; -1 where there is none to tell
	What   string `json:"what"`   // what is wrong, and what was expected
}

// String is one line.
func (f Fault) String() string {
	if f.Offset < 0 {
		return fmt.Sprintf("%s: %s", f.File, f.What)
	}
	return fmt.Sprintf("%s at %d: %s", f.File, f.Offset, f.What)
}

// Report is what Verify has found.
type Report struct {
	Faults []Fault `json:"faults"`
	// Notes are no faults, but say what could not be checked and why.
	Notes []string `json:"notes"`

	Catalog      bool          `json:"catalog"` // there is one
	Pages        int           `json:"pages"`
	PagesChecked int           `json:"pages_checked"`
	Bytes        int64         `json:"bytes"`         // of page files
	BytesChecked int64         `json:"bytes_checked"` // the same; unwritten space counts as checked
	Records      int64         `json:"records"`       // sound
	Indexes      int64         `json:"indexes"`       // frames, sound
	Live         int64         `json:"live"`          // of the records
	Named        int64         `json:"named"`         // records that the catalog names, and that are there
	Entries      int           `json:"entries"`       // of the journal, sound
	Duration     time.Duration `json:"duration_ns"`
}

// verifier is the state of a Verify.
type verifier struct {
	dir *Dir
	mu  sync.Mutex
	Report
}

// Verify checks every checksum in d, and that pages, catalog and journal agree.
// What it finds is in the report; the error says that it could not go on.
func (d *Dir) Verify(ctx context.Context, progress Progress) (*Report, error) {
	begun := time.Now()
	v := &verifier{dir: d}
	v.Faults, v.Notes = []Fault{}, []string{} // not null in JSON
	v.Pages, v.Bytes = len(d.Pages), d.bytes()
	v.Catalog = d.Catalog != nil
	v.catalog()
	v.journal()
	v.hotList()
	err := d.each(ctx, progress, func(s *scanner, p *Page) error {
		return v.page(ctx, s, p)
	})
	v.notes()
	slices.SortFunc(v.Faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.What, b.What))
	})
	v.Duration = time.Since(begun)
	return &v.Report, err
}

// fault notes a fault; mu must not be held.
func (v *verifier) fault(file string, offset int64, format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.Faults = append(v.Faults, Fault{file, offset, trimName(fmt.Sprintf(format, args...))})
}

func (v *verifier) note(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.Notes = append(v.Notes, trimName(fmt.Sprintf(format, args...)))
}

// catalog checks what the catalog says by itself.
func (v *verifier) catalog() {
	d := v.dir
	if d.Catalog == nil {
		if !errors.Is(d.CatalogErr, flashtier.ErrNoCatalog) || len(d.Pages) > 0 {
			v.fault("catalog", -1, "%v", d.CatalogErr)
		}
		return
	}
	for _, err := range d.Catalog.Bad {
		v.fault("catalog", -1, "%v", err)
	}
	orphans, err := d.Catalog.Orphans()
	if err != nil {
		v.fault("catalog", -1, "%v", err)
	}
	if d.Catalog.Meta.Rebuilding {
		return // then there are many
	}
	for _, err := range orphans {
		v.fault("catalog", -1, "%v", err)
	}
}

// journal checks the journal and that it belongs to the catalog.
func (v *verifier) journal() {
	d := v.dir
	if d.Journal == nil {
		if d.Catalog != nil || !errors.Is(d.JournalErr, flashtier.ErrNoJournal) {
			v.fault("journal", -1, "%v", d.JournalErr)
		}
		return
	}
	if d.Journal.Lost {
		v.fault("journal", -1, "entries have been lost, because the catalog could not take them")
	}
	if d.Catalog == nil {
		v.note("journal: only its header was checked, for the catalog says where its entries begin")
		return
	}
	m := d.Catalog.Meta
	if d.Journal.Identity != m.Identity || d.Journal.Seed != m.Seed {
		v.fault("journal", 16, "it belongs to catalog %016x, this one is %016x", d.Journal.Identity, m.Identity)
		return
	}
	if d.Journal.Batches > m.Batches {
		v.fault("catalog", -1, "it has %d batches, the journal says that there were %d: the last are lost", m.Batches, d.Journal.Batches)
	}
	if d.damage == "" && !d.Running {
		v.Entries = d.entries()
		return // a kill leaves a few that are not whole: nobody was told of those changes
	}
	for _, e := range d.badEntries {
		v.fault("journal", e.Offset, "entry %d: %v", e.Number, e.Err)
	}
	if len(d.badEntries) == 0 && d.damage != "" {
		v.fault("journal", -1, "%s", d.damage)
	}
	v.Entries = d.entries()
}

// entries is how many of the journal are whole and not in the catalog.
func (d *Dir) entries() (n int) {
	for _, changes := range d.later {
		n += len(changes)
	}
	return n
}

func (v *verifier) hotList() {
	seed, ok := v.dir.Seed()
	if !ok {
		return
	}
	_, err := flashtier.CheckHotList(v.dir.Path, seed)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		v.fault("hot", -1, "%v (it is advice, and will be done without)", err)
	}
}

// notes says what was not checked.
func (v *verifier) notes() {
	for _, line := range v.dir.Warnings() {
		v.note("%s", line)
	}
	if n := len(v.dir.Aside); n > 0 {
		v.note("%s aside and not checked", plural(n, "page file"))
	}
}
