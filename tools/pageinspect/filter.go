package pageinspect

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hearthcache/hearth/flashtier"
)

// Filter says which records are wanted. The zero Filter wants all.
type Filter struct {
	Key, Prefix []byte
	Glob        string // as path.Match has it, but that * matches slashes, too
	// MinSize and MaxSize bound the value, in bytes; a MaxSize of 0 does not.
	MinSize, MaxSize int64
	// ExpiresBefore wants what expires before that time, unix seconds, and not
	// what never does; 0 does not.
	ExpiresBefore uint32
	States        []State // none means all
}

// ParseStates reads names of states, divided by commas.
func ParseStates(text string) (list []State, err error) {
	for _, name := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) {
		i := State(0)
		for i < states && i.String() != name {
			i++
		}
		if i == states {
			return nil, fmt.Errorf("state %q is none of live, expired, flushed, dead, older and unknown", name)
		}
		list = append(list, i)
	}
	return list, nil
}

// Validate tells what is wrong with the filter.
func (x *Filter) Validate() error {
	if _, err := path.Match(x.Glob, ""); err != nil {
		return fmt.Errorf("glob %q: %w", x.Glob, err)
	}
	return nil
}

func (x *Filter) match(f *Found) bool {
	n := int64(len(f.Record.Value))
	switch {
	case x.Key != nil && !bytes.Equal(f.Record.Key, x.Key):
	case !bytes.HasPrefix(f.Record.Key, x.Prefix):
	case n < x.MinSize || x.MaxSize > 0 && n > x.MaxSize:
	case x.ExpiresBefore > 0 && (f.Exptime == 0 || f.Exptime >= x.ExpiresBefore):
	case !x.wants(f.State):
	case x.Glob != "" && !glob(x.Glob, string(f.Record.Key)):
	default:
		return true
	}
	return false
}

// wants tells whether the state is asked for.
func (x *Filter) wants(s State) bool {
	return len(x.States) == 0 || slices.Contains(x.States, s)
}

// glob is path.Match over the whole key: slashes are characters like others.
func glob(pattern, key string) bool {
	swap := strings.NewReplacer("/", "\x00", "\x00", "/")
	ok, _ := path.Match(swap.Replace(pattern), swap.Replace(key)) // Validate has looked at it
	return ok
}

// Records calls fn for every record that x wants, page by page, in the order of
// the page. The error is ErrBadPlaces, after all, if something cannot be read.
func (d *Dir) Records(ctx context.Context, x Filter, progress Progress, fn func(*Found) error) error {
	s := scanner{free: x.wants(Dead) || x.wants(Unknown), older: x.wants(Older)}
	m := &meter{tell: progress, total: d.bytes()}
	bad := false
	for _, p := range d.Pages {
		err := s.scan(p, func(f *Found) error {
			bad = bad || f.Kind == flashtier.PartBad
			if f.Kind == flashtier.PartRecord && x.match(f) {
				return fn(f)
			}
			return ctx.Err()
		})
		if err != nil {
			return err
		}
		bad = bad || s.head.Condition == Broken || s.head.Condition == Missing
		m.add(p.size())
	}
	if bad {
		return ErrBadPlaces
	}
	return nil
}
