package flashtier

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/hearthcache/hearth/ioq/ioqtest"
)

// pageOf sorts items by page.
func byPage(tier *Tier, items []item) map[PageID][]item {
	m := map[PageID][]item{}
	for _, it := range items {
		p, _, _ := tier.locate(it.addr)
		m[p.id] = append(m[p.id], it)
	}
	return m
}

// fillAll writes until no page is free.
func fillAll(t testing.TB, tier *Tier, w *Writer, d *ioqtest.Disk, n int) []item {
	t.Helper()
	items, err := fill(w, d, n, 1<<20, 9000)
	if !errors.Is(err, ErrNoPage) {
		t.Fatalf("fill: %v", err)
	}
	return items
}

func TestReclaimOldestFirst(t *testing.T) {
	tier, disk := newTier(t, 4, ioqtest.DiskOptions{})
	w := tier.NewWriter(BucketDefault)
	items := fillAll(t, tier, w, disk, 0)
	pages := byPage(tier, items)
	for want := range PageID(3) {
		id, ok := victim(tier)
		if !ok || id != want {
			t.Fatalf("victim %d, %v, want %d", id, ok, want)
		}
		found := map[Addr]uint64{}
		if err := tier.Entries(id, func(hash uint64, a Addr) { found[a] = hash }); err != nil {
			t.Fatal(err)
		}
		if len(found) != len(pages[id]) {
			t.Errorf("%d entries, %d records", len(found), len(pages[id]))
		}
		for _, it := range pages[id] {
			if found[it.addr] != testHash(it.key) {
				t.Errorf("%s at %v is not among the entries", it.key, it.addr)
			}
			if err := get(t, tier, disk, it); !errors.Is(err, ErrGone) {
				t.Errorf("read of a draining page: %v", err)
			}
		}
		before := tier.Version(pages[id][0].addr)
		tier.Free(id)
		again := mustFill(t, w, disk, 5000+int(want), 1, 9000)
		for _, it := range pages[id] {
			if err := get(t, tier, disk, it); err == nil {
				t.Errorf("%s of the older life was read", it.key)
			}
		}
		if a := again[0].addr; byPage(tier, again)[id] == nil || tier.Version(a) <= before {
			t.Errorf("page %d came back as %v with version %d after %d", id, a, tier.Version(a), before)
		}
		items = fillAll(t, tier, w, disk, 6000+1000*int(want))
	}
	mustGet(t, tier, disk, items)
	if s := tier.Stats(); s.PageReclaims != 3 || s.PageEvictions != 3 || s.ObjectsEvicted == 0 || s.ReadGone == 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestLifelessPageGoesFirst(t *testing.T) {
	tier, _ := newTier(t, 5, ioqtest.DiskOptions{})
	w := tier.NewWriter(BucketDefault)
	pages := byPage(tier, fillAll(t, tier, w, nil, 0))
	for _, it := range pages[2] {
		tier.Dead(it.addr)
	}
	if id, _ := victim(tier); id != 2 {
		t.Errorf("victim %d, although all of page 2 is dead", id)
	}
	tier.Free(2)
	if s := tier.Stats(); s.PageReclaims != 1 || s.PageEvictions != 0 || s.ObjectsEvicted != 0 {
		t.Errorf("a dead page was counted as evicted: %+v", s)
	}
	for _, want := range []PageID{0, 1, 3, 4} {
		if id, ok := victim(tier); !ok || id != want {
			t.Errorf("victim %d, %v, want %d", id, ok, want)
		}
		tier.Free(want)
	}
	if id, ok := victim(tier); ok {
		t.Errorf("victim %d is not sealed", id)
	}
}

func TestExpiredPageGoesFirst(t *testing.T) {
	now := uint32(testClock)
	o := testOptions(t, ioqtest.NewDisk(t, ioqtest.DiskOptions{}), 4)
	o.Now = func() uint32 { return now }
	tier := open(t, o)
	w := tier.NewWriter(BucketLowTTL)
	for i, exp := range []uint32{0, testClock + 50, testClock + 10} { // pages 0, 1, 2
		for _, it := range []item{newItem(2*i, 100), newItem(2*i+1, 100)} {
			if it.exp = exp; exp != 0 && it.key[len(it.key)-1]%2 == 1 {
				it.exp -= 5
			}
			if err := put(w, &it); err != nil {
				t.Fatal(err)
			}
		}
		if err := flush(w, nil); err != nil {
			t.Fatal(err)
		}
		tier.letGo(w.page)
		w.page = nil
	}
	for _, step := range []struct {
		second uint32
		want   PageID
	}{{7, 0}, {10, 2}, {50, 1}} {
		now = testClock + step.second
		if id, _ := victim(tier); id != step.want {
			t.Fatalf("after %d seconds: victim %d, want %d", step.second, id, step.want)
		}
		tier.Free(step.want)
	}
}

// TestEntriesWithoutIndex spoils index frames: the records themselves give the
// entries, and where these are bad too the page is not used again.
func TestEntriesWithoutIndex(t *testing.T) {
	tier, disk := newTier(t, 3, ioqtest.DiskOptions{})
	w := tier.NewWriter(BucketDefault)
	pages := byPage(tier, fillAll(t, tier, w, disk, 0))
	first := tier.pages[0].extents[1]
	disk.FlipBit(tier.path(0), int64(first.Index)+frameSize+3, 1)
	entries, err := reclaim(t, tier)
	if err != nil || len(entries) != len(pages[0]) {
		t.Errorf("%d entries of %d, %v", len(entries), len(pages[0]), err)
	}
	for _, it := range pages[0] {
		if entries[it.addr] != testHash(it.key) {
			t.Errorf("%s is not among the entries", it.key)
		}
	}
	e := tier.pages[1].extents[0]
	disk.FlipBit(tier.path(1), int64(e.Index)+frameSize+3, 1)
	disk.FlipBit(tier.path(1), int64(e.Start)+frameSize+3, 1)
	entries, err = reclaim(t, tier)
	if !errors.Is(err, ErrCRC) || len(entries) != len(pages[1])-int(e.Count) {
		t.Errorf("%d entries of %d, %v", len(entries), len(pages[1]), err)
	}
	if s := tier.Stats(); s.PagesRetired != 1 || s.BadIndexes != 2 || tier.FreePages() != 1 {
		t.Errorf("stats %+v", s)
	}
}

// reclaim2 is reclaim on a manual disk.
func reclaim2(t testing.TB, tier *Tier, d *ioqtest.Disk) (map[Addr]uint64, error) {
	d.Release()
	defer d.Hold()
	return reclaim(t, tier)
}

// TestPinnedPageIsNotFreed leaves a read in flight while its page is reclaimed.
func TestPinnedPageIsNotFreed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tier, disk := newTier(t, 2, ioqtest.DiskOptions{Manual: true})
		w := tier.NewWriter(BucketDefault)
		it := fillAll(t, tier, w, disk, 0)[0]
		disk.Drain() // the trailer
		first, err := tier.StartRead(it.addr, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		second, err := tier.StartRead(it.addr, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		id, _ := victim(tier)
		freed := false
		go func() {
			tier.Free(id)
			freed = true
		}()
		stillPinned := func(when string) {
			t.Helper()
			synctest.Wait()
			if freed || tier.FreePages() != 0 {
				t.Fatalf("freed %s", when)
			}
			if _, err := w.Reserve(1, 1); !errors.Is(err, ErrNoPage) {
				t.Fatalf("reserve %s: %v", when, err)
			}
			if _, err := tier.StartRead(it.addr, nil, 0); !errors.Is(err, ErrGone) {
				t.Fatalf("a new read %s: %v", when, err)
			}
		}
		stillPinned("with two reads in flight")
		disk.Drain()
		stillPinned("with two reads done and not released")
		for _, r := range []*Read{first, second} {
			rec, err := r.Finish(it.key)
			if err != nil {
				t.Fatal(err)
			}
			check(t, it, rec)
		}
		first.Release()
		stillPinned("with one read not released")
		second.Release()
		synctest.Wait()
		if !freed || tier.FreePages() != 1 {
			t.Fatal("not freed after the last read")
		}
		more := mustFill(t, w, disk, 7000, 1, 100)
		mustGet(t, tier, disk, more)
	})
}

// TestFreeAwaitsTrailer leaves the trailer's write in flight while its page is
// reclaimed: it must not fall into the next life.
func TestFreeAwaitsTrailer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tier, disk := newTier(t, 2, ioqtest.DiskOptions{Manual: true})
		w := tier.NewWriter(BucketDefault)
		if _, err := fill(w, disk, 0, 110, 9000); err != nil {
			t.Fatal(err)
		}
		for tier.FreePages() > 0 {
			it := newItem(1, 9000)
			if err := put(w, &it); errors.Is(err, ErrBufferFull) {
				if err := flush(w, disk); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := len(disk.Pending()); n != 1 {
			t.Fatalf("%d operations in flight", n)
		}
		id, ok := victim(tier)
		if !ok {
			t.Fatal("no victim")
		}
		freed := false
		go func() {
			tier.Free(id)
			freed = true
		}()
		synctest.Wait()
		if freed {
			t.Fatal("freed before its trailer was written")
		}
		disk.Drain()
		synctest.Wait()
		if !freed {
			t.Fatal("not freed after its trailer was written")
		}
	})
}
