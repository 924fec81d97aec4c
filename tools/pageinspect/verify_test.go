package pageinspect

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hearthcache/hearth/flashtier"
)

// plants are faults that verify must find, and where.
var plants = []struct {
	name  string
	plant func(t *testing.T, x *fixture)
	want  []string // what the faults' lines begin with, or hold after a first "*"
}{
	{"value", func(t *testing.T, x *fixture) { flip(t, x.path(0), x.items[20].offset()+500) },
		[]string{"pages/00000000.page at {20}: record of key-20: checksum does not hold: "}},
	{"key", func(t *testing.T, x *fixture) { flip(t, x.path(0), x.items[21].offset()+34) },
		[]string{"pages/00000000.page at {21}: record of "}},
	{"length", func(t *testing.T, x *fixture) { flip(t, x.path(0), x.items[22].offset()+6) },
		[]string{"pages/00000000.page at {22}: record"}},
	{"CAS", func(t *testing.T, x *fixture) { flip(t, x.path(1), x.items[160].offset()+16) },
		[]string{"pages/00000001.page at {160}: record of key-160: checksum does not hold"}},
	{"index frame", func(t *testing.T, x *fixture) { flip(t, x.path(0), firstExtent(t, x).index+50) },
		[]string{"pages/00000000.page at {index}: index frame: checksum does not hold"}},
	{"page header", func(t *testing.T, x *fixture) { flip(t, x.path(0), 33) },
		[]string{"pages/00000000.page at 0: page header: checksum does not hold"}},
	{"magic", func(t *testing.T, x *fixture) { flip(t, x.path(0), 3) },
		[]string{"pages/00000000.page at 0: page header: not a page"}},
	{"trailer", func(t *testing.T, x *fixture) { flip(t, x.path(0), testPage-16384+70) },
		[]string{"pages/00000000.page at 1032192: page trailer: checksum does not hold"}},
	{"swapped", func(t *testing.T, x *fixture) {
		must(t, os.Rename(x.path(0), x.path(9)))
		must(t, os.Rename(x.path(1), x.path(0)))
		must(t, os.Rename(x.path(9), x.path(1)))
	}, []string{"pages/00000000.page at 16: the header is of page 1, the file's name is of page 0", "pages/00000001.page at 16: "}},
	{"cut short", func(t *testing.T, x *fixture) { must(t, os.Truncate(x.path(1), testPage-3*4096)) },
		[]string{"pages/00000001.page at 1036288: the file has 1036288 bytes, a page has 1048576"}},
	{"cut in records", func(t *testing.T, x *fixture) { must(t, os.Truncate(x.path(1), 900000)) },
		[]string{"pages/00000001.page at 8", "pages/00000001.page at 900000: the file has 900000 bytes", "*index frame: cut short"}},
	{"gone", func(t *testing.T, x *fixture) { must(t, os.Remove(x.path(1))) },
		[]string{"pages/00000001.page: the file is missing; the catalog names "}},
	{"catalog", func(t *testing.T, x *fixture) {
		names, err := filepath.Glob(filepath.Join(x.dir, "catalog", "MANIFEST-*"))
		must(t, err)
		flip(t, names[0], 20)
	}, []string{"catalog: open catalog: "}},
	{"no catalog", func(t *testing.T, x *fixture) { must(t, os.RemoveAll(filepath.Join(x.dir, "catalog"))) },
		[]string{"catalog: there is no catalog"}},
	{"journal entry", func(t *testing.T, x *fixture) { flip(t, filepath.Join(x.dir, "journal"), 4096+32*7+24) },
		[]string{"journal at 4320: entry 7: journal entry is not whole"}},
	{"journal header", func(t *testing.T, x *fixture) { flip(t, filepath.Join(x.dir, "journal"), 20) },
		[]string{"journal: journal cannot be used: checksum of its header does not hold"}},
	{"no journal", func(t *testing.T, x *fixture) { must(t, os.Remove(filepath.Join(x.dir, "journal"))) },
		[]string{"journal: journal cannot be used: there is none"}},
	{"another journal", func(t *testing.T, x *fixture) {
		other := fixtureOf(t, t.TempDir(), 0, 5, func(int) int { return 10 })
		must(t, os.Rename(filepath.Join(other.dir, "journal"), filepath.Join(x.dir, "journal")))
	}, []string{"journal at 16: it belongs to catalog "}},
	{"hot list", func(t *testing.T, x *fixture) { flip(t, filepath.Join(x.dir, "hot"), 40) },
		[]string{"hot: bad list of hot values: checksum does not hold"}},
}

