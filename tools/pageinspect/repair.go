package pageinspect

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hearthcache/hearth/flashtier"
)

var (
	// ErrHealthy is returned by Repair for a directory that needs none.
	ErrHealthy = errors.New("there is nothing to repair")
	// ErrRunning is returned by Repair for the directory of a running server.
	ErrRunning = errors.New("a server is using the directory: stop it first")
)

// Plan is what a repair would do.
type Plan struct {
	Why     string // what is wrong
	Pages   int    // with a header, in their place
	Aside   int    // pages that lie aside
	Records Count  // sound, those that have expired left out
	Bad     Count  // places without a sound record: what was there is lost
}

// PlanRepair looks what a repair of the directory at path would do. It changes
// nothing. The error is ErrHealthy if there is nothing to do.
func PlanRepair(ctx context.Context, path string, progress Progress) (*Plan, error) {
	d, err := Open(path)
	if err != nil {
		return nil, err
	}
	p, err := d.planRepair(ctx, progress)
	return p, errors.Join(err, d.Close())
}

func (d *Dir) planRepair(ctx context.Context, progress Progress) (*Plan, error) {
	if d.Running {
		return nil, ErrRunning
	}
	mode, why, err := flashtier.Diagnose(d.Path)
	if err != nil {
		return nil, err
	}
	p := &Plan{Why: why, Aside: len(d.Aside)}
	switch {
	case mode == flashtier.ModeCold && len(d.Pages) > 0:
	case p.Aside > 0:
		p.Why = "pages lie aside since an earlier accident"
	default:
		return nil, fmt.Errorf("%w: the next start is %s", ErrHealthy, mode)
	}
	tally, err := d.Tally(ctx, progress)
	for i := range tally {
		t := &tally[i]
		if t.HeaderErr == nil {
			p.Pages++
		}
		p.Bad.plus(t.Bad)
		p.Records.plus(t.By[Live])
		p.Records.plus(t.By[Unknown])
	}
	return p, err
}

// Print says what the repair would do.
func (p *Plan) Print(out io.Writer) error {
	_, err := fmt.Fprintf(out, `wrong: %s
a server that is started now begins without these values and keeps the pages aside
repair makes a new catalog from the records of %d pages, %d more that lie aside if there is a place for them
  %d records, %s, are sound and have not expired; of each key the newest comes back
  %d places, %s, have no sound record: what was there is lost
values that had been deleted, overwritten or flushed may return
an old catalog and journal are moved to the directory aside; page files are only read
`, p.Why, p.Pages, p.Aside, p.Records.Records, size(p.Records.Bytes), p.Bad.Records, size(p.Bad.Bytes))
	return err
}

// Repair makes a new catalog for the directory at path. Values may return that
// had been deleted, overwritten or flushed.
func Repair(path string) (flashtier.Recovery, error) {
	return flashtier.RebuildCatalog(path, hashOf)
}

// PrintRepaired says what a repair has done.
func PrintRepaired(out io.Writer, r flashtier.Recovery) error {
	_, err := fmt.Fprintf(out, "repaired: %d items on %d pages, %s; %d older records of their keys and %d expired ones left out, %d records are not sound\n",
		r.Items, r.Pages, size(r.Bytes), r.Dead, r.Expired, r.BadRecords)
	return err
}
