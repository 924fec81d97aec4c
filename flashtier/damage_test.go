package flashtier

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// damaged is a directory as a kill has left it: records on two pages, some of
// them dead, by a table of the catalog, by its log, or by the journal alone.
type damaged struct {
	o     Options
	dir   string // of the original
	items []item
	dead  map[Addr]bool
}

func newDamaged(t *testing.T) *damaged {
	d := &damaged{o: realOptions(t, 5), dead: map[Addr]bool{}}
	d.o.boot = &[16]byte{1}
	tier, items := stock(t, d.o, 0, 220, 9000) // two pages, and a third begun
	die := func(from int) {
		for _, it := range items[from : from+12] {
			tier.Died(it.addr)
			d.dead[it.addr] = true
		}
	}
	die(0)
	die(120)
	tier.foldAll()
	if err := tier.catalog.store.Load().Flush(); err != nil {
		t.Fatal(err)
	}
	die(20)
	tier.foldAll()
	items = append(items, stockMore(t, tier, 220, 230, 9000)...)
	die(150)
	d.items, d.dir = items, d.o.Dir
	stop(t, tier, false)
	return d
}

// spoilers change a file in ways that a bad disk or a careless hand would.
func spoilers(rng *rand.Rand) map[string]func(path string, b []byte) error {
	write := func(change func(b []byte) []byte) func(path string, b []byte) error {
		return func(path string, b []byte) error { return os.WriteFile(path, change(b), 0o600) }
	}
	m := map[string]func(path string, b []byte) error{
		"missing":   func(path string, _ []byte) error { return os.Remove(path) },
		"empty":     write(func(b []byte) []byte { return nil }),
		"cut":       write(func(b []byte) []byte { return b[:len(b)/2] }),
		"cut by 1":  write(func(b []byte) []byte { return b[:max(0, len(b)-1)] }),
		"zeroes":    write(func(b []byte) []byte { clear(b); return b }),
		"directory": func(path string, _ []byte) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"foreign": write(func(b []byte) []byte {
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
			return b
		}),
	}
	for i := range 8 {
		m[fmt.Sprint("flipped ", i)] = write(func(b []byte) []byte {
			if len(b) > 0 {
				b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
			}
			return b
		})
	}
	return m
}

// TestDamage spoils each file in each way, one at a time: the tier opens and
// serves what it can, or refuses in a line. Nothing dead comes back.
func TestDamage(t *testing.T) {
	d := newDamaged(t)
	rng := seeded(t)
	outcomes := map[string]int{}
	for _, file := range filesIn(t, d.dir) {
		if file == "lock" {
			continue
		}
		kind := strings.TrimRight(filepath.Base(file), "0123456789.")
		ways := spoilers(rng)
		for _, name := range slices.Sorted(maps.Keys(ways)) {
			t.Run(file+"/"+name, func(t *testing.T) {
				outcomes[kind+": "+d.try(t, file, ways[name])]++
			})
		}
	}
	for _, line := range slices.Sorted(maps.Keys(outcomes)) {
		t.Logf("%3d %s", outcomes[line], line)
	}
}

// TestPageDamage spoils the parts of a page.
func TestPageDamage(t *testing.T) {
	d := newDamaged(t)
	tier, _, _ := restarted(t, d.o)
	e := tier.pages[0].extents[0]
	stop(t, tier, false)
	live := 0
	for _, it := range d.items {
		if !d.dead[it.addr] {
			live++
		}
	}
	file := "pages/00000000.page"
	for name, at := range map[string][2]int64{
		"header":       {0, 64},
		"record":       {int64(e.Start), 32},
		"index":        {int64(e.Index), 32},
		"trailer":      {dataEnd(testPage), 64},
		"whole header": {0, blockSize},
		"whole extent": {int64(e.Start), e.leastEnd() - int64(e.Start)},
	} {
		for _, how := range []string{"zeroes", "flipped", "foreign"} {
			said := d.try(t, file, func(path string, b []byte) error {
				part := b[at[0] : at[0]+at[1]]
				switch how {
				case "zeroes":
					clear(part)
				case "flipped":
					part[len(part)/2] ^= 16
				default:
					copy(part, strings.Repeat("foreign ", len(part)/8+1))
				}
				return os.WriteFile(path, b, 0o600)
			})
			if !strings.Contains(said, fmt.Sprintf("warm, %d", live)) {
				t.Errorf("%s, %s: %s", name, how, said)
			}
		}
	}
}

// try spoils a file of a copy of d, and says what became of it.
func (d *damaged) try(t *testing.T, file string, spoil func(path string, b []byte) error) string {
	o := d.o
	o.Dir = copyTree(t, d.dir)
	defer os.RemoveAll(o.Dir)
	said := collect(&o)
	path := filepath.Join(o.Dir, file)
	b, err := os.ReadFile(path)
	if err == nil {
		err = spoil(path, b)
	}
	if err != nil {
		t.Fatal(err)
	}
	tier, err := Open(o)
	if err != nil {
		if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), o.Dir) {
			t.Errorf("refused in other than a line that names the directory: %q", err)
		}
		return "refused"
	}
	found, r := recovered(t, tier)
	all := map[Addr]item{}
	for _, it := range d.items {
		all[it.addr] = it
	}
	for a := range found {
		if it, ok := all[a]; !ok || d.dead[a] {
			t.Errorf("%v comes back, which is dead or never was: %s", a, it.key)
		} else if err := get(t, tier, nil, it); err != nil && !known(err) {
			t.Errorf("%s: %v", it.key, err)
		}
	}
	more := stockMore(t, tier, 1000, 1020, 9000)
	stop(t, tier, false)
	tier, found, again := restarted(t, o)
	for _, it := range more {
		if _, ok := found[it.addr]; !ok {
			t.Errorf("%s was written after the damage and does not come back: %+v", it.key, again)
		}
	}
	mustGet(t, tier, nil, more)
	stop(t, tier, true)
	if t.Failed() {
		t.Logf("%+v\n%s", r, said)
	}
	what := fmt.Sprintf("%s, %d items", r.Mode, r.Items)
	if r.BadBlobs+int64(r.BadPages) > 0 {
		what = fmt.Sprintf("%s, some dropped", r.Mode)
	}
	return what
}
