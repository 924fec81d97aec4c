package flashtier

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hearthcache/hearth/ioq/ioqtest"
)

var (
	update = flag.Bool("update", false, "write golden pages of a format that is not released yet")
	force  = flag.Bool("force", false, "with -update, rewrite those of a released format, too")
)

// releasedFormat is the newest format that pages in the field may have. Golden
// pages up to it are what those pages look like, so they are never rewritten.
const releasedFormat = 2

var errReleased = errors.New("golden pages of a released format are not rewritten without -force")

// golden compares got with the file, or writes it where that is allowed.
func golden(path string, format int, got []byte, update, force bool) error {
	want, err := os.ReadFile(path)
	if err == nil && bytes.Equal(got, want) {
		return nil
	}
	if !update {
		if err != nil {
			return err
		}
		at := 0
		for at < min(len(got), len(want)) && got[at] == want[at] {
			at++
		}
		return fmt.Errorf("%s: differs from byte %d on, %d bytes for %d", path, at, len(got), len(want))
	}
	if format <= releasedFormat && !force {
		return errReleased
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, got, 0o644)
}

func goldenPath(format int, name string) string {
	return filepath.Join("..", "testdata", "pages", fmt.Sprintf("v%d", format), name)
}

// goldenPages makes, the same each time, a sealed page, and one that was cut
// short in its second life, when the first one lay under it.
func goldenPages(t *testing.T) map[string][]byte {
	disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
	o := testOptions(t, disk, 2)
	o.BufferSize = testPage - trailerSize
	tier := open(t, o)
	mustPut(t, tier.NewWriter(BucketLowTTL), newItem(0, 0)) // takes page 0
	w := tier.NewWriter(BucketDefault)
	for i, sizes := range [][]int{{0, 1, 8, 100, 5000}, {1000, 1000}, {33}} {
		for j, size := range sizes {
			mustPut(t, w, newItem(10*i+j, size))
		}
		if err := flush(w, disk); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Reserve(1, o.BufferSize-blockSize-100); !errors.Is(err, ErrNoPage) { // lets the page go
		t.Fatal(err)
	}
	tier.seals[0].wait()
	pages := map[string][]byte{"sealed": disk.Image(tier.path(1))}

	if _, err := reclaim(t, tier); err != nil {
		t.Fatal(err)
	}
	w = tier.NewWriter(BucketCompact)
	mustPut(t, w, newItem(100, 300))
	mustPut(t, w, newItem(101, 2000))
	if err := flush(w, disk); err != nil {
		t.Fatal(err)
	}
	mustPut(t, w, newItem(102, 300))
	mustPut(t, w, newItem(103, 2000))
	if err := flush(w, disk); err != nil {
		t.Fatal(err)
	}
	cut := disk.Image(tier.path(1))
	copy(cut[2*blockSize+1024:], pages["sealed"][2*blockSize+1024:])
	pages["cut"] = cut
	return pages
}

func mustPut(t testing.TB, w *Writer, it item) {
	t.Helper()
	if err := put(w, &it); err != nil {
		t.Fatal(err)
	}
}

// describe is what a page says, one line for each thing in it.
func describe(page []byte) []byte {
	var b strings.Builder
	s, err := NewScanner(page)
	if err != nil {
		return fmt.Appendf(nil, "%v\n", err)
	}
	h := s.Header()
	fmt.Fprintf(&b, "header {ID:%d Version:%d Size:%d Created:%d Bucket:%d}\n", h.ID, h.Version, h.Size, h.Created, h.Bucket)
	if tr, ok := s.Trailer(); ok {
		fmt.Fprintf(&b, "trailer {ID:%d Version:%d Records:%d Sealed:%d Extents:%+v}\n",
			tr.ID, tr.Version, tr.Records, tr.Sealed, tr.Extents)
		for _, e := range tr.Extents {
			describeIndex(&b, page, h.Life(), e)
		}
	}
	for s.Next() {
		rec, err := s.Record()
		if err != nil {
			fmt.Fprintf(&b, "bad: %v\n", err)
			continue
		}
		fmt.Fprintf(&b, "record %v %s flags %d exptime %d cas %d state %d value %d bytes, sum %08x\n", rec.Addr,
			rec.Key, rec.Flags, rec.Exptime, rec.CAS, rec.State, len(rec.Value), checksum(rec.Value))
	}
	fmt.Fprintf(&b, "end at %d\n", s.Offset())
	return []byte(b.String())
}

func describeIndex(b *strings.Builder, page []byte, l Life, e Extent) {
	end := int64(e.Index) + l.frameLength(page[e.Index:])
	x, err := DecodeIndex(page[e.Index:], l, e)
	fmt.Fprintf(b, "index at %d: %v, ends %d\n", e.Index, err, alignUp(end, blockSize))
	for r := range x.All() {
		off := int64(r.Unit) * unit
		rec, _, _ := DecodeRecord(page[off:], l, off)
		fmt.Fprintf(b, "  {Hash:%d Unit:%d Exptime:%d}, %d bytes\n", r.Hash, r.Unit, rec.Exptime, r.Size)
	}
}

// TestGoldenWrite checks that what is written is still the newest format, byte
// for byte.
func TestGoldenWrite(t *testing.T) {
	for name, page := range goldenPages(t) {
		if err := golden(goldenPath(FormatVersion, name+".page"), FormatVersion, page, *update, *force); err != nil {
			t.Error(err)
		}
	}
}

// TestGoldenRead checks that pages of every format are still understood.
func TestGoldenRead(t *testing.T) {
	for format := 1; format <= FormatVersion; format++ {
		for _, name := range []string{"sealed", "cut"} {
			page, err := os.ReadFile(goldenPath(format, name+".page"))
			if err != nil {
				t.Fatal(err)
			}
			if err := golden(goldenPath(format, name+".txt"), format, describe(page), *update, *force); err != nil {
				t.Errorf("%v\ngot\n%s", err, describe(page))
			}
		}
	}
}

// TestReleasedGoldensStay checks the check: -update alone must not rewrite what
// is released.
func TestReleasedGoldensStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.page")
	next := releasedFormat + 1
	for _, step := range []struct {
		format, got   int
		update, force bool
		ok            bool
	}{
		{next, 1, false, false, false}, // absent
		{next, 1, true, false, true},   // written
		{next, 1, false, false, true},  // the same
		{next, 2, false, false, false}, // differs
		{next, 2, true, false, true},   // rewritten
		{releasedFormat, 3, true, false, false},
		{releasedFormat, 2, true, false, true}, // still the same
		{releasedFormat, 3, true, true, true},
	} {
		err := golden(path, step.format, fmt.Append(nil, step.got), step.update, step.force)
		if (err == nil) != step.ok {
			t.Errorf("%+v: %v", step, err)
		}
	}
}

func goldenCatalog(format int, name string) string {
	return filepath.Join("..", "testdata", "catalog", fmt.Sprintf("v%d", format), name)
}
