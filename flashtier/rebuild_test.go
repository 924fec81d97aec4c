package flashtier

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// twoVersions writes each of n keys twice, and some of them a third time, in a
// random order of pages, and gives the records with the highest CAS and all.
func twoVersions(t *testing.T, tier *Tier, n int) (newest map[string]item, all []item) {
	t.Helper()
	rng := seeded(t)
	newest = map[string]item{}
	w := []*Writer{tier.NewWriter(BucketDefault), tier.NewWriter(BucketCompact)}
	for i := range 3 * n {
		it := newItem(i%n, 4000)
		it.cas = rng.Uint64() >> 1
		it.value = append(it.value[:0:0], it.value...)
		it.value[0] = byte(i / n)
		to := w[rng.IntN(2)]
		err := put(to, &it)
		if errors.Is(err, ErrBufferFull) {
			commitFlush(t, to, always)
			err = put(to, &it)
		}
		if err != nil {
			t.Fatal(err)
		}
		if old, ok := newest[string(it.key)]; !ok || old.cas < it.cas {
			newest[string(it.key)] = it
		}
		all = append(all, it)
	}
	commitFlush(t, w[0], always)
	commitFlush(t, w[1], always)
	if err := tier.CommitAll(); err != nil {
		t.Fatal(err)
	}
	return newest, all
}

// TestRebuild loses the catalog and accepts stale values: of every key the record
// with the highest CAS comes back, whether the seed of the hash is known or not.
func TestRebuild(t *testing.T) {
	for _, seedLost := range []bool{false, true} {
		o := realOptions(t, 8)
		tier, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		newest, _ := twoVersions(t, tier, 300)
		stop(t, tier, false)
		if err := os.RemoveAll(catalogDir(o.Dir)); err != nil {
			t.Fatal(err)
		}
		if seedLost {
			removeJournal(o)
			o.Hash = func(key []byte) uint64 { return testHash(key) * 3 }
		}
		o.AcceptStale = true
		tier, found, r := restarted(t, o)
		if r.Mode != ModeStale || r.Why != "there is no catalog" || r.PagesScanned == 0 || r.BadRecords != 0 || r.Dead != 600 {
			t.Errorf("%+v", r)
		}
		mustBeNewest(t, tier, o, found, newest)
		// From here on it is a tier like any other.
		stop(t, tier, false)
		o.AcceptStale = false
		tier, found, r = restarted(t, o)
		if r.Mode != ModeWarm {
			t.Errorf("%+v", r)
		}
		mustBeNewest(t, tier, o, found, newest)
		reclaimRebuilt(t, tier, o, newest)
		stop(t, tier, true)
	}
}

func mustBeNewest(t *testing.T, tier *Tier, o Options, found map[Addr]Entry, newest map[string]item) {
	t.Helper()
	if len(found) != len(newest) {
		t.Errorf("%d records come back of %d keys", len(found), len(newest))
	}
	for _, it := range newest {
		e, ok := found[it.addr]
		if !ok || e.Exptime != it.exp || e.Hash != o.Hash(it.key) {
			t.Fatalf("%s with CAS %d at %v comes back as %+v, %v", it.key, it.cas, it.addr, e, ok)
		}
		if err := get(t, tier, nil, it); err != nil {
			t.Fatal(err)
		}
	}
}

// reclaimRebuilt frees all pages: their entries have the hashes that the records
// came back with, whatever their index frames say.
func reclaimRebuilt(t *testing.T, tier *Tier, o Options, newest map[string]item) {
	t.Helper()
	entries := map[Addr]uint64{}
	for {
		id, ok := victim(tier)
		if !ok {
			break
		}
		if err := tier.Entries(id, func(hash uint64, a Addr) { entries[a] = hash }); err != nil {
			t.Fatal(err)
		}
		tier.Free(id)
	}
	for _, it := range newest {
		if entries[it.addr] != o.Hash(it.key) {
			t.Fatalf("%s at %v has entry %#x", it.key, it.addr, entries[it.addr])
		}
	}
}

