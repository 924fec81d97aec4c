package flashtier

import (
	"bytes"
	"os"
	"slices"
	"testing"
)

// walked are the keys that a walk of page finds of its present life and of older
// ones, and how many entries its indexes have.
func walked(t *testing.T, page []byte, f PageFile) (now, older []string, entries int) {
	t.Helper()
	var w Walker
	at := int64(blockSize)
	err := w.Walk(bytes.NewReader(page), f, func(p *Part) error {
		if p.Offset != at {
			t.Errorf("a part at %d, the one before ended at %d", p.Offset, at)
		}
		at = p.Offset + p.Size
		switch {
		case p.Kind == PartIndex && p.Version == f.Version:
			entries += len(p.Entries(nil))
		case p.Kind == PartRecord && p.Version == f.Version:
			now = append(now, string(p.Record.Key))
		case p.Kind == PartRecord:
			older = append(older, string(p.Record.Key))
		}
		return nil
	})
	if err != nil || at != dataEnd(f.Size) {
		t.Errorf("the walk ends at %d, %v", at, err)
	}
	return now, older, entries
}

// TestWalkGolden walks pages of every format, with and without their trailer.
func TestWalkGolden(t *testing.T) {
	for format := uint32(1); format <= FormatVersion; format++ {
		page := readGolden(t, int(format), "sealed")
		s, err := NewScanner(page)
		if err != nil {
			t.Fatal(err)
		}
		tr, _ := s.Trailer()
		h := s.Header()
		var want []string
		for s.Next() {
			rec, _ := s.Record()
			want = append(want, string(rec.Key))
		}
		for _, extents := range [][]Extent{tr.Extents, nil} {
			f := PageFile{ID: h.ID, Format: h.Format, Version: h.Version, Size: h.Size, Extents: extents}
			if now, _, entries := walked(t, page, f); h.Format != format || entries != len(want) || !slices.Equal(now, want) {
				t.Errorf("format %d, extents %v: %q with %d entries, want %q", format, extents, now, entries, want)
			}
		}
	}
}

// TestWalkOlder walks a page over the end of which an older life still lies, be it
// of the same format or the one before.
func TestWalkOlder(t *testing.T) {
	for format := 1; format <= FormatVersion; format++ {
		page := readGolden(t, FormatVersion, "cut")
		const rest, cut = 3*blockSize + 1024, 8528 // where the record after key-102 is cut short
		clear(page[cut:rest])
		copy(page[rest:], readGolden(t, format, "sealed")[rest:])
		h, err := DecodeHeader(page)
		if err != nil {
			t.Fatal(err)
		}
		f := PageFile{ID: h.ID, Format: h.Format, Version: h.Version, Size: h.Size, Older: true}
		now, older, _ := walked(t, page, f)
		if !slices.Equal(now, []string{"key-100", "key-101", "key-102"}) || !slices.Contains(older, "key-20") {
			t.Errorf("over format %d: %q, and of the older life %q", format, now, older)
		}
	}
}

func readGolden(t *testing.T, format int, name string) []byte {
	t.Helper()
	page, err := os.ReadFile(goldenPath(format, name+".page"))
	if err != nil {
		t.Fatal(err)
	}
	return page
}
