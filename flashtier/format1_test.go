package flashtier

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// index1 is where the first index frame of the golden page of format 1 is. Its
// first record frame is at firstFrame, of 40 bytes with padding.
const index1 = 9408

// goldenPage1 is the sealed page of format 1: page 1 of a tier.
func goldenPage1(t testing.TB) []byte {
	t.Helper()
	page, err := os.ReadFile(goldenPath(format1, "sealed.page"))
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// TestCorruption1 is TestCorruption for frames of format 1.
func TestCorruption1(t *testing.T) {
	reseal := func(at int) func([]byte) {
		return func(p []byte) {
			n := le.Uint32(p[at+4:])
			le.PutUint32(p[at:], fuzzLife(true).sum(p[at:at+int(n)], int64(at)))
		}
	}
	record := func(f func([]byte)) func([]byte) { return then(f, reseal(firstFrame)) }
	index := func(f func([]byte)) func([]byte) { return then(f, reseal(index1)) }
	entry := index1 + frameSize1
	rows := []struct {
		name    string
		corrupt func([]byte)
		want    error
	}{
		{"nothing", func([]byte) {}, nil},
		{"record CRC", flip(firstFrame), ErrCRC},
		{"record length zero", put32(firstFrame+4, 0), ErrCRC},
		{"record length under its header", put32(firstFrame+4, frameSize1-1), ErrCRC},
		{"record length over any", put32(firstFrame+4, 1<<32-1), ErrCRC},
		{"record past its extent", put32(firstFrame+4, index1-firstFrame+1), ErrTorn},
		{"record value", flip(firstFrame + 200), ErrCRC},
		{"record unwritten", func(p []byte) { clear(p[firstFrame : firstFrame+40]) }, ErrUnwritten},
		{"record from elsewhere", func(p []byte) { copy(p[firstFrame:firstFrame+40], p[firstFrame+40:]) }, ErrCRC},
		{"record of another life", record(flip(firstFrame + 8)), ErrVersion},
		{"record without key", record(put8(firstFrame+28, 0)), ErrLayout},
		{"record shorter than its key", record(put8(firstFrame+28, 9)), ErrLayout},
		{"record of no kind", record(put8(firstFrame+29, 0)), ErrLayout},
		{"record of a later format's kind", record(put8(firstFrame+29, kindFlagged)), ErrLayout},
		{"index in place of a record", record(then(put8(firstFrame+29, kindIndex), put32(firstFrame+4, 48))), ErrLayout},

		{"index CRC", flip(index1), ErrCRC},
		{"entry hash", flip(entry), ErrCRC},
		{"index of another life", index(flip(index1 + 8)), ErrVersion},
		{"index with an entry less", index(put32(index1+4, frameSize1+4*entrySize1)), ErrLayout},
		{"index with half an entry", index(put32(index1+4, frameSize1+4*entrySize1+8)), ErrLayout},
		{"index that is a record", index(then(put8(index1+29, kindRecord), put8(index1+28, 1))), ErrLayout},
		{"first entry is not the first", index(put32(entry+8, firstFrame/unit+1)), ErrLayout},
		{"entries out of order", index(put32(entry+entrySize1+8, firstFrame/unit)), ErrLayout},
		{"entry before its extent", index(put32(entry+entrySize1+8, 0)), ErrLayout},
		{"entry past its extent", index(put32(entry+4*entrySize1+8, index1/unit)), ErrLayout},
		{"entry outside any page", index(put32(entry+4*entrySize1+8, 1<<32-1)), ErrLayout},
	}
	page := goldenPage1(t)
	for _, row := range rows {
		p := bytes.Clone(page)
		row.corrupt(p)
		if err := verify(p); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
	}
}

// directory1 unpacks a tier's directory as the last version that wrote format 1
// left it when it was killed: items 0 to 59 on page 0, which is sealed, and 60 to
// 99 on page 1, which is not. Items 0 to 4 are dead by the catalog, 60 to 64 by
// the journal alone.
func directory1(t *testing.T, to string) {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "testdata", "directories", "v1.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(to, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o700)
		} else {
			var b []byte
			if b, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(path, b, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// items1 gives of what was found the items of directory1, by their keys.
func items1(t *testing.T, tier *Tier, found map[Addr]Entry) (items []item) {
	t.Helper()
	for a := range found {
		r, err := tier.StartRead(a, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		rec, err := r.Finish(nil)
		if err != nil {
			t.Fatalf("%v: %v", a, err)
		}
		n := 0
		if _, err := fmt.Sscanf(string(rec.Key), "key-%d", &n); err != nil {
			t.Fatal(err)
		}
		r.Release()
		if n < 100 {
			it := newItem(n, n*37%400)
			it.addr = a
			items = append(items, it)
		}
	}
	return items
}

// TestDirectory1 starts on a directory of format 1: all that was alive is there,
// what is written goes to pages of format 2, and the old pages are reclaimed.
func TestDirectory1(t *testing.T) {
	o := realOptions(t, 4)
	o.boot = &[16]byte{1}
	directory1(t, o.Dir)
	tier, found, r := restarted(t, o)
	items := items1(t, tier, found)
	if r.Mode != ModeWarm || len(items) != 90 || r.Dead != 10 {
		t.Fatalf("%d items, %+v", len(items), r)
	}
	mustFind(t, tier, found, items)
	items = append(items, stockMore(t, tier, 200, 300, 500)...)
	stop(t, tier, false)

	tier, found, r = restarted(t, o)
	if r.Mode != ModeWarm {
		t.Fatalf("%+v", r)
	}
	mustFind(t, tier, found, items)
	if got := []uint32{tier.pages[0].format, tier.pages[1].format, tier.pages[2].format}; got[0] != 1 || got[1] != 1 || got[2] != 2 {
		t.Errorf("pages are of formats %v", got)
	}
	for _, page := range []struct {
		id      PageID
		records int // dead ones too
	}{{0, 60}, {1, 40}, {2, 100}} {
		entries := map[Addr]uint64{}
		id, ok := victim(tier)
		err := tier.Entries(id, func(hash uint64, a Addr) { entries[a] = hash })
		if !ok || id != page.id || err != nil || len(entries) != page.records {
			t.Fatalf("victim %d, %d entries, %v; want %+v", id, len(entries), err, page)
		}
		for _, it := range items {
			if p, _, _ := tier.locate(it.addr); p.id == id && entries[it.addr] != testHash(it.key) {
				t.Errorf("%s has entry %#x", it.key, entries[it.addr])
			}
		}
		tier.Free(id)
	}
	if s := tier.Stats(); s.BadIndexes != 0 {
		t.Errorf("%d index frames were bad", s.BadIndexes)
	}
	again := stockMore(t, tier, 300, 3000, 1000) // on all pages
	mustGet(t, tier, nil, again)
	stop(t, tier, true)
	for id := range PageID(2) {
		if f, err := tier.lookAtPage(id); err != nil || f.format != FormatVersion {
			t.Errorf("page %d is of format %d, %v", id, f.format, err)
		}
	}
}

// TestRebuild1 loses the catalog of a directory that has pages of both formats.
func TestRebuild1(t *testing.T) {
	o := realOptions(t, 4)
	o.boot = &[16]byte{1}
	directory1(t, o.Dir)
	tier, _, _ := restarted(t, o)
	items := stockMore(t, tier, 200, 300, 500)
	stop(t, tier, false)
	if err := os.RemoveAll(catalogDir(o.Dir)); err != nil {
		t.Fatal(err)
	}
	o.AcceptStale = true
	tier, found, r := restarted(t, o)
	defer stop(t, tier, true)
	old := items1(t, tier, found)
	if r.Mode != ModeStale || len(old) != 100 || r.BadRecords != 0 || r.PagesScanned != 3 {
		t.Errorf("%d items of format 1, %+v", len(old), r)
	}
	mustFind(t, tier, found, append(items, old...))
}
