package flashtier

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// Mode says how a tier started.
type Mode string

// The modes.
const (
	ModeNew       Mode = "new"        // there was nothing
	ModeClean     Mode = "clean"      // after MarkClean
	ModeWarm      Mode = "warm"       // after a crash of the process
	ModePowerLoss Mode = "power loss" // after one of the machine; the last of the journal may be lost
	ModeCold      Mode = "cold"       // what there was cannot be trusted, and lies aside
	ModeStale     Mode = "stale"      // as AcceptStale asks
)

// past is what an earlier run has left.
type past struct {
	mode     Mode
	why      string // of a cold or stale start
	rebuild  bool   // pages are to be scanned, because no catalog names them
	known    bool   // there is a catalog
	meta     meta
	state    state
	rows     map[PageID]row
	badRows  int // rows that say what cannot be
	left     leftover
	boot     [16]byte // of the machine now
	asideNow int      // page files set aside at this start
	dropped  int      // pages in use whose file is another
}

// lookBack opens what an earlier run has left, decides what of it can be used,
// and makes the page table of that.
func (t *Tier) lookBack() error {
	files, err := t.listPages()
	if err != nil {
		return err
	}
	p := &t.past
	p.boot = t.bootID()
	if err := t.openPast(); err != nil {
		return err
	}
	if p.why != "" {
		if err := t.distrust(&files); err != nil {
			return err
		}
	}
	if err := errors.Join(t.listAside(), t.checkSizes()); err != nil {
		return err
	}
	if err := t.checkRoom(files); err != nil {
		return err
	}
	if err := t.removeSurplus(files); err != nil {
		return err
	}
	if err := t.adoptPages(files); err != nil {
		return err
	}
	return t.begin()
}

// openPast opens catalog and journal, and says in past.why if they cannot be
// trusted. Errors are what a user has to do something about.
func (t *Tier) openPast() (err error) {
	p := &t.past
	exists, err := t.catalogExists()
	if err == nil && exists {
		t.catalog, err = openCatalog(catalogDir(t.opt.Dir), t.opt.FS, t.opt.Logger)
	}
	if err == nil && exists {
		err = t.readCatalog()
	}
	if err != nil && !lost(err) {
		return fmt.Errorf("flashtier: %s: %w", t.opt.Dir, err)
	}
	var errJournal error
	if t.journal, errJournal = openJournal(journalPath(t.opt.Dir)); errJournal != nil && !lost(errJournal) {
		return fmt.Errorf("flashtier: %s: %w", t.opt.Dir, errJournal)
	}
	switch {
	case err != nil:
		p.why = oneLine(err)
	case p.known:
		t.trust(errJournal)
	default:
		p.mode = ModeNew
	}
	return nil
}

