package pageinspect

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/hearthcache/hearth/flashtier"
)

var rewrite = flag.Bool("rewrite", false, "write the golden texts")

// outputs are what each command writes.
var outputs = map[string]func(t *testing.T, d *Dir, out io.Writer) error{
	"summary": func(t *testing.T, d *Dir, out io.Writer) error {
		tally, err := d.Tally(t.Context(), nil)
		return errors.Join(err, d.PrintSummary(out, tally))
	},
	"pages": func(t *testing.T, d *Dir, out io.Writer) error {
		tally, err := d.Tally(t.Context(), nil)
		return errors.Join(err, d.PrintPages(out, tally))
	},
	"map": func(t *testing.T, d *Dir, out io.Writer) error {
		tally, err := d.Tally(t.Context(), nil)
		return errors.Join(err, d.Map(out, tally))
	},
	"page": func(t *testing.T, d *Dir, out io.Writer) error {
		p, err := d.Page("1")
		must(t, err)
		return d.PrintPage(t.Context(), out, p, false)
	},
	"hexdump": func(t *testing.T, d *Dir, out io.Writer) error {
		p, err := d.Page("1")
		must(t, err)
		return d.Hexdump(t.Context(), out, p, Range{})
	},
	"records.txt":  list(Lister{Text: true}),
	"records.hex":  list(Lister{Text: true, HexKeys: true}),
	"records.csv":  list(Lister{CSV: true}),
	"records.json": list(Lister{}),
	"get": func(t *testing.T, d *Dir, out io.Writer) error {
		versions, err := d.Get(t.Context(), []byte("key-3"), false, nil)
		return errors.Join(err, PrintVersions(out, versions))
	},
	"verify": func(t *testing.T, d *Dir, out io.Writer) error {
		report, err := d.Verify(t.Context(), nil)
		must(t, err)
		report.Duration = 0
		return report.Print(out)
	},
	"export": func(t *testing.T, d *Dir, out io.Writer) error {
		if _, err := d.ExportCommands(t.Context(), io.Discard, nil, false); !errors.Is(err, ErrNoCatalog) {
			t.Errorf("export without a catalog: %v", err)
		}
		x, err := d.ExportJSON(t.Context(), out, nil, true)
		fmt.Fprintf(out, "%+v\n", x)
		return err
	},
}

func list(l Lister) func(t *testing.T, d *Dir, out io.Writer) error {
	return func(t *testing.T, d *Dir, out io.Writer) error {
		l.Begin(out)
		return errors.Join(d.Records(t.Context(), Filter{}, nil, l.Write), l.End())
	}
}

// TestGolden holds the text of every command on a page file of every format, one
// sealed and one that was cut short in its second life.
func TestGolden(t *testing.T) {
	for format := 1; format <= flashtier.FormatVersion; format++ {
		for _, page := range []string{"sealed", "cut"} {
			d := goldenDir(t, format, page)
			for name, write := range outputs {
				var out bytes.Buffer
				if err := write(t, d, &out); err != nil {
					fmt.Fprintf(&out, "%v\n", err)
				}
				golden(t, filepath.Join("testdata", fmt.Sprintf("v%d-%s", format, page), name), out.Bytes())
			}
		}
	}
}

// goldenDir is a directory with nothing but a golden page in it.
func goldenDir(t *testing.T, format int, page string) *Dir {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "pages", fmt.Sprintf("v%d", format), page+".page"))
	must(t, err)
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "pages"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "pages", flashtier.PageFileName(1)), b, 0o600))
	d, err := Open(dir)
	must(t, err)
	d.Now = testClock + 500
	t.Cleanup(func() { must(t, d.Close()) })
	return d
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *rewrite {
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, got, 0o644))
		return
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}
