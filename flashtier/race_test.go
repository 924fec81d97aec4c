package flashtier

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hearthcache/hearth/ioq"
	"github.com/hearthcache/hearth/ioq/ioqtest"
)

// slots stands for the cache's index: what each of a few keys points at.
type slots struct {
	mu    sync.Mutex
	items map[int]item
}

func (s *slots) put(n int, it item) (old item, had bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, had = s.items[n]
	s.items[n] = it
	return old, had
}

func (s *slots) get(n int) (item, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it, ok := s.items[n]
	return it, ok
}

// drop removes those of items that point at a.
func (s *slots) drop(a Addr, hash uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, it := range s.items {
		if it.addr == a && testHash(it.key) == hash {
			delete(s.items, n)
			return
		}
	}
}

// TestConcurrent lets a writer, readers and a reclaimer at a small tier, with
// nothing failing: what a slot points at is read as it was written, or has been
// reclaimed meanwhile. There must be no other miss.
func TestConcurrent(t *testing.T) {
	for name, queue := range map[string]func(t *testing.T) ioq.Queue{
		"sim":          func(t *testing.T) ioq.Queue { return ioqtest.NewDisk(t, ioqtest.DiskOptions{}) },
		"sim+direct":   func(t *testing.T) ioq.Queue { return ioqtest.NewDisk(t, ioqtest.DiskOptions{Direct: true}) },
		"pread":        func(t *testing.T) ioq.Queue { return realQueue(t, "pread") },
		"uring+direct": func(t *testing.T) ioq.Queue { return realQueue(t, "uring+direct") },
	} {
		t.Run(name, func(t *testing.T) { concurrent(t, queue(t)) })
	}
}

func concurrent(t *testing.T, q ioq.Queue) {
	o := testOptions(t, q, 4)
	o.PageFaults = 1 << 20 // a read of a page that was reused after the slot was looked at counts as one
	tier := open(t, o)
	index := &slots{items: map[int]item{}}
	var stop atomic.Bool
	var hits atomic.Int64
	var readers sync.WaitGroup
	for range 3 {
		rng := seeded(t)
		readers.Go(func() {
			for !stop.Load() {
				readSlot(t, tier, index, rng.IntN(200), &hits)
			}
		})
	}
	churn(t, tier, index, 1500)
	stop.Store(true)
	readers.Wait()
	if s := tier.Stats(); hits.Load() == 0 || s.PageReclaims == 0 || s.ReadIO != 0 {
		t.Errorf("%d hits, stats %+v", hits.Load(), s)
	}
}

// readSlot reads what slot n points at, if it does.
func readSlot(t *testing.T, tier *Tier, index *slots, n int, hits *atomic.Int64) {
	it, ok := index.get(n)
	if !ok {
		return
	}
	r, err := tier.StartRead(it.addr, nil, 0)
	if err == nil {
		defer r.Release()
		var rec Record
		if rec, err = r.Finish(it.key); err == nil {
			check(t, it, rec)
			hits.Add(1)
			return
		}
	}
	if errors.Is(err, ErrBusy) {
		return
	}
	index.mu.Lock() // as long as the slot is there, its page has not been freed
	defer index.mu.Unlock()
	if index.items[n].addr == it.addr {
		if p, _, _ := tier.locate(it.addr); p.is() != PageDraining {
			t.Errorf("slot %d at %v, still there: %v", n, it.addr, err)
		}
	}
}

// churn writes items over and over, and reclaims from a goroutine of its own
// whenever there is no page.
func churn(t *testing.T, tier *Tier, index *slots, count int) {
	w := tier.NewWriter(BucketDefault)
	rng := seeded(t)
	var batch []item
	var numbers []int
	settle := func() {
		if err := flush(w, nil); err != nil {
			t.Errorf("write: %v", err)
		}
		for i, it := range batch {
			if old, had := index.put(numbers[i], it); had {
				tier.Dead(old.addr)
			}
		}
		batch, numbers = batch[:0], numbers[:0]
	}
	for i := 0; i < count; {
		n := rng.IntN(200)
		it := newItem(n, 5000+rng.IntN(5000))
		switch err := put(w, &it); {
		case err == nil:
			batch, numbers = append(batch, it), append(numbers, n)
			i++
		case errors.Is(err, ErrBufferFull):
			settle()
		case errors.Is(err, ErrNoPage):
			done := make(chan struct{})
			go func() {
				defer close(done)
				reclaimSlots(t, tier, index)
			}()
			<-done
		default:
			t.Errorf("write: %v", err)
			return
		}
	}
	settle()
}

func reclaimSlots(t *testing.T, tier *Tier, index *slots) {
	id, ok := victim(tier)
	if !ok {
		t.Error("no page and no victim")
		return
	}
	if err := tier.Entries(id, func(hash uint64, a Addr) { index.drop(a, hash) }); err != nil {
		t.Error(err)
	}
	tier.Free(id)
}

