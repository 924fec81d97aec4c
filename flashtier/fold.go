package flashtier

import (
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// foldEvery is how long an entry may stay in the journal alone, although
	// there is room: it bounds what a start has to fold.
	foldEvery = 10 * time.Second
	// foldAgain is how soon a fold that failed is tried again.
	foldAgain = time.Second
	// foldMost is how many entries go into one batch.
	foldMost = 64 << 10
)

// journalLoop syncs the journal, and folds it when a quarter is in use or
// foldEvery has passed.
func (t *Tier) journalLoop() {
	defer t.loops.Done()
	sync := time.NewTicker(t.opt.JournalSync)
	defer sync.Stop()
	fold := time.NewTimer(foldEvery)
	defer fold.Stop()
	failed := false
	tryFold := func() {
		next := foldEvery
		if failed = !t.foldAll(); failed {
			next = foldAgain
		}
		fold.Reset(next)
	}
	for {
		select {
		case <-t.stop:
			return
		case <-sync.C:
			if !t.journal.dirty() {
				continue
			}
			if err := t.journal.sync(); err != nil {
				t.journalFailed(err)
			}
		case <-t.journal.quarter:
			if !failed { // else fold.C will try it again
				tryFold()
			}
		case <-fold.C:
			tryFold()
		}
	}
}

func (t *Tier) journalFailed(err error) {
	t.counts.foldErrors.Add(1)
	t.complain("journal", "err", err)
}

// foldAll folds what is in the journal at the moment, and tells whether that
// succeeded.
func (t *Tier) foldAll() bool {
	t.folding.Lock()
	defer t.folding.Unlock()
	for upTo := t.journal.head.Load(); t.journal.tail.Load() < upTo; {
		n, err := t.foldSome(upTo)
		if err != nil {
			t.journalFailed(err)
			t.journal.wake()
			return false
		}
		if n == 0 {
			break // the next one is being stored: another time
		}
	}
	return true
}

// foldSome brings the oldest entries before upTo into the catalog, together with
// the position that says so. Only then are their places free.
func (t *Tier) foldSome(upTo uint64) (n int, err error) {
	from := t.journal.tail.Load()
	entries := t.foldBuffer[:0]
	for i := from; i < min(upTo, from+foldMost); i++ {
		e, ok := t.journal.stored(i)
		if !ok {
			break
		}
		entries = append(entries, e)
	}
	t.foldBuffer = entries
	if n = len(entries); n == 0 {
		return 0, nil
	}
	if err := t.fold(entries, from+uint64(n)); err != nil {
		return 0, err
	}
	t.journal.advance(from + uint64(n))
	t.counts.folds.Add(1)
	return n, nil
}

// fold writes entries to the catalog, merged into the dead sets of their pages'
// lives, and that the journal is in the catalog up to position.
func (t *Tier) fold(entries []entry, position uint64) error {
	order := t.foldOrder[:0] // by page, then as they came; integers sort fast
	for i, e := range entries {
		order = append(order, uint64(e.page)<<32|uint64(i))
	}
	slices.Sort(order)
	t.foldOrder = order
	at := func(i int) *entry { return &entries[uint32(order[i])] }
	return t.catalog.write(func(b *pebble.Batch, s *state) error {
		var changes []change
		for i := 0; i < len(order); {
			e := at(i)
			changes = changes[:0]
			for ; i < len(order) && at(i).page == e.page && at(i).version == e.version; i++ {
				if at(i).kind == changeFlush {
					s.generation = max(s.generation, at(i).version)
					continue
				}
				changes = append(changes, at(i).change)
			}
			if len(changes) == 0 || !t.inUse(e.page, e.version) {
				continue
			}
			if err := b.Merge(lifeKey(keyDead, e.page, e.version), encodeDead(changes), nil); err != nil {
				return err
			}
		}
		s.position = position
		return nil
	})
}

// inUse tells whether a page is in the given life, and the catalog may name it. It
// is asked while a batch is filled, as is whatever makes the answer false.
func (t *Tier) inUse(id PageID, version uint32) bool {
	if int64(id) >= int64(len(t.pages)) {
		return false
	}
	p := &t.pages[id]
	t.mu.Lock()
	defer t.mu.Unlock()
	return p.version.Load() == version && p.is() != PageFree && !p.leaving
}

// Died is Dead for a record that an index slot pointed at until now, and journals
// the death, so that no restart brings the record back. The change that caused it
// may be answered once Died has returned. It waits only if the journal is full;
// see JournalRoom.
func (t *Tier) Died(a Addr) {
	if t.journalChange(a, changeDead, 0) {
		t.Dead(a)
	}
}

// Buried is Died for a record that was moved: whatever counts it as dead has done
// so, or will.
func (t *Tier) Buried(a Addr) { t.journalChange(a, changeDead, 0) }

// Touched journals that the record at a now expires at exptime. Of two calls for
// one address the later counts, so they must come in the order of the changes.
func (t *Tier) Touched(a Addr, exptime uint32) {
	if !t.journalChange(a, changeExptime, exptime) {
		return
	}
	if exptime == 0 {
		exptime = never
	}
	p, _, _ := t.locate(a)
	raise(&p.lastExp, exptime)
}

// journalChange appends a change of the record at a. A page that is free has left
// the catalog, so nothing of it can come back. The version is loaded first, so that a page which is reused meanwhile cannot lend its new one,
// unless it has been written as far as a within these few instructions.
func (t *Tier) journalChange(a Addr, kind uint8, exptime uint32) bool {
	p, off, ok := t.locate(a)
	if !ok {
		return false
	}
	version := p.version.Load()
	if p.is() == PageFree || off >= p.end.Load() {
		return false
	}
	t.journal.append(entry{page: p.id, version: version, change: change{
		unit: uint32(off / unit), kind: kind, exptime: exptime,
	}})
	return true
}

// JournalRoom tells whether changes of flash items may begin. If not, they must
// wait until the journal has been folded; there is slack for those under way.
func (t *Tier) JournalRoom() bool { return t.journal.room() }

// Generation is the flush generation: how many times all was flushed.
func (t *Tier) Generation() uint32 { return t.gen.Load() }

// Generation is that of the batch's tier at the moment.
func (b *Batch) Generation() uint32 { return b.tier.Generation() }

// Flush journals that all that has been written so far is dead, and gives the new
// generation. The flush may be answered once it has returned. A Batch whose slots
// were repointed before it must be committed with the generation of that time.
func (t *Tier) Flush() uint32 {
	gen := t.gen.Add(1)
	t.journal.append(entry{version: gen, change: change{kind: changeFlush}})
	return gen
}