// lost tells whether err says that a file is absent or broken, and not that it
// could not be got at, or is of a newer version.
func lost(err error) bool {
	for _, keep := range []error{
		ErrFormat, syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE,
		syscall.ENFILE, syscall.ENOMEM, syscall.EIO, syscall.EAGAIN,
	} {
		if errors.Is(err, keep) {
			return false
		}
	}
	return true
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// catalogExists tells whether there is a catalog. What is not one is an error.
func (t *Tier) catalogExists() (bool, error) {
	dir := catalogDir(t.opt.Dir)
	if _, err := t.opt.FS.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	desc, err := pebble.Peek(dir, t.opt.FS)
	if err != nil {
		if strings.Contains(err.Error(), "unknown format major version") {
			err = fmt.Errorf("%w: %w", ErrFormat, err)
		}
		return false, fmt.Errorf("open catalog: %w", err)
	}
	return desc.Exists, nil
}

// readCatalog reads all but the blobs and the dead sets.
func (t *Tier) readCatalog() error {
	p := &t.past
	v, err := t.catalog.get([]byte(keyMeta))
	if v == nil || err != nil {
		return err // a catalog without it was never used
	}
	if p.meta, err = decodeMeta(v); err != nil {
		return err
	}
	if v, err = t.catalog.get([]byte(keyState)); err != nil {
		return err
	}
	if p.state, err = decodeState(v); err != nil {
		return err
	}
	p.rows = map[PageID]row{}
	err = t.catalog.each(keyRow, func(key, v []byte) error {
		id, _, ok := pageOfKey(key)
		r, err := decodeRow(key, v, int64(p.meta.pageSize))
		if errors.Is(err, ErrFormat) {
			return err
		}
		if err != nil || !ok {
			p.badRows++
			return nil
		}
		p.rows[id] = r
		return nil
	})
	p.known = err == nil
	return err
}

// trust decides whether a catalog that was read can be used, with the journal or
// without one.
func (t *Tier) trust(errJournal error) {
	p, j := &t.past, t.journal
	sameBoot := p.meta.boot == p.boot && p.boot != [16]byte{}
	p.mode = ModeWarm
	switch {
	case p.meta.clean:
		p.mode = ModeClean
	case !sameBoot:
		p.mode = ModePowerLoss
	}
	p.left.next = p.state.position
	switch {
	case errJournal != nil && p.meta.clean:
		return // all of it is in the catalog
	case errJournal != nil:
		p.why = oneLine(errJournal)
		return
	case j.identity() != p.meta.identity:
		p.why = "journal belongs to another catalog"
		return
	}
	p.left = j.scan(p.state.position)
	switch {
	case j.lost().Load() != 0:
		p.why = "journal has lost entries, because the catalog could not be written"
	case j.batches().Load() > p.state.batches:
		p.why = fmt.Sprintf("catalog has lost %d batches", j.batches().Load()-p.state.batches)
	case p.left.damage != "" && p.mode != ModePowerLoss:
		p.why = "journal is damaged: " + p.left.damage
	case p.mode == ModePowerLoss && t.opt.AfterPowerLoss == afterStrict:
		p.why = "power was lost"
	}
}

// distrust deals with what cannot be trusted: it is set aside, or used all the
// same where stale values are accepted.
func (t *Tier) distrust(files *[]pageFile) error {
	p := &t.past
	p.mode = ModeCold
	if t.opt.AcceptStale {
		p.mode = ModeStale
		if p.known {
			return nil
		}
	}
	seed, hasSeed := uint64(0), t.journal != nil
	if hasSeed { // that of the index frames in the pages
		seed = t.journal.seed()
	}
	if err := t.closeCatalog(); err != nil {
		return fmt.Errorf("flashtier: %s: %w", t.opt.Dir, err)
	}
	t.catalog, t.journal = nil, nil
	past := past{mode: p.mode, why: p.why, boot: p.boot}
	past.meta.incarnation = max(p.meta.incarnation, newest(*files))
	past.meta.seed = seed
	*p = past
	if t.opt.AcceptStale {
		p.rebuild = true
		return t.setCatalogAside()
	}
	p.asideNow = len(*files)
	if err := t.setAside(*files); err != nil {
		return err
	}
	*files = nil
	return nil
}

// newest is the highest page version in files.
func newest(files []pageFile) (version uint32) {
	for _, f := range files {
		version = max(version, f.version)
	}
	return version
}

// checkSizes refuses sizes that do not fit the pages in use. It comes before
// anything is changed.
func (t *Tier) checkSizes() error {
	p := &t.past
	most, used := PageID(0), false
	for id, r := range p.rows {
		if r.live {
			most, used = max(most, id), true
		}
	}
	if !used {
		return nil
	}
	if int64(p.meta.pageSize) != t.pageSize {
		return fmt.Errorf("%w: %s has pages of %d bytes, not %d", ErrOptions, t.opt.Dir, p.meta.pageSize, t.pageSize)
	}
	if need := (int64(most) + 1) * t.pageSize; need > int64(len(t.pages))*t.pageSize {
		return fmt.Errorf("%w: size %d is too small for %s, whose pages in use need %d", ErrOptions, t.opt.Size, t.opt.Dir, need)
	}
	return nil
}

// adoptPages brings what files and rows say into the page table. Every version
// that a page has had is remembered, so that none comes twice.
func (t *Tier) adoptPages(files []pageFile) error {
	p := &t.past
	seen := map[PageID]pageFile{}
	for _, f := range files {
		if seen[f.id] = f; int64(f.id) < int64(len(t.pages)) {
			t.pages[f.id].version.Store(f.version)
		}
	}
	for id, r := range p.rows {
		if int64(id) >= int64(len(t.pages)) {
			continue
		}
		f, ok := seen[id]
		if !ok && r.live {
			var err error
			if f, err = t.lookAtPage(id); err != nil {
				return err
			}
		}
		raise(&t.pages[id].version, max(r.version, f.version))
		if !r.live {
			continue
		}
		if f.short || f.version != 0 && f.version != r.version || len(r.extents) == 0 {
			p.dropped++
			continue
		}
		if err := t.adoptPage(&t.pages[id], &r); err != nil {
			return err
		}
	}
	slices.SortFunc(t.sealed, func(a, b PageID) int {
		return cmp.Compare(t.pages[a].named[0].seq, t.pages[b].named[0].seq)
	})
	return nil
}

// adoptPage makes p the sealed page that r says, which can become a victim. Its
// records are counted by Recover: until then none seems alive.
func (t *Tier) adoptPage(p *page, r *row) error {
	f, err := t.queue.Open(t.path(p.id), 0)
	if err != nil {
		return fmt.Errorf("flashtier: open page: %w", err)
	}
	p.file, p.bucket, p.created, p.rehash = f, r.bucket, r.created, r.rehash
	p.named, p.closed = r.extents, true
	for _, x := range r.extents {
		p.extents = append(p.extents, x.extent)
		p.records += uint64(x.extent.Count)
		p.end.Store(x.extent.End())
		t.seq.Store(max(t.seq.Load(), x.seq))
	}
	p.become(PageSealed)
	t.sealed = append(t.sealed, p.id)
	return nil
}

// begin brings the journal's leftover into the catalog, makes a journal where the
// old one cannot go on, and writes this run's meta. In this order, so that a
// crash between the steps finds each of them as it would have been.
func (t *Tier) begin() (err error) {
	p := &t.past
	if t.catalog == nil {
		if t.catalog, err = openCatalog(catalogDir(t.opt.Dir), t.opt.FS, t.opt.Logger); err != nil {
			return fmt.Errorf("flashtier: %s: %w", t.opt.Dir, err)
		}
	}
	t.meta = p.meta
	t.meta.incarnation = max(p.meta.incarnation+1, t.opt.Now())
	t.meta.pageSize, t.meta.boot, t.meta.clean = uint32(t.pageSize), p.boot, false
	if !p.known {
		t.meta.identity = randomWord()
		if t.meta.seed == 0 {
			t.meta.seed = randomWord()
		}
	}
	t.catalog.start(p.state)
	if err := t.settlePast(); err != nil {
		return fmt.Errorf("flashtier: %s: %w", t.opt.Dir, err)
	}
	s, err := t.catalog.now(nil)
	if err == nil {
		err = t.beginJournal(s)
	}
	if err == nil {
		err = t.writeMeta(func(*meta) {})
	}
	if err != nil {
		return fmt.Errorf("flashtier: %s: %w", t.opt.Dir, err)
	}
	t.gen.Store(s.generation)
	t.flushAt.Store(t.meta.flushAt)
	return syncDir(t.opt.Dir)
}

// settlePast folds what the journal has left, drops the rows of pages that are
// not adopted, and carries out a flush that came due meanwhile.
func (t *Tier) settlePast() error {
	p := &t.past
	if p.left.entries != nil {
		if err := t.fold(p.left.entries, p.left.next); err != nil {
			return err
		}
		p.left.entries = nil
	}
	due := t.meta.flushAt != 0 && t.meta.flushAt <= t.opt.Now()
	return t.catalog.write(func(b *pebble.Batch, s *state) error {
		s.position = max(s.position, p.left.next)
		for id, r := range p.rows {
			if r.live && t.pages[id].is() != PageSealed {
				if err := forgetLife(b, id, r.version); err != nil {
					return err
				}
			}
		}
		if due {
			t.meta.flushAt = 0
			s.generation++
			return b.Set([]byte(keyMeta), p.flushed().encode(), nil)
		}
		return nil
	})
}

// flushed is the earlier run's meta without its delayed flush.
func (p *past) flushed() *meta {
	m := p.meta
	m.flushAt = 0
	return &m
}

// beginJournal makes a journal that goes on where the catalog is, of the old one
// if that can be.
func (t *Tier) beginJournal(s state) (err error) {
	j, n := t.journal, journalEntries(t.opt.JournalBytes)
	if j == nil || j.n != n || j.identity() != t.meta.identity || j.seed() != t.meta.seed ||
		j.head.Load() != s.position || j.lost().Load() != 0 {
		if t.journal = nil; j != nil {
			if err := j.close(); err != nil {
				return err
			}
		}
		if t.journal, err = createJournal(journalPath(t.opt.Dir), n, &t.meta, &s); err != nil {
			return err
		}
	}
	t.journal.tail.Store(s.position)
	t.journal.stuck = t.catalog.broken.Load
	_, err = t.catalog.now(t.journal)
	return err
}

// writeMeta has change make meta what the catalog is to say, and returns once
// that is on disk.
func (t *Tier) writeMeta(change func(m *meta)) error {
	return t.catalog.write(func(b *pebble.Batch, _ *state) error {
		change(&t.meta)
		return b.Set([]byte(keyMeta), t.meta.encode(), nil)
	})
}

// bootID is what the kernel calls its present life; zero if it does not say.
func (t *Tier) bootID() (id [16]byte) {
	if t.opt.boot != nil {
		return *t.opt.boot
	}
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return id
	}
	b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(text)), "-", ""))
	if err == nil && len(b) == len(id) {
		copy(id[:], b)
	}
	return id
}