// TestRebuildDamaged rebuilds from pages that are unsealed, torn and spoilt: what
// is sound comes back.
func TestRebuildDamaged(t *testing.T) {
	o := realOptions(t, 5)
	tier, items := stock(t, o, 0, 250, 9000)
	pages := byPage(tier, items)
	paths := []string{tier.path(0), tier.path(1), tier.path(2)}
	extents := [][]Extent{tier.pages[0].extents, tier.pages[1].extents, tier.pages[2].extents}
	stop(t, tier, false)
	if len(pages) != 3 {
		t.Fatalf("%d pages", len(pages))
	}
	spoil := func(page int, at int64, n int) {
		b, err := os.ReadFile(paths[page])
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			b[int(at)+i] ^= 0x55
		}
		if err := os.WriteFile(paths[page], b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	spoil(0, int64(extents[0][1].Start)+100, 1) // a record of a sealed page
	spoil(0, int64(extents[0][2].Index)+40, 1)  // an index of it
	spoil(1, dataEnd(testPage), trailerSize)    // the trailer
	spoil(1, int64(extents[1][0].Start)+100, 1) // the first record of that page
	spoil(2, int64(extents[2][1].Index)+40, 1)  // an index of the page that was never sealed
	setCatalogOnFire(t, o)
	o.AcceptStale = true
	tier, found, r := restarted(t, o)
	defer stop(t, tier, false)
	lost := map[Addr]bool{}
	lose := func(page int, e Extent, n int) {
		for _, it := range pages[PageID(page)] {
			if _, off, _ := tier.locate(it.addr); off >= int64(e.Start) && off < int64(e.Index) && n > 0 {
				lost[it.addr] = true
				n--
			}
		}
	}
	lose(0, extents[0][1], 1)
	lose(1, extents[1][0], 1<<20) // without a trailer nothing says where the next record is
	lose(2, extents[2][1], 1<<20)
	if r.BadRecords != 1 || r.PagesScanned != 3 {
		t.Errorf("%+v", r)
	}
	for _, it := range items {
		if _, ok := found[it.addr]; ok == lost[it.addr] {
			t.Errorf("%s at %v: found %v, although it is lost: %v", it.key, it.addr, ok, lost[it.addr])
		}
	}
	for _, it := range items {
		if _, ok := found[it.addr]; ok {
			if err := get(t, tier, nil, it); err != nil {
				t.Errorf("%s: %v", it.key, err)
			}
		}
	}
}

// setCatalogOnFire makes the catalog unusable.
func setCatalogOnFire(t *testing.T, o Options) {
	t.Helper()
	for _, file := range filesIn(t, catalogDir(o.Dir)) {
		if err := os.WriteFile(filepath.Join(catalogDir(o.Dir), file), []byte("fire"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSetAside loses the catalog: the tier starts cold, its pages lie aside and go
// one by one as new ones take their room.
func TestSetAside(t *testing.T) {
	o := realOptions(t, 4)
	tier, items := stock(t, o, 0, 250, 9000)
	stop(t, tier, true)
	setCatalogOnFire(t, o)
	said := collect(&o)
	tier, found, r := restarted(t, o)
	mustFind(t, tier, found, nil)
	if r.Mode != ModeCold || r.Why == "" || strings.Contains(r.Why, "\n") || r.PagesAside != 3 {
		t.Errorf("%+v\n%s", r, said)
	}
	if err := get(t, tier, nil, items[0]); !errors.Is(err, ErrGone) {
		t.Errorf("a record of the lost run: %v", err)
	}
	aside := func() (n int) {
		for _, file := range filesIn(t, asideDir(o.Dir)) {
			if strings.HasSuffix(file, ".page") {
				n++
			}
		}
		return n
	}
	w := tier.NewWriter(BucketDefault)
	for page, want := range []int{3, 2, 1, 0} {
		for full := false; !full; {
			it := newItem(page, 50000)
			err := put(w, &it)
			switch {
			case errors.Is(err, ErrBufferFull):
				commitFlush(t, w, always)
			case err != nil:
				t.Fatal(err)
			}
			full = tier.FreePages() == 3-page
		}
		if n := aside(); n != want || tier.Stats().PagesAside != want {
			t.Errorf("%d pages lie aside while page %d is written, stats %d, want %d", n, page, tier.Stats().PagesAside, want)
		}
	}
	stop(t, tier, false)
}

// TestAcceptedLater starts cold after the catalog was lost, goes on for a while,
// and only then accepts stale values: what lies aside comes back where there is
// room, and never over what was written since.
func TestAcceptedLater(t *testing.T) {
	o := realOptions(t, 6)
	tier, old := stock(t, o, 0, 250, 9000)
	stop(t, tier, true)
	setCatalogOnFire(t, o)
	tier, _, _ = restarted(t, o)
	var since []item
	w := tier.NewWriter(BucketDefault)
	for i := range 20 {
		it := newItem(200+i, 3000)
		it.cas = 1 // less than the old one's, but newer
		if err := put(w, &it); err != nil {
			t.Fatal(err)
		}
		since = append(since, it)
	}
	commitFlush(t, w, always)
	stop(t, tier, false)

	o.AcceptStale = true
	tier, found, r := restarted(t, o)
	pages := byPage(tier, old)
	if r.Mode != ModeStale || r.Why == "" || r.PagesScanned != 2 || tier.Stats().PagesAside != 1 {
		t.Errorf("%+v, %d aside", r, tier.Stats().PagesAside)
	}
	want := map[Addr]item{}
	for _, it := range slices.Concat(pages[1], pages[2]) {
		want[it.addr] = it
	}
	for _, it := range since {
		for a, other := range want {
			if string(other.key) == string(it.key) {
				delete(want, a)
			}
		}
		want[it.addr] = it
	}
	mustFind(t, tier, found, slices.Collect(maps.Values(want)))
	stop(t, tier, true)
}

// TestRebuildCutShort ends the run after a rebuild was begun and before it was
// done: the next one begins anew, or starts cold, and never takes the pages for
// free.
func TestRebuildCutShort(t *testing.T) {
	for _, accept := range []bool{false, true} {
		o := realOptions(t, 8)
		tier, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		newest, _ := twoVersions(t, tier, 100)
		stop(t, tier, false)
		setCatalogOnFire(t, o)
		o.AcceptStale = true
		if tier, err = Open(o); err != nil {
			t.Fatal(err)
		}
		stop(t, tier, false) // without Recover
		o.AcceptStale = accept
		tier, found, r := restarted(t, o)
		if !accept {
			if r.Mode != ModeCold || r.PagesAside == 0 || len(found) != 0 {
				t.Errorf("%+v", r)
			}
		} else {
			mustBeNewest(t, tier, o, found, newest)
		}
		stop(t, tier, false)
	}
}

func TestRebuildRefuses(t *testing.T) {
	o := realOptions(t, 6)
	tier, _ := stock(t, o, 0, 250, 9000)
	stop(t, tier, true)
	setCatalogOnFire(t, o)
	o.AcceptStale = true
	before := filesIn(t, o.Dir)
	for _, row := range []struct {
		page, pages int
		says        string
	}{{2 * testPage, 6, "pages of 1048576 bytes"}, {testPage, 2, "need 3145728"}} {
		other := o
		other.PageSize, other.Size = row.page, int64(row.page)*int64(row.pages)
		if _, err := Open(other); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%+v: %v", row, err)
		}
		if after := filesIn(t, o.Dir); !slices.Equal(before, after) {
			t.Errorf("refused, but changed %v to %v", before, after)
		}
	}
	o.Hash = nil
	tier, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer tier.Close()
	if _, err := tier.Recover(1, func([]Entry) {}); !errors.Is(err, ErrOptions) {
		t.Errorf("without a hash: %v", err)
	}
}