// TestFaultsRetireOnce lets many readers meet faults of one page at once.
func TestFaultsRetireOnce(t *testing.T) {
	tier, disk := newTier(t, 3, ioqtest.DiskOptions{})
	items := fillAll(t, tier, tier.NewWriter(BucketDefault), disk, 0)
	for _, it := range items[:50] {
		_, off, _ := tier.locate(it.addr)
		disk.FlipBit(tier.path(0), off+60, 3)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, it := range items[:50] {
				if err := get(t, tier, nil, it); !errors.Is(err, ErrCRC) && !errors.Is(err, ErrGone) {
					t.Errorf("%v", err)
				}
			}
		})
	}
	wg.Wait()
	if s := tier.Stats(); s.PagesRetired != 1 || s.PagesCondemned != 1 {
		t.Errorf("stats %+v", s)
	}
}

// TestReadAllocatesNothing covers StartRead to Release on a real queue.
func TestReadAllocatesNothing(t *testing.T) {
	for _, engine := range []string{"pread", "pread+direct", "uring+direct"} {
		tier := open(t, testOptions(t, realQueue(t, engine), 2))
		items := mustFill(t, tier.NewWriter(BucketDefault), nil, 0, 20, 1000)
		i := 0
		allocs := testing.AllocsPerRun(200, func() {
			if err := get(t, tier, nil, items[i%len(items)]); err != nil {
				t.Fatal(err)
			}
			i++
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations a read", engine, allocs)
		}
	}
}

// TestCommitAllocatesNothing covers Reserve to Release of the write path.
func TestCommitAllocatesNothing(t *testing.T) {
	tier := open(t, testOptions(t, realQueue(t, "pread"), 8))
	w := tier.NewWriter(BucketDefault)
	it := newItem(1, 1000)
	write := func() {
		for range 50 {
			if err := put(w, &it); err != nil {
				t.Fatal(err)
			}
		}
		if err := flush(w, nil); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 * tier.opt.Buffers {
		write()
	}
	before := tier.Stats().PageAllocs
	if allocs := testing.AllocsPerRun(3, write); allocs > 2 && tier.Stats().PageAllocs == before {
		t.Errorf("%v allocations for 50 records", allocs)
	}
}

// TestReadBuffers checks the bound on read buffers: reads over it are refused,
// and memory goes from sizes that are idle to those that are wanted.
func TestReadBuffers(t *testing.T) {
	disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{Manual: true})
	o := testOptions(t, disk, 2)
	o.ReadBytes = 1
	tier := open(t, o)
	limit := tier.reads.rest
	w := tier.NewWriter(BucketDefault)
	small := mustFill(t, w, disk, 0, 1, 100)[0]
	large := mustFill(t, w, disk, 1, 1, testBuffer/2)[0]
	var reads []*Read
	startAll := func(it item) int {
		for {
			r, err := tier.StartRead(it.addr, nil, 0)
			if errors.Is(err, ErrBusy) {
				return len(reads)
			}
			if err != nil {
				t.Fatal(err)
			}
			reads = append(reads, r)
		}
	}
	releaseAll := func(it item) {
		disk.Drain()
		for _, r := range reads {
			rec, err := r.Finish(it.key)
			if err != nil {
				t.Fatal(err)
			}
			check(t, it, rec)
			r.Release()
		}
		reads = nil
	}
	for _, step := range []struct {
		it   item
		want int64
	}{
		{small, limit / blockSize},
		{large, limit / testBuffer},
		{small, limit / testBuffer}, // idle large ones serve as well
	} {
		if n := startAll(step.it); int64(n) != step.want {
			t.Errorf("%d reads of %d bytes at once, want %d", n, len(step.it.value), step.want)
		}
		if s := tier.Stats(); s.ReadBufferBytes > limit || s.ReadBusy == 0 {
			t.Errorf("stats %+v", s)
		}
		releaseAll(step.it)
	}
}

func TestReadClasses(t *testing.T) {
	if c := readClass(MaxPageSize); c != readClasses-1 || readClassSize(c) != MaxPageSize {
		t.Errorf("a page is of class %d, %d bytes", c, readClassSize(c))
	}
	for _, n := range []int64{1, blockSize, blockSize + 1, 3 * blockSize, 1 << 20, 1<<20 + 1} {
		if c := readClass(n); readClassSize(c) < n || c > 0 && readClassSize(c-1) >= n {
			t.Errorf("%d bytes are of class %d, %d bytes", n, c, readClassSize(c))
		}
	}
}

func BenchmarkRead(b *testing.B) {
	for _, engine := range []string{"pread", "uring+direct"} {
		b.Run(engine, func(b *testing.B) {
			q, err := ioq.New(ioq.Options{Engine: engine, Dir: b.TempDir()})
			if err != nil {
				b.Skip(err)
			}
			defer q.Close()
			tier := open(b, testOptions(b, q, 8))
			items := mustFill(b, tier.NewWriter(BucketDefault), nil, 0, 4000, 1000)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				it := &items[i*7%len(items)]
				r, err := tier.StartRead(it.addr, nil, 0)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := r.Finish(it.key); err != nil {
					b.Fatal(err)
				}
				r.Release()
			}
			if err := tier.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func BenchmarkCommit(b *testing.B) {
	q, err := ioq.New(ioq.Options{Engine: "pread", Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	tier := open(b, testOptions(b, q, 8))
	w := tier.NewWriter(BucketDefault)
	it := newItem(1, 1000)
	b.SetBytes(1000)
	b.ReportAllocs()
	for b.Loop() {
		for {
			err := put(w, &it)
			if err == nil {
				break
			}
			if errors.Is(err, ErrBufferFull) {
				err = flush(w, nil)
			} else if errors.Is(err, ErrNoPage) {
				id, _ := victim(tier)
				tier.Free(id)
				err = nil
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := tier.Close(); err != nil {
		b.Fatal(err)
	}
}

// TestUrgentRead: where all buffers are in use there is one more for a read that is
// urgent, and for one at a time.
func TestUrgentRead(t *testing.T) {
	disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{Manual: true})
	o := testOptions(t, disk, 2)
	o.ReadBytes = 1
	tier := open(t, o)
	it := mustFill(t, tier.NewWriter(BucketDefault), disk, 1, 1, testBuffer/2)[0]
	first, err := tier.StartUrgentRead(it.addr, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	disk.Drain()
	first.Release()
	last := tier.reads.takeLast(1)
	tier.reads.put(last) // it is there, and takes nothing from the others
	var reads []*Read
	for {
		r, err := tier.StartRead(it.addr, nil, 0)
		if errors.Is(err, ErrBusy) {
			break
		}
		reads = append(reads, r)
	}
	if want := tier.reads.rest / readClassSize(readClass(int64(ClassSize(it.addr.Class())))); int64(len(reads)) < want {
		t.Errorf("%d reads at once, want %d", len(reads), want)
	}
	for range 3 {
		r, err := tier.StartUrgentRead(it.addr, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tier.StartUrgentRead(it.addr, nil, 0); !errors.Is(err, ErrBusy) {
			t.Errorf("a second urgent read: %v", err)
		}
		disk.Drain()
		rec, err := r.Finish(it.key)
		if err != nil {
			t.Fatal(err)
		}
		check(t, it, rec)
		r.Release()
	}
	if s := tier.Stats(); s.ReadBufferBytes > tier.opt.ReadBytes {
		t.Errorf("read buffers take %d bytes of %d", s.ReadBufferBytes, tier.opt.ReadBytes)
	}
	disk.Drain()
	for _, r := range reads {
		r.Release()
	}
}

// TestLentReads: what is lent takes nothing from the reads that there may be, be it
// the last buffer, and holds no page; it is given back once.
func TestLentReads(t *testing.T) {
	disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
	o := testOptions(t, disk, 2)
	o.ReadBytes = 1
	tier := open(t, o)
	it := mustFill(t, tier.NewWriter(BucketDefault), nil, 1, 1, testBuffer/2)[0]
	var lent []*Read
	lend := func(r *Read, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("a read beside %d that are lent: %v", len(lent), err)
		}
		rec, err := r.Finish(it.key)
		if err != nil {
			t.Fatal(err)
		}
		check(t, it, rec)
		r.Lend(rec.Value)
		lent = append(lent, r)
	}
	const many = 50
	for range many {
		lend(tier.StartRead(it.addr, nil, 0))
	}
	var others []*Read
	r, err := tier.StartRead(it.addr, nil, 0)
	for ; err == nil; r, err = tier.StartRead(it.addr, nil, 0) {
		others = append(others, r)
	}
	for range many { // from the last buffer
		lend(tier.StartUrgentRead(it.addr, nil, 0))
	}
	for _, r := range others {
		r.Release()
	}
	if s := tier.Stats(); s.LentBytes < 2*many*testBuffer/2 || s.ReadBufferBytes > tier.opt.ReadBytes {
		t.Errorf("%d bytes are lent, %d in other buffers", s.LentBytes, s.ReadBufferBytes)
	}
	if p, _, _ := tier.locate(it.addr); p.pins.Load() != 0 {
		t.Errorf("the page is pinned %d times", p.pins.Load())
	}
	for _, r := range lent {
		if string(r.Lent()) != string(it.value) {
			t.Fatal("a value has changed while it was lent")
		}
		r.Return()
	}
	b := &tier.reads
	if s := tier.Stats(); s.ReadBufferBytes > tier.opt.ReadBytes || s.LentBytes != 0 || b.limit != b.rest {
		t.Errorf("%d bytes of buffers are kept of %d, limit %d of %d, %d lent", s.ReadBufferBytes, tier.opt.ReadBytes, b.limit, b.rest, s.LentBytes)
	}
}

// TestReadTooLong: a record that no buffer will ever hold, of a time when items
// might be longer, is gone; nobody waits for it.
func TestReadTooLong(t *testing.T) {
	disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
	o := testOptions(t, disk, 2)
	o.ReadBytes = 1
	tier := open(t, o)
	it := mustFill(t, tier.NewWriter(BucketDefault), nil, 1, 1, 100)[0]
	long := NewAddr(it.addr.Place(), ClassFor(1<<20))
	if _, err := tier.StartUrgentRead(long, nil, 0); !errors.Is(err, ErrGone) {
		t.Errorf("a read of %d bytes: %v", ClassSize(long.Class()), err)
	}
}
