package flashtier

import (
	"cmp"
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
	why      string   // of a cold or stale start
	scan     []PageID // pages to be rebuilt from their records
	known    bool     // there is a catalog
	run      Run      // that the tier was part of
	start    Run      // that it is part of now; without an ID it is a tier alone
	meta     meta
	state    state
	rows     map[PageID]row
	badRows  []error // of rows that say what cannot be
	left     leftover
	boot     [16]byte // of the machine now
	asideNow int      // page files set aside at this start
	dropped  int      // pages in use whose file is another
}

// lookBack opens what an earlier run has left, and decides what of it can be used.
// It changes nothing.
func (t *Tier) lookBack() (files []pageFile, err error) {
	if files, err = t.listPages(); err != nil {
		return nil, err
	}
	t.past.boot = t.bootID()
	if err := t.checkCatalogRoom(); err != nil {
		return nil, err
	}
	return files, t.openPast(len(files) > 0)
}

// adopt makes the page table of what can be used.
func (t *Tier) adopt(files []pageFile) error {
	if t.past.why != "" {
		if err := t.distrust(&files); err != nil {
			return err
		}
	}
	for _, step := range []func(*[]pageFile) error{
		t.checkSizes, t.returnAside, t.checkRoom, t.removeSurplus, t.adoptPages, t.begin,
	} {
		if err := step(&files); err != nil {
			return err
		}
	}
	return nil
}

