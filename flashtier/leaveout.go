package flashtier

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// TooManyError is Recover's where more records are alive than there is room for,
// and Options.RefuseMore is set.
type TooManyError struct {
	Items int64 // records alive
	Most  int64 // what there is room for
}

// Error says both numbers.
func (e *TooManyError) Error() string {
	return fmt.Sprintf("flashtier: %d records are alive, and there is room for %d", e.Items, e.Most)
}

// leaveOut takes the oldest extents out of the catalog, for good, until what is
// alive of the rest is no more than there is room for. Nobody knows of a record
// that was left out, so its key may be stored anew, or deleted, without a word to
// the journal: it cannot come back at a later start with more room.
func (r *recovery) leaveOut(plan []step) ([]step, error) {
	if r.t.opt.MostItems == nil {
		return plan, nil
	}
	most := r.t.opt.MostItems()
	if r.total <= most { // dead ones included
		return plan, nil
	}
	counts := r.countLive()
	live := int64(0)
	for _, s := range plan {
		live += counts[s]
	}
	if live > most && r.t.opt.RefuseMore {
		return nil, &TooManyError{Items: live, Most: most}
	}
	n := 0
	for ; live > most; n++ {
		live -= counts[plan[n]]
		r.LeftOut += counts[plan[n]]
	}
	if err := r.t.dropExtents(plan[:n]); err != nil {
		return nil, fmt.Errorf("flashtier: leave out the oldest records: %w", err)
	}
	return r.plan(), nil
}

// countLive counts what is alive in each extent. Of one that cannot be read it is
// nothing, as it will be for Recover.
func (r *recovery) countLive() map[step]int64 {
	counts := map[step]int64{}
	r.each(len(r.t.sealed), func(i int) {
		p := &r.t.pages[r.t.sealed[i]]
		changes, err := r.t.deadOf(p)
		if err != nil {
			return
		}
		for at, x := range p.named {
			n := int64(0)
			key := blobKey(p.id, p.version.Load(), x.extent.Start)
			err := r.t.catalog.view(key, func(v []byte) error {
				b, err := viewBlob(key, v, x)
				if err == nil {
					r.living(x, b, changes, &Recovery{}, func(blobEntry) { n++ })
				}
				return err
			})
			if err != nil {
				continue
			}
			r.mu.Lock()
			counts[step{p, at}] = n
			r.mu.Unlock()
		}
	})
	return counts
}

// dropExtents takes extents out of the catalog and returns when that is on disk.
// Pages of which nothing is left are free. Nothing is written or read meanwhile.
func (t *Tier) dropExtents(drop []step) error {
	gone := map[*page]map[uint64]bool{} // by sequence number
	for _, s := range drop {
		if gone[s.page] == nil {
			gone[s.page] = map[uint64]bool{}
		}
		gone[s.page][s.named().seq] = true
	}
	rest := map[*page][]named{}
	err := t.catalog.write(func(b *pebble.Batch, _ *state) error {
		var errs []error
		for p, seqs := range gone {
			var err error
			rest[p], err = t.unnameSome(b, p, seqs)
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for p, named := range rest {
		if p.named = named; len(named) == 0 {
			t.dropSealedLocked(p.id)
			t.freeLocked(p)
		}
	}
	return nil
}

// unnameSome adds to a batch that the extents in gone are no more, and gives the
// others.
func (t *Tier) unnameSome(b *pebble.Batch, p *page, gone map[uint64]bool) (rest []named, err error) {
	var errs []error
	for _, x := range p.named {
		if !gone[x.seq] {
			rest = append(rest, x)
			continue
		}
		errs = append(errs, b.Delete(blobKey(p.id, p.version.Load(), x.extent.Start), nil))
	}
	if len(rest) == 0 {
		return nil, forgetLife(b, p.id, p.version.Load())
	}
	t.mu.Lock()
	row := p.rowLocked()
	t.mu.Unlock()
	row.extents = rest
	key := pageKey(keyRow, p.id)
	return rest, errors.Join(append(errs, b.Set(key, row.encode(key), nil))...)
}
