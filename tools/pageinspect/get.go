package pageinspect

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/hearthcache/hearth/flashtier"
)

// Version is one record of a key, of those that were ever written and still lie
// somewhere.
type Version struct {
	Line
	Note  string // how it is shown
	Value []byte
}

// Get finds all records of a key, also those that older lives of pages have left:
// what is alive first, then by falling CAS. The error is ErrNoKey if there is
// none, and ErrBadPlaces, beside the versions, if there are places that cannot be
// read.
func (d *Dir) Get(ctx context.Context, key []byte, hexKeys bool, progress Progress) ([]Version, error) {
	var mu sync.Mutex
	var list []Version
	bad := false
	err := d.each(ctx, progress, func(s *scanner, p *Page) error {
		s.older, s.free = true, true
		return s.scan(p, func(f *Found) error {
			isBad := f.Kind == flashtier.PartBad
			if !isBad && (f.Kind != flashtier.PartRecord || !bytes.Equal(f.Record.Key, key)) {
				return ctx.Err()
			}
			mu.Lock()
			defer mu.Unlock()
			if bad = bad || isBad; !isBad {
				list = append(list, Version{lineOf(f, false), describe(f, hexKeys), bytes.Clone(f.Record.Value)})
			}
			return nil
		})
	})
	slices.SortFunc(list, func(a, b Version) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(b.CAS, a.CAS), cmp.Compare(a.Page, b.Page), cmp.Compare(a.Offset, b.Offset))
	})
	switch {
	case err != nil:
		return list, err
	case len(list) == 0 && bad:
		return nil, fmt.Errorf("%w, but %w", ErrNoKey, ErrBadPlaces)
	case len(list) == 0:
		return nil, ErrNoKey
	case bad:
		return list, ErrBadPlaces
	}
	return list, nil
}

// rank sorts what is alive before the rest.
func (v *Version) rank() int {
	if v.Alive() {
		return 0
	}
	return 1
}

// Alive tells whether a get would give the version, as far as anybody knows.
func (v *Version) Alive() bool { return v.State == Live.String() || v.State == Unknown.String() }

// PrintVersions writes a line for each version.
func PrintVersions(out io.Writer, list []Version) error {
	for _, v := range list {
		_, err := fmt.Fprintf(out, "page %d version %d at %d, %d bytes: %s\n", v.Page, v.PageVersion, v.Offset, v.Size, v.Note)
		if err != nil {
			return err
		}
	}
	return nil
}