// extent is where one is.
type extent struct{ start, index int64 }

func (x *fixture) at(i int) string { return fmt.Sprint(x.items[i].offset()) }

func firstExtent(t *testing.T, x *fixture) extent {
	t.Helper()
	f, err := os.Open(x.path(0))
	must(t, err)
	defer f.Close()
	tr, err := flashtier.ReadTrailer(f, testPage)
	must(t, err)
	return extent{int64(tr.Extents[0].Start), int64(tr.Extents[0].Index)}
}

func TestVerifyFindsFaults(t *testing.T) {
	for _, test := range plants {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			x := newFixture(t)
			places := strings.NewReplacer("{20}", x.at(20), "{21}", x.at(21), "{22}", x.at(22), "{160}", x.at(160),
				"{index}", fmt.Sprint(firstExtent(t, x).index))
			test.plant(t, x)
			report, err := x.look(t).Verify(t.Context(), nil)
			must(t, err)
			if len(report.Faults) == 0 {
				t.Fatal("no fault is found")
			}
			for i, f := range report.Faults {
				t.Log(f)
				if i >= len(test.want) {
					t.Errorf("one fault too many")
					continue
				}
				want, after := strings.CutPrefix(places.Replace(test.want[i]), "*")
				if s := f.String(); after && !strings.Contains(s, want) || !after && !strings.HasPrefix(s, want) {
					t.Errorf("want %s", want)
				}
			}
			if len(report.Faults) < len(test.want) {
				t.Errorf("%d faults, want %q", len(report.Faults), test.want)
			}
		})
	}
}

// TestVerifyOtherFile has a sound page of another directory, with the same id and
// version, in place of one: only the catalog knows better.
func TestVerifyOtherFile(t *testing.T) {
	for _, test := range []struct {
		first int
		size  func(i int) int
		want  []string
	}{
		{0, func(i int) int { return 7000 + i ^ 1 }, []string{
			"catalog: page 0 version 1700000000: it names 18 records where none begins, the first at 39256",
			"catalog: page 0 version 1700000000: 4 records are said to have died or been touched where none begins, the first at 95576",
			"pages/00000000.page at 257856: index frame: 36 of its 36 entries are wrong: the key of the record at 4096 has hash ",
		}},
		{100, func(i int) int { return 7000 + i }, []string{
			"catalog: page 0 version 1700000000: 143 records are not those it names: the key of the record at 4096 has hash ",
		}},
	} {
		x := newFixture(t)
		other := fixtureOf(t, t.TempDir(), test.first, testItems, test.size)
		must(t, os.Rename(other.path(0), x.path(0)))
		report, err := x.look(t).Verify(t.Context(), nil)
		must(t, err)
		for _, want := range test.want {
			if !slices.ContainsFunc(report.Faults, func(f Fault) bool { return strings.HasPrefix(f.String(), want) }) {
				t.Errorf("%s: not among %d faults", want, len(report.Faults))
			}
		}
		if t.Failed() {
			for _, f := range report.Faults {
				t.Log(f)
			}
		}
	}
}

func TestVerifyHealthy(t *testing.T) {
	x := newFixture(t)
	report, err := x.look(t).Verify(t.Context(), nil)
	must(t, err)
	live := 0
	for _, it := range x.items {
		if it.state == Live {
			live++
		}
	}
	if len(report.Faults)+len(report.Notes) != 0 || report.Records != testItems || report.Live != int64(live) ||
		report.Named != testItems || report.Entries != 60 || report.PagesChecked != report.Pages || report.BytesChecked != report.Bytes {
		t.Errorf("%+v, want %d live", report, live)
	}
}

// TestNewerFormat tells a page of a newer version from a broken one.
func TestNewerFormat(t *testing.T) {
	x := newFixture(t)
	f, err := os.OpenFile(x.path(1), os.O_RDWR, 0)
	must(t, err)
	_, err = f.WriteAt([]byte{99}, 8)
	must(t, errors.Join(err, f.Close()))
	report, err := x.look(t).Verify(t.Context(), nil)
	must(t, err)
	if len(report.Faults) == 0 || !strings.Contains(report.Faults[0].String(), "pages/00000001.page: newer format: 99, newest known is") {
		t.Errorf("%v", report.Faults)
	}
}
