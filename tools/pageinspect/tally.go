package pageinspect

import (
	"context"
	"errors"
	"math/bits"
	"slices"
	"sync"

	"github.com/hearthcache/hearth/flashtier"
)

// Count is a number of records, and their bytes in pages.
type Count struct{ Records, Bytes int64 }

func (c *Count) add(bytes int64) {
	c.Records++
	c.Bytes += bytes
}

func (c *Count) plus(x Count) {
	c.Records += x.Records
	c.Bytes += x.Bytes
}

// PageTally is what is in one page.
type PageTally struct {
	*Page
	*Head
	By      [states]Count // records by state
	Bad     Count         // places where there is no sound record
	Extents int           // found
	// Of records that are alive, or may be: by the bits of their size, and by the
	// seconds they have left, as spans has them; last those that never expire.
	Sizes [33]int64
	TTLs  [len(spans) + 2]int64
}

func (t *PageTally) count(f *Found) {
	switch f.Kind {
	case flashtier.PartIndex:
		t.Extents++
	case flashtier.PartBad:
		t.Bad.add(f.Size)
	case flashtier.PartRecord:
		t.By[f.State].add(f.Size)
		if f.State == Live || f.State == Unknown {
			t.Sizes[bits.Len64(uint64(f.Size-1))]++
			t.TTLs[ttlSpan(f.Exptime, f.Page.dir.Now)]++
		}
	}
}

// spans are what times are told apart by, in seconds.
var spans = [...]uint32{60, 600, 3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400}

// spanOf is the first of spans that is over seconds, or one more.
func spanOf(seconds uint32) int {
	i, found := slices.BinarySearch(spans[:], seconds)
	if found {
		i++
	}
	return i
}

func ttlSpan(exptime, now uint32) int {
	if exptime == 0 {
		return len(spans) + 1
	}
	return spanOf(max(exptime, now) - now)
}

// Used is the bytes of p's records of all states.
func (t *PageTally) Used() (n int64) {
	for _, c := range t.By {
		n += c.Bytes
	}
	return n
}

// Tally goes through all pages but those that are free, and counts what is in
// them, in the order of ids.
// A page that cannot be opened is an error, after the others were counted.
func (d *Dir) Tally(ctx context.Context, progress Progress) ([]PageTally, error) {
	list := make([]PageTally, len(d.Pages))
	at := map[*Page]*PageTally{}
	for i, p := range d.Pages {
		list[i] = PageTally{Page: p, Head: &Head{}}
		at[p] = &list[i]
	}
	var mu sync.Mutex
	var errs []error
	err := d.each(ctx, progress, func(s *scanner, p *Page) error {
		t := at[p]
		err := s.scan(p, func(f *Found) error {
			t.count(f)
			return ctx.Err()
		})
		if s.head != nil {
			t.Head = s.head
		}
		if err != nil && ctx.Err() == nil {
			t.HeaderErr = errors.Join(t.HeaderErr, err)
			mu.Lock()
			errs = append(errs, err)
			mu.Unlock()
		}
		return ctx.Err()
	})
	return list, errors.Join(append(errs, err)...)
}