func randomWord() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return le.Uint64(b[:])
}

// Seed is what the hash of keys begins with. It was drawn when the tier was
// created, and the catalog goes by it.
func (t *Tier) Seed() uint64 { return t.meta.seed }

// FirstCAS is where this run's CAS numbers begin: above all of earlier runs.
func (t *Tier) FirstCAS() uint64 { return uint64(t.meta.incarnation) << 32 }

// FlushAt is the time of a delayed flush that SetFlushAt has noted, or 0. One
// that came due while the tier was closed has been carried out.
func (t *Tier) FlushAt() uint32 { return t.flushAt.Load() }

// SetFlushAt notes the time of a delayed flush, or with 0 that there is none, and
// returns once that survives a power loss.
func (t *Tier) SetFlushAt(at uint32) error {
	err := t.writeMeta(func(m *meta) { m.flushAt = at })
	if err == nil {
		t.flushAt.Store(at)
	}
	return err
}

// MarkClean says that all is well: no further change comes, so the next Open need
// not fear for what a power loss may have taken. It commits and folds what there
// is. Close comes next.
func (t *Tier) MarkClean() error {
	err := t.CommitAll()
	t.foldAll()
	if t.journal.used() > 0 {
		return errors.Join(err, errors.New("flashtier: journal could not be folded"))
	}
	return errors.Join(err, t.writeMeta(func(m *meta) { m.clean = true }))
}
