package flashtier

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// begin brings the journal's leftover into the catalog, makes a journal where the
// old one cannot go on, and writes this run and its meta. In this order, so that a
// crash between the steps finds each of them as it would have been.
func (t *Tier) begin(*[]pageFile) (err error) {
	p := &t.past
	if t.catalog == nil {
		if t.catalog, err = openCatalog(&t.opt); err != nil {
			return fmt.Errorf("flashtier: %s: %w", t.opt.Dir, err)
		}
	}
	t.meta = p.meta
	if p.start.ID == 0 {
		p.start.ID = NextRun(t.opt.Now(), p.run)
	}
	t.meta.incarnation = max(p.meta.incarnation+1, uint32(p.start.ID>>32))
	t.meta.pageSize, t.meta.boot, t.meta.clean = uint32(t.pageSize), p.boot, false
	t.meta.rebuilding = len(p.scan) > 0
	if !p.known {
		t.meta.identity = randomWord()
		t.meta.seed = cmp.Or(p.start.Seed, t.meta.seed, randomWord())
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
		err = t.catalog.write(func(b *pebble.Batch, _ *state) error { // together, or the old run would be void
			return errors.Join(b.Set([]byte(keyMeta), t.meta.encode(), nil), t.putRun(b, p.start))
		})
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
	var old meta
	return t.catalog.writeOrUndo(func(b *pebble.Batch, _ *state) error {
		old = t.meta
		change(&t.meta)
		return b.Set([]byte(keyMeta), t.meta.encode(), nil)
	}, func() { t.meta = old })
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
