package flashtier

import (
	"errors"
	"testing"

	"github.com/hearthcache/hearth/ioq/ioqtest"
)

// TestWriteRead fills three pages with records of every kind of size and reads
// all of them, buffered and direct.
func TestWriteRead(t *testing.T) {
	for _, direct := range []bool{false, true} {
		tier, disk := newTier(t, 4, ioqtest.DiskOptions{Direct: direct})
		w := tier.NewWriter(BucketDefault)
		rng := seeded(t)
		var items []item
		for more := true; more; {
			some, err := fill(w, disk, len(items), 1+rng.IntN(30), rng.IntN(1+rng.IntN(100<<10)))
			if err != nil && !errors.Is(err, ErrNoPage) {
				t.Fatal(err)
			}
			items = append(items, some...)
			more = err == nil
		}
		mustGet(t, tier, disk, items)
		s := tier.Stats()
		if s.ObjectsWritten != uint64(len(items)) || s.ObjectsUsed != int64(len(items)) || s.ObjectsRead != s.ObjectsWritten {
			t.Errorf("%d items, stats %+v", len(items), s)
		}
		if s.PagesFree != 0 || s.PagesUsed != 4 || s.PageAllocs != 4 {
			t.Errorf("stats %+v", s)
		}
		if used := s.BytesUsed; used < int64(s.BytesRead) || used > int64(s.BytesWritten) || used > 4*s.PageSize {
			t.Errorf("%d bytes are used, stats %+v", used, s)
		}
	}
}

func TestBatchEntries(t *testing.T) {
	tier, _ := newTier(t, 2, ioqtest.DiskOptions{})
	w := tier.NewWriter(BucketDefault)
	var items []item
	for i := range 50 {
		it := newItem(i, i*i)
		if err := put(w, &it); err != nil {
			t.Fatal(err)
		}
		items = append(items, it)
	}
	b, err := w.Flush()
	if err != nil || b.Len() != len(items) {
		t.Fatalf("flush: %d records, %v", b.Len(), err)
	}
	for i, it := range items {
		if hash, a := b.Entry(i); hash != testHash(it.key) || a != it.addr {
			t.Errorf("entry %d is %#x %v, want %v", i, hash, a, it.addr)
		}
	}
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	b.Release()
	if b, err := w.Flush(); b != nil || err != nil {
		t.Errorf("nothing to flush: %v, %v", b, err)
	}
}

func TestLargestRecord(t *testing.T) {
	tier, disk := newTier(t, 3, ioqtest.DiskOptions{})
	w := tier.NewWriter(BucketDefault)
	most := int(tier.opt.longest()) - frameSize - flagsSize - len("key-0")
	if _, err := w.Reserve(len("key-0"), most+8); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a byte too many: %v", err)
	}
	var items []item
	for i := range 3 * testPage / testBuffer / 2 {
		small, large := newItem(i, 10), newItem(i%10, most&^7)
		for _, it := range []*item{&small, &large} {
			err := put(w, it)
			if errors.Is(err, ErrBufferFull) {
				if err = flush(w, disk); err == nil {
					err = put(w, it)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			items = append(items, *it)
		}
	}
	if err := flush(w, disk); err != nil {
		t.Fatal(err)
	}
	mustGet(t, tier, disk, items)
}

// TestReserveTwice checks that a Reserve without a Commit leaves nothing behind,
// and that a value may be shorter than its room, or come from elsewhere.
func TestReserveTwice(t *testing.T) {
	tier, disk := newTier(t, 2, ioqtest.DiskOptions{})
	w := tier.NewWriter(BucketDefault)
	if _, err := w.Reserve(5, 1000); err != nil {
		t.Fatal(err)
	}
	it := newItem(1, 100)
	dst, err := w.Reserve(len(it.key), 5000)
	if err != nil || len(dst) != 0 || cap(dst) < 5000 {
		t.Fatalf("%d bytes of %d, %v", len(dst), cap(dst), err)
	}
	it.addr, err = w.Commit(testHash(it.key), it.key, it.value, it.flags, it.exp, it.cas, it.state)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Reserve(1, 10); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(0, []byte("k"), make([]byte, 100), 0, 0, 0, 0); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more than was reserved: %v", err)
	}
	b, err := w.Flush()
	if err != nil || b.Len() != 1 {
		t.Fatalf("flush of %d records: %v", b.Len(), err)
	}
	b.Release()
	mustGet(t, tier, disk, []item{it})
}

