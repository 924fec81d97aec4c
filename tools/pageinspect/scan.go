package pageinspect

import (
	"os"
	"syscall"

	"github.com/hearthcache/hearth/flashtier"
)

// State says whether a record exists for the cache.
type State uint8

// The states of a record.
const (
	Live    State = iota
	Expired       // its time has passed
	Flushed       // written before a flush
	Dead          // overwritten, deleted or evicted, or the catalog never named it
	Older         // of an older life of its page
	Unknown       // there is no catalog to tell
	states
)

// String is the state's name.
func (s State) String() string {
	return [...]string{"live", "expired", "flushed", "dead", "older", "unknown"}[s]
}

// Found is a part of a page, with what catalog and journal say of it.
type Found struct {
	*flashtier.Part
	Page    *Page
	State   State  // of a record
	Exptime uint32 // of a record, after touches: unix seconds, 0 never
	// Named is what the catalog says of a record; nil if it does not name it.
	Named *flashtier.CatalogRecord
}

// scanner goes through pages one after the other.
type scanner struct {
	walker flashtier.Walker
	older  bool // what older lives have left is found, too
	free   bool // and what is in pages that are free
	judge  judge
	head   *Head
}

// scan calls fn for each part of p. A page without a file or a header has none.
func (s *scanner) scan(p *Page, fn func(*Found) error) error {
	f, head, err := p.open()
	if s.head = head; err != nil || f == nil {
		return err
	}
	defer f.Close() // only read from
	return s.parts(p, f, fn)
}

// parts reads past the page cache where the file system can: that takes a quarter
// of the CPU, and the cache stays the server's.
func (s *scanner) parts(p *Page, f *os.File, fn func(*Found) error) error {
	s.judge.begin(p, s.head)
	if s.head.Walk.Size == 0 || s.head.Condition == Free && !s.free {
		return nil
	}
	plan := s.head.Walk
	plan.Older = s.older
	if direct, err := os.OpenFile(p.path, os.O_RDONLY|syscall.O_DIRECT, 0); err == nil {
		defer direct.Close() // only read from
		f = direct
	}
	return s.walker.Walk(f, plan, func(part *flashtier.Part) error {
		found := Found{Part: part, Page: p}
		if part.Kind == flashtier.PartRecord {
			s.judge.settle(&found, plan.Version)
		}
		return fn(&found)
	})
}

// judge says of a page's records, as they come in the order of the page, whether
// they are alive.
type judge struct {
	page    *Page
	known   bool                     // the catalog has p in the life that the file has
	changes []flashtier.RecordChange // those to come
	extents []flashtier.CatalogExtent
	gen     uint32
	names   []flashtier.CatalogRecord // of the present extent, those to come
	buffer  []flashtier.CatalogRecord

	stray   []int64 // where the catalog names a record, and none begins
	strayed []int64 // where a record is said to have died, likewise
	errs    []error // why the catalog could not tell what it should
}

func (j *judge) begin(p *Page, h *Head) {
	*j = judge{page: p, buffer: j.buffer}
	j.known = p.live() && p.Row.Version == h.Walk.Version && p.ID == h.Walk.ID
	if !j.known {
		return
	}
	j.extents = p.Row.Extents
	later := p.dir.later[life{p.ID, p.Row.Version}]
	var err error
	if j.changes, err = p.dir.Catalog.Changes(p.Row, later); err != nil {
		j.errs = append(j.errs, err)
	}
}

// settle sets what of f is not in the page.
func (j *judge) settle(f *Found, version uint32) {
	f.Exptime = f.Record.Exptime
	switch {
	case f.Version != version:
		f.State = Older
	case j.known:
		j.ask(f)
	case j.page.dir.Catalog != nil:
		f.State = Dead
	case j.page.dir.past(f.Exptime):
		f.State = Expired
	default:
		f.State = Unknown
	}
}

func (d *Dir) past(exptime uint32) bool { return exptime != 0 && exptime <= d.Now }

// ask asks the catalog.
func (j *judge) ask(f *Found) {
	f.State = Dead
	j.advance(f.Offset)
	if len(j.names) > 0 && j.names[0].Offset == f.Offset {
		f.Named = &j.names[0]
		f.Exptime = f.Named.Exptime
		j.names = j.names[1:]
	}
	dead := false
	if len(j.changes) > 0 && j.changes[0].Offset == f.Offset {
		if dead = j.changes[0].Dead; !dead {
			f.Exptime = j.changes[0].Exptime
		}
		j.changes = j.changes[1:]
	}
	switch {
	case f.Named == nil || dead:
		f.State = Dead
	case j.gen != j.page.dir.generation:
		f.State = Flushed
	case j.page.dir.past(f.Exptime):
		f.State = Expired
	default:
		f.State = Live
	}
}

// lose passes over a bad part, and gives how many records the catalog names
// there.
func (j *judge) lose(f *Found) (n int) {
	if !j.known {
		return 0
	}
	j.advance(f.Offset)
	for ; len(j.names) > 0 && j.names[0].Offset < f.Offset+f.Size; j.names = j.names[1:] {
		n++
	}
	for len(j.changes) > 0 && j.changes[0].Offset < f.Offset+f.Size {
		j.changes = j.changes[1:]
	}
	return n
}

// advance comes to off: what catalog and journal say of places before it that has
// not been asked for is stray.
func (j *judge) advance(off int64) {
	for {
		for len(j.names) > 0 && j.names[0].Offset < off {
			j.stray = append(j.stray, j.names[0].Offset)
			j.names = j.names[1:]
		}
		if len(j.extents) == 0 || off < int64(j.extents[0].Start) {
			break
		}
		j.enter()
	}
	for len(j.changes) > 0 && j.changes[0].Offset < off {
		j.strayed = append(j.strayed, j.changes[0].Offset)
		j.changes = j.changes[1:]
	}
}

// enter reads what the catalog says of the next extent.
func (j *judge) enter() {
	e := j.extents[0]
	j.extents = j.extents[1:]
	var err error
	j.buffer, j.gen, err = j.page.dir.Catalog.Records(j.page.Row, e, j.buffer[:0])
	if j.names = j.buffer; err != nil {
		j.errs = append(j.errs, err)
	}
}
