package pageinspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/hearthcache/hearth/flashtier"
)

// FuzzPage puts any bytes into a page of any format: whatever they are, every
// command says what it can read, and no more than there is.
func FuzzPage(f *testing.F) {
	var pages [][]byte
	for format := 1; format <= flashtier.FormatVersion; format++ {
		page, err := os.ReadFile(filepath.Join("..", "..", "testdata", "pages", fmt.Sprintf("v%d", format), "sealed.page"))
		if err != nil {
			f.Fatal(err)
		}
		pages = append(pages, page)
	}
	for _, at := range []uint32{0, 8, 24, 4096, 4100, 4125, 9408, 9412, 12288, 1032192, 1032216, 1032260} {
		f.Add(byte(at), at, []byte{0xff, 0xff, 0xff, 0x0f}, uint32(testPage))
		f.Add(byte(at>>3), at, make([]byte, 200), uint32(at))
	}
	f.Add(byte(1), uint32(0), pages[0][:64], uint32(20))
	f.Fuzz(func(t *testing.T, which byte, at uint32, b []byte, end uint32) {
		page := pages[int(which)%len(pages)]
		dir := t.TempDir()
		must(t, os.Mkdir(filepath.Join(dir, pagesName), 0o700))
		path := filepath.Join(dir, pagesName, flashtier.PageFileName(1))
		spoilt := append([]byte(nil), page...)
		copy(spoilt[min(int(at), len(spoilt)):], b)
		must(t, os.WriteFile(path, spoilt[:min(int(end), len(spoilt))], 0o600))
		d, err := Open(dir)
		must(t, err)
		defer d.Close()
		mustTile(t, d.Pages[0])
		ctx := context.Background()
		for _, err := range []error{
			d.PrintPage(ctx, io.Discard, d.Pages[0], true),
			d.Hexdump(ctx, io.Discard, d.Pages[0], Range{}),
			d.Records(ctx, Filter{}, nil, func(*Found) error { return nil }),
		} {
			if err != nil && !errors.Is(err, ErrBadPlaces) && !errors.Is(err, flashtier.ErrFormat) {
				t.Fatal(err)
			}
		}
		_, err = d.Verify(ctx, nil)
		must(t, err)
	})
}

// mustTile checks that the parts of p leave out nothing, and lie one after the
// other.
func mustTile(t *testing.T, p *Page) {
	s := scanner{free: true}
	at := int64(flashtier.HeaderSize)
	err := s.scan(p, func(f *Found) error {
		if f.Offset != at || f.Size <= 0 {
			t.Fatalf("a part at %d of %d bytes, want one at %d", f.Offset, f.Size, at)
		}
		at += f.Size
		return nil
	})
	if err == nil && s.head.Walk.Size > 0 && at != flashtier.TrailerOffset(s.head.Walk.Size) {
		t.Fatalf("parts end at %d", at)
	}
}
