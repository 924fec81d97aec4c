package flashtier

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// Rebuilding makes, from the records of pages that no catalog names, what the
// catalog would say of them if nothing had died but what has a newer version in
// another record. It writes blobs of all sound records first, and spills a line
// for each; then, a share of the hashes at a time, it finds the records that are
// not the newest of their key and merges them into dead sets; and last it writes
// the rows, without which all of that counts for nothing. Until then meta says
// that a rebuild is under way, so that one cut short begins anew.

// scanned is a page that was rebuilt from its records.
type scanned struct {
	page    *page
	extents []named
	bad     int // records that are not sound
}

// rebuild names the pages that past.scan lists.
func (r *recovery) rebuild() error {
	t := r.t
	if len(t.past.scan) == 0 {
		return nil
	}
	if t.opt.Hash == nil {
		return fmt.Errorf("%w: pages cannot be rebuilt without the hash of keys", ErrOptions)
	}
	s, err := newSpill(t.opt.Dir)
	if err != nil {
		return fmt.Errorf("flashtier: rebuild: %w", err)
	}
	defer s.close()
	pages := make([]scanned, len(t.past.scan))
	var mu sync.Mutex
	var errs []error
	try := func(do func(i int) error) func(i int) {
		return func(i int) {
			if err := do(i); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		}
	}
	r.each(len(t.pages), try(func(i int) error { return t.spillNamed(&t.pages[i], s) }))
	r.each(len(pages), try(func(i int) error {
		pages[i].page = &t.pages[t.past.scan[i]]
		return t.rebuildPage(&pages[i], s)
	}))
	r.each(partitions, try(func(i int) error { return t.buryOlder(s, i) }))
	if err := errors.Join(append(errs, t.nameScanned(pages))...); err != nil {
		return fmt.Errorf("flashtier: rebuild: %w", err)
	}
	r.PagesScanned = len(pages)
	for i := range pages {
		r.BadRecords += int64(pages[i].bad)
	}
	return nil
}

// spillNamed spills what the catalog does name of p, as newer than all else: it
// was written after the other pages had been set aside.
func (t *Tier) spillNamed(p *page, s *spill) error {
	var errs []error
	for _, x := range p.named {
		key := blobKey(p.id, p.version.Load(), x.extent.Start)
		errs = append(errs, t.catalog.view(key, func(v []byte) error {
			b, err := viewBlob(key, v, x)
			if err != nil {
				return nil // Recover will say so
			}
			for i := range b.n {
				e := b.entry(i)
				if err := s.add(trace{e.hash, never << 32, uint64(NewAddr(t.base(p.id)+uint64(e.unit), e.class))}); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	return errors.Join(errs...)
}

// rebuildPage writes blobs of a page's sound records.
func (t *Tier) rebuildPage(x *scanned, s *spill) error {
	p := x.page
	w := &window{t: t, page: p}
	defer w.close()
	for _, e := range w.extents() {
		b := &blob{page: p, version: p.version.Load(), extent: e, gen: t.gen.Load(), seq: t.seq.Add(1)}
		x.bad += w.records(e, func(off int64, size int, rec *Record, hash uint64) {
			a := t.addr(p.id, off, size)
			b.entries = append(b.entries, blobEntry{hash, uint32(off / unit), rec.Exptime, a.Class()})
			w.err = errors.Join(w.err, s.add(trace{hash, rec.CAS, uint64(a)}))
		})
		if len(b.entries) == 0 {
			continue
		}
		x.extents = append(x.extents, named{seq: b.seq, extent: e, live: uint32(len(b.entries))})
		err := t.catalog.write(func(batch *pebble.Batch, _ *state) error { return b.put(batch) })
		if err != nil {
			return err
		}
	}
	return w.err
}

// buryOlder merges into dead sets the records of partition i that are not the
// newest of their hash.
func (t *Tier) buryOlder(s *spill, i int) error {
	traces, err := s.partition(i)
	if err != nil {
		return err
	}
	slices.SortFunc(traces, trace.compare)
	byPage := map[PageID][]change{}
	for i := range len(traces) - 1 {
		if traces[i].hash == traces[i+1].hash {
			p, off, _ := t.locate(Addr(traces[i].addr))
			byPage[p.id] = append(byPage[p.id], change{unit: uint32(off / unit), kind: changeDead})
		}
	}
	return t.catalog.write(func(b *pebble.Batch, _ *state) error {
		for id, changes := range byPage {
			key := lifeKey(keyDead, id, t.pages[id].version.Load())
			if err := b.Merge(key, encodeDead(changes), nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// nameScanned writes the rows of pages, and that the rebuild is done.
func (t *Tier) nameScanned(pages []scanned) error {
	return t.catalog.write(func(b *pebble.Batch, _ *state) error {
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, x := range pages {
			if len(x.extents) == 0 {
				continue // sealed with nothing alive: the next victim
			}
			t.adoptExtents(x.page, x.extents)
			key := pageKey(keyRow, x.page.id)
			if err := b.Set(key, x.page.rowLocked().encode(key), nil); err != nil {
				return err
			}
		}
		t.meta.rebuilding = false
		return b.Set([]byte(keyMeta), t.meta.encode(), nil)
	})
}

// returnAside lists the pages that lie aside. If stale values are accepted it
// first brings them back to where no page is in use, and adds them to files.
func (t *Tier) returnAside(files *[]pageFile) error {
	if err := t.listAside(); err != nil || !t.opt.AcceptStale {
		return err
	}
	for _, path := range slices.Clone(t.aside) {
		f, err := t.lookAtFile(path)
		if err != nil {
			return err
		}
		if f.version == 0 || f.size != t.pageSize || int64(f.id) >= int64(len(t.pages)) || t.past.inUse(f.id) {
			continue
		}
		f.path = t.path(f.id)
		if err := os.Rename(path, f.path); err != nil {
			return fmt.Errorf("flashtier: bring back page: %w", err)
		}
		*files = slices.DeleteFunc(*files, func(old pageFile) bool { return old.id == f.id })
		*files = append(*files, f)
		t.past.scan = append(t.past.scan, f.id)
		t.past.mode, t.past.why = ModeStale, cmp.Or(t.past.why, "pages that were set aside are back")
	}
	return t.listAside()
}

// inUse tells whether page id is in use, or waits to be scanned.
func (p *past) inUse(id PageID) bool { return p.rows[id].live || slices.Contains(p.scan, id) }
