package flashtier

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Run says which run of which cache a tier was last part of, as its catalog has
// it. A cache over several tiers gives all of them the same run at each start, so
// that one which was left out of a run, while its keys were changed on others, is
// known by its older run and starts cold.
//
// A start that ends before it has reached all tiers must not make those it did
// not reach look old. So it is done in two steps: first all tiers are opened with
// a run that is pending, which names the run before it; once all have it, SetRun
// makes it certain on each, and only then is the cache used. A pending run was
// never used: what a tier has then is of that run and of the one before.
type Run struct {
	// ID names the run; higher ones are later. A tier that was used alone by a
	// version that knew no runs has one made of its incarnation.
	ID      uint64
	Before  uint64 // of a pending run: the one before
	Pending bool

	// Of the tier, not of the run.
	Known    bool   // there is a catalog; without one all else is zero
	Identity uint64 // of the catalog; two that are the same are copies
	Seed     uint64 // of the hash of keys
}

// NextRun draws the ID of a run later than all of those, that begins at the time
// now, in unix seconds.
func NextRun(now uint32, earlier ...Run) uint64 {
	at := now
	for _, r := range earlier {
		at = max(at, uint32(r.ID>>32)+1)
	}
	return uint64(at)<<32 | uint64(uint32(randomWord()))
}

// IDs are the runs that the tier may be taken for.
func (r Run) IDs() []uint64 {
	if r.Pending && r.Before != 0 {
		return []uint64{r.ID, r.Before}
	}
	return []uint64{r.ID}
}

// Used is the last of the tier's runs that was used for sure; 0 if there is none.
func (r Run) Used() uint64 {
	if r.Pending {
		return r.Before
	}
	return r.ID
}

// Start says how a tier is to start that is one of several.
type Start struct {
	Run Run // its Seed counts for a tier that has no items or starts cold
	// Cold, if not empty, says why what there is must not be used.
	Cold string
}

// Opening is a directory that is taken, and that nothing has been changed in yet.
type Opening struct {
	t     *Tier
	files []pageFile
}

// Run is what the directory was part of.
func (o *Opening) Run() Run { return o.t.past.run }

// Close gives the directory up.
func (o *Opening) Close() error { return o.t.giveUp() }

// Open makes the tier. After an error the directory is given up.
func (o *Opening) Open(s Start) (*Tier, error) {
	t := o.t
	t.past.start = s.Run
	if s.Cold != "" {
		t.past.why, t.opt.AcceptStale = s.Cold, false
	}
	return t.open(o.files)
}

// run is what the catalog says of it.
type run struct {
	id, before  uint64
	pending     bool
	incarnation uint32 // the tier's when this was written; a later one makes it void
}

// of completes what the catalog says with its meta. A run that was not written in
// the tier's last life is that of a version which knew none.
func (r run) of(m *meta) Run {
	out := Run{ID: r.id, Before: r.before, Pending: r.pending, Known: true, Identity: m.identity, Seed: m.seed}
	if r.incarnation != m.incarnation {
		out.ID, out.Before, out.Pending = uint64(m.incarnation)<<32|uint64(uint32(m.identity)), 0, false
	}
	return out
}

// readRun reads what run the tier was part of.
func (t *Tier) readRun() error {
	p := &t.past
	return t.catalog.view([]byte(keyRun), func(v []byte) (err error) {
		var r run
		if v != nil {
			r, err = decodeRun(v)
		}
		p.run = r.of(&p.meta)
		return err
	})
}

// SetRun has the catalog say that the tier is part of r, and returns once that is
// on disk. Only ID, Before and Pending count.
func (t *Tier) SetRun(r Run) error {
	err := t.catalog.write(func(b *pebble.Batch, _ *state) error { return t.putRun(b, r) })
	if err != nil {
		return fmt.Errorf("flashtier: %s: %w", t.opt.Dir, err)
	}
	return nil
}

func (t *Tier) putRun(b *pebble.Batch, r Run) error {
	x := run{id: r.ID, before: r.Before, pending: r.Pending, incarnation: t.meta.incarnation}
	return b.Set([]byte(keyRun), x.encode(), nil)
}