func TestWriterIsToldWhatIsMissing(t *testing.T) {
	tier, disk := newTier(t, 2, ioqtest.DiskOptions{Manual: true})
	w := tier.NewWriter(BucketDefault)
	var batches []*Batch
	for range tier.opt.Buffers {
		it := newItem(1, 100)
		if err := put(w, &it); err != nil {
			t.Fatal(err)
		}
		b, _ := w.Flush()
		batches = append(batches, b)
	}
	if _, err := w.Reserve(1, 1); !errors.Is(err, ErrBusy) {
		t.Errorf("all buffers in flight: %v", err)
	}
	if batches[0].Ready() {
		t.Error("ready before the disk is")
	}
	disk.Drain()
	for _, b := range batches {
		if err := b.Err(); err != nil {
			t.Error(err)
		}
		b.Release()
	}
	if _, err := fill(w, disk, 0, 1000, 10000); !errors.Is(err, ErrNoPage) {
		t.Errorf("no page left: %v", err)
	}
	if err := flush(w, disk); err != nil {
		t.Error(err)
	}
	if _, err := reclaim2(t, tier, disk); err != nil {
		t.Error(err)
	}
	if _, err := w.Reserve(1, 1); err != nil {
		t.Errorf("after a reclaim: %v", err)
	}
	if err := tier.Close(); err != nil {
		t.Error(err)
	}
	if _, err := tier.NewWriter(0).Reserve(1, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestWritesOutOfOrder has the writes of a page done in another order than they
// were begun.
func TestWritesOutOfOrder(t *testing.T) {
	tier, disk := newTier(t, 3, ioqtest.DiskOptions{Manual: true})
	w := tier.NewWriter(BucketDefault)
	var batches []*Batch
	var items []item
	for n := range 3 {
		it := newItem(n, 1000)
		if err := put(w, &it); err != nil {
			t.Fatal(err)
		}
		b, err := w.Flush()
		if err != nil {
			t.Fatal(err)
		}
		batches, items = append(batches, b), append(items, it)
	}
	for _, i := range []int{2, 0, 0} { // the last, the first, the one between
		disk.Complete(i)
		for n, b := range batches {
			if !b.Ready() {
				continue
			}
			if err := b.Err(); err != nil {
				t.Fatal(err)
			}
			r, err := tier.StartRead(items[n].addr, nil, 0)
			if err != nil {
				t.Fatalf("write %d is done: %v", n, err)
			}
			disk.Complete(len(disk.Pending()) - 1)
			if rec, err := r.Finish(items[n].key); err != nil {
				t.Fatal(err)
			} else {
				check(t, items[n], rec)
			}
			r.Release()
		}
	}
	for _, b := range batches {
		b.Release()
	}
	tier.letGo(w.page)
	disk.Drain()
	if err := verify(disk.Image(tier.path(0))); err != nil {
		t.Errorf("the sealed page: %v", err)
	}
	disk.Release()
}

// TestLiveBytes: a page tells of no more live bytes than it has, and of no fewer than
// none.
func TestLiveBytes(t *testing.T) {
	for bytes, want := range map[int64]int64{-8: 0, 500: 500, 1000: 1000, 1040: 1000} {
		p := new(page)
		if p.bytes.Store(bytes); p.live(1000) != want {
			t.Errorf("%d of 1000 bytes: %d live", bytes, p.live(1000))
		}
	}
}