// openPast opens catalog and journal, and says in past.why if they cannot be
// trusted, or are missing although there are pages. Errors are what a user has to
// do something about.
func (t *Tier) openPast(pages bool) (err error) {
	p := &t.past
	exists, err := t.catalogExists()
	if err == nil && exists {
		t.catalog, err = openCatalog(&t.opt)
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
	case p.meta.rebuilding:
		p.why, p.known = "pages were being rebuilt", false
	case p.known:
		t.trust(errJournal)
	case pages:
		p.why = "there is no catalog"
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
	used := false
	err := t.catalog.view([]byte(keyMeta), func(v []byte) (err error) {
		if used = v != nil; used {
			p.meta, err = decodeMeta(v)
		}
		return err
	})
	if err == nil && used {
		err = t.readRun()
	}
	if err != nil || !used { // as it is for a moment when it has been made
		return err
	}
	err = t.catalog.view([]byte(keyState), func(v []byte) (err error) {
		p.state, err = decodeState(v)
		return err
	})
	if err != nil {
		return err
	}
	p.rows = map[PageID]row{}
	err = t.catalog.each(keyRow, func(key, v []byte) error {
		id, _, ok := pageOfKey(key)
		r, err := decodeRow(key, v, int64(p.meta.pageSize))
		if errors.Is(err, ErrFormat) {
			return err
		}
		if err == nil && !ok {
			err = fmt.Errorf("%w: key %q of a row", errCatalog, key)
		}
		if err != nil {
			p.badRows = append(p.badRows, err)
			return nil
		}
		p.rows[id] = r
		return nil
	})
	p.known = err == nil
	return err
}

// trust decides whether a catalog that was read can be used, and what of the
// journal counts.
func (t *Tier) trust(errJournal error) {
	p, j := &t.past, t.journal
	p.mode = p.ending()
	p.left.next = p.state.position
	why := ""
	switch {
	case errJournal != nil:
		why = oneLine(errJournal)
	case j.identity() != p.meta.identity:
		why = "journal belongs to another catalog"
	case j.batches().Load() > p.state.batches:
		p.why = fmt.Sprintf("catalog has lost its last %d batches", j.batches().Load()-p.state.batches)
		return
	case j.lost().Load() != 0:
		why = "journal has lost entries, because the catalog could not take them"
	default:
		if p.left = j.scan(p.state.position); p.left.damage != "" {
			why = "journal is damaged: " + p.left.damage
		}
	}
	switch {
	case why != "" && p.mode == ModeClean: // the catalog has all of it
		p.left = leftover{next: p.state.position}
	case why != "" && (p.mode == ModeWarm || p.left.damage == ""):
		p.why = why
	case p.mode == ModePowerLoss && t.opt.AfterPowerLoss == afterStrict:
		p.why = "power was lost"
	}
}

// ending says how the last run ended.
func (p *past) ending() Mode {
	switch {
	case p.meta.clean:
		return ModeClean
	case p.meta.boot == p.boot && p.boot != [16]byte{}:
		return ModeWarm
	}
	return ModePowerLoss
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
	if p.meta.seed == 0 && t.journal != nil {
		p.meta.seed = t.journal.seed() // that of the index frames in the pages
	}
	if err := t.closeCatalog(); err != nil {
		return fmt.Errorf("flashtier: %s: %w", t.opt.Dir, err)
	}
	t.catalog, t.journal = nil, nil
	past := past{mode: p.mode, why: p.why, boot: p.boot, start: p.start}
	past.meta.incarnation = max(p.meta.incarnation, newest(*files))
	past.meta.seed = p.meta.seed
	*p = past
	if t.opt.AcceptStale {
		if err := t.scanAll(*files); err != nil {
			return err
		}
		return t.setCatalogAside()
	}
	p.asideNow = len(*files)
	if err := t.setAside(*files); err != nil {
		return err
	}
	*files = nil
	return nil
}

// scanAll has all pages rebuilt that have a header. It refuses sizes that do not
// fit them, before anything is changed.
func (t *Tier) scanAll(files []pageFile) error {
	for _, f := range files {
		if f.version == 0 {
			continue
		}
		if err := t.checkSize(f.id, f.size); err != nil {
			return err
		}
		t.past.scan = append(t.past.scan, f.id)
	}
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
func (t *Tier) checkSizes(*[]pageFile) error {
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
	return t.checkSize(most, int64(p.meta.pageSize))
}

// checkSize refuses sizes that do not fit a page in use.
func (t *Tier) checkSize(id PageID, size int64) error {
	if size != t.pageSize {
		return fmt.Errorf("%w: %s has pages of %d bytes, not %d", ErrOptions, t.opt.Dir, size, t.pageSize)
	}
	if need := (int64(id) + 1) * t.pageSize; need > int64(len(t.pages))*t.pageSize {
		return fmt.Errorf("%w: size %d is too small for %s, whose pages in use need %d", ErrOptions, t.opt.Size, t.opt.Dir, need)
	}
	return nil
}

// adoptPages brings what files and rows say into the page table. Every version
// that a page has had is remembered, so that none comes twice.
func (t *Tier) adoptPages(files *[]pageFile) error {
	p := &t.past
	seen := map[PageID]pageFile{}
	for _, f := range *files {
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
	for _, id := range p.scan {
		if err := t.adoptPage(&t.pages[id], &row{version: t.pages[id].version.Load(), format: seen[id].format}); err != nil {
			return err
		}
	}
	slices.SortFunc(t.sealed, func(a, b PageID) int {
		return cmp.Compare(t.pages[a].firstSeq(), t.pages[b].firstSeq())
	})
	return nil
}

// firstSeq is the sequence number of the first blob that the catalog names of p.
func (p *page) firstSeq() uint64 {
	if len(p.named) == 0 {
		return 0 // still to be rebuilt, and older than what is named
	}
	return p.named[0].seq
}

// adoptPage makes p the sealed page that r says, which can become a victim. Its
// records are counted by Recover: until then none seems alive.
func (t *Tier) adoptPage(p *page, r *row) error {
	f, err := t.queue.Open(t.path(p.id), 0)
	if err != nil {
		return fmt.Errorf("flashtier: open page: %w", err)
	}
	p.file, p.format, p.bucket, p.created = f, r.format, r.bucket, r.created
	p.rehash, p.closed = r.rehash, true
	t.adoptExtents(p, r.extents)
	p.become(PageSealed)
	t.sealed = append(t.sealed, p.id)
	return nil
}

// adoptExtents brings what the catalog names of p into the page table.
func (t *Tier) adoptExtents(p *page, extents []named) {
	p.named = extents
	for _, x := range extents {
		p.extents = append(p.extents, x.extent)
		p.records += uint64(x.extent.Count)
		p.end.Store(int64(x.extent.Index)) // where its last record ends
		t.seq.Store(max(t.seq.Load(), x.seq))
	}
}

// Mode is how the tier has started.
func (t *Tier) Mode() Mode { return t.past.mode }

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
