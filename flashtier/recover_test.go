package flashtier

import (
	"sync"
	"testing"

	"github.com/hearthcache/hearth/ioq/ioqtest"
)

// commitFlush is flush with a commit of all records before the release.
func commitFlush(t testing.TB, w *Writer, alive func(i int) bool) {
	t.Helper()
	b, err := w.Flush()
	if err != nil {
		t.Fatal(err)
	}
	b.Wait()
	b.Commit(w.tier.Generation(), asWritten(b, alive))
	b.Release()
}

// asWritten is alive for Commit, with exptimes that are those of the records.
func asWritten(b *Batch, alive func(i int) bool) func(i int) (uint32, bool) {
	return func(i int) (uint32, bool) {
		e := b.entries[i]
		at := int64(e.Unit)*unit - b.off
		rec, _, err := DecodeRecord(b.mem[at:at+int64(e.Size)], b.life, at+b.off)
		if err != nil {
			panic(err) // it was put there a moment ago
		}
		return rec.Exptime, alive(i)
	}
}

func always(int) bool { return true }

// recovered runs Recover and gives what it loaded.
func recovered(t testing.TB, tier *Tier) (map[Addr]Entry, Recovery) {
	t.Helper()
	var mu sync.Mutex
	found := map[Addr]Entry{}
	r, err := tier.Recover(2, func(part []Entry) {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range part {
			if e.Hash>>56 != part[0].Hash>>56 {
				t.Errorf("hashes %#x and %#x in one part", e.Hash, part[0].Hash)
			}
			found[e.Addr] = e
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return found, r
}

func TestRecoverHappyPath(t *testing.T) {
	disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
	o := testOptions(t, disk, 4)
	tier, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	w := tier.NewWriter(BucketDefault)
	var items []item
	for i := range 300 {
		it := newItem(i, 2000)
		if err := put(w, &it); err == ErrBufferFull {
			commitFlush(t, w, always)
			err = put(w, &it)
			if err != nil {
				t.Fatal(err)
			}
		} else if err != nil {
			t.Fatal(err)
		}
		items = append(items, it)
	}
	commitFlush(t, w, always)
	tier.Died(items[7].addr)
	tier.Touched(items[8].addr, testClock+5)
	if err := tier.MarkClean(); err != nil {
		t.Fatal(err)
	}
	if err := tier.Close(); err != nil {
		t.Fatal(err)
	}
	tier = open(t, o)
	found, r := recovered(t, tier)
	t.Logf("%+v", r)
	if len(found) != 299 || r.Dead != 1 || r.Mode != ModeClean {
		t.Errorf("%d found, %+v", len(found), r)
	}
	if found[items[8].addr].Exptime != testClock+5 {
		t.Errorf("exptime %v", found[items[8].addr])
	}
	mustGet(t, tier, nil, items[9:])
}
