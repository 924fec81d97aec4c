package flashtier

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/hearthcache/hearth/ioq/ioqtest"
)

// known tells whether err is one that callers are told to expect of reads.
func known(err error) bool {
	for _, want := range []error{ErrGone, ErrIO, ErrCRC, ErrVersion, ErrKey} {
		if errors.Is(err, want) {
			return true
		}
	}
	return false
}

// script writes, seals, reads and reclaims, on whatever the disk does meanwhile.
// It fails the test if a wrong record comes back or an error that nobody is told
// to expect, and gives how many reads of live records missed.
func script(t testing.TB, tier *Tier) (misses int) {
	t.Helper()
	w := tier.NewWriter(BucketDefault)
	live := map[Addr]item{}
	readAll := func() {
		for _, it := range live {
			if err := get(t, tier, nil, it); err != nil {
				if misses++; !known(err) {
					t.Fatalf("read: %v", err)
				}
			}
		}
	}
	tolerate := func(err error) {
		if err != nil && !errors.Is(err, ErrIO) && !errors.Is(err, ErrNoPage) {
			t.Fatalf("write: %v", err)
		}
	}
	for round := range 5 {
		for batch := range 3 {
			items, err := fill(w, nil, 10*round+3*batch, 3, 500*batch)
			tolerate(err)
			for _, it := range items {
				live[it.addr] = it
			}
		}
		_, err := w.Reserve(1, int(tier.opt.longest())-frameSize-flagsSize-8) // closes the page
		tolerate(err)
		if round == 2 {
			readAll()
		}
		if tier.FreePages() == 0 {
			reclaimLive(t, tier, live)
		}
	}
	readAll()
	return misses
}

// reclaimLive frees a page and takes its records from live. It checks that no
// live record is kept from the entries, or that the page is not used again.
func reclaimLive(t testing.TB, tier *Tier, live map[Addr]item) {
	t.Helper()
	id, ok := victim(tier)
	if !ok {
		return
	}
	left := byPage(tier, values(live))[id]
	err := tier.Entries(id, func(hash uint64, a Addr) {
		if it, ok := live[a]; ok && hash != testHash(it.key) {
			t.Fatalf("entry of %s has hash %#x", it.key, hash)
		}
		delete(live, a)
	})
	for _, it := range left {
		if _, ok := live[it.addr]; ok && err == nil {
			t.Fatalf("%s is not among the entries of page %d", it.key, id)
		}
		delete(live, it.addr)
	}
	tier.Free(id)
	if s := tier.Pages()[id].State; err != nil && s != PageRetired {
		t.Fatalf("page %d is %v, although %v", id, s, err)
	}
}

func values(m map[Addr]item) (items []item) {
	for _, it := range m {
		items = append(items, it)
	}
	return items
}

// TestNthFault runs the script with the first call to the disk failing, then the
// second, and on until none is left to fail.
func TestNthFault(t *testing.T) {
	faults := map[string]ioqtest.Fault{
		"EIO":             {Err: syscall.EIO},
		"ENOSPC":          {Err: syscall.ENOSPC},
		"torn":            {Err: syscall.EIO, Torn: true},
		"torn unnoticed":  {Torn: true},
		"flipped bit":     {Flip: true},
		"shifted a block": {Shift: blockSize},
		"shifted back":    {Shift: -blockSize},
	}
	for name, fault := range faults {
		for _, direct := range []bool{false, true} {
			if direct && fault.Err != nil {
				continue // the same calls, and nothing to read back
			}
			struck, n := 1, 0
			for ; struck > 0; n++ {
				struck = strike(t, name, direct, n, fault)
			}
			t.Logf("%s, direct %v: %d places", name, direct, n-1)
		}
	}
}

// strike runs the script with a fault at the nth call and gives how many calls
// were struck.
func strike(t *testing.T, name string, direct bool, n int, fault ioqtest.Fault) (struck int) {
	t.Run(fmt.Sprintf("%s/%v/%d", name, direct, n), func(t *testing.T) {
		disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{Direct: direct})
		o := testOptions(t, disk, 3)
		o.BufferSize, o.Buffers = testPage-trailerSize, 2
		tier := open(t, o)
		disk.Inject(ioqtest.Nth(n, ioqtest.Any, fault))
		misses := script(t, tier)
		if struck = disk.Struck(); struck == 0 && misses > 0 {
			t.Errorf("%d misses without a fault", misses)
		}
	})
	return struck
}

// TestFlippedBit spoils bytes of a page at rest: each such record is ErrCRC, the
// others are read, and too many faults retire the page.
func TestFlippedBit(t *testing.T) {
	tier, disk := newTier(t, 3, ioqtest.DiskOptions{})
	items := fillAll(t, tier, tier.NewWriter(BucketDefault), disk, 0)
	rng := seeded(t)
	limit := tier.opt.PageFaults
	for i, it := range items[:limit] {
		p, off, _ := tier.locate(it.addr)
		n := recordLen(len(it.key), len(it.value), it.flags != 0)
		disk.FlipBit(tier.path(p.id), off+rng.Int64N(n), uint(rng.IntN(8)))
		if err := get(t, tier, disk, it); !errors.Is(err, ErrCRC) {
			t.Fatalf("%s: %v", it.key, err)
		}
		next, want := items[i+1], error(nil)
		if i+1 == limit {
			want = ErrGone
		}
		if err := get(t, tier, disk, next); !errors.Is(err, want) {
			t.Fatalf("%s after %d faults: %v", next.key, i+1, err)
		}
	}
	s := tier.Stats()
	if s.ReadCRC != uint64(limit) || s.PagesRetired != 1 || s.PagesCondemned != 1 {
		t.Errorf("stats %+v", s)
	}
	entries, err := reclaim(t, tier) // the condemned page goes first
	if err != nil || len(entries) != len(byPage(tier, items)[0]) {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	s = tier.Stats()
	if tier.FreePages() != 0 || s.PagesRetired != 1 || s.PagesCondemned != 0 {
		t.Errorf("a retired page is used again: %+v", s)
	}
	if _, err := reclaim(t, tier); err != nil || tier.FreePages() != 1 {
		t.Errorf("%d free pages, %v", tier.FreePages(), err)
	}
	mustGet(t, tier, disk, byPage(tier, items)[2])
}

// TestOpenPageRetires spoils the page that is being written: what is in flight
// for it does not exist, the Writer goes on in another, and the page comes to
// Victim once the Writer has let it go.
func TestOpenPageRetires(t *testing.T) {
	tier, disk := newTier(t, 3, ioqtest.DiskOptions{})
	w := tier.NewWriter(BucketDefault)
	items := mustFill(t, w, disk, 0, 20, 1000)
	late := newItem(50, 1000)
	if err := put(w, &late); err != nil {
		t.Fatal(err)
	}
	disk.Inject(ioqtest.From(0, ioqtest.Is(ioqtest.Read), ioqtest.Fault{Err: syscall.EIO}))
	for i, it := range items[:tier.opt.PageFaults+1] {
		err := get(t, tier, disk, it)
		if want := map[bool]error{false: ErrIO, true: ErrGone}[i == tier.opt.PageFaults]; !errors.Is(err, want) {
			t.Fatalf("read %d: %v", i, err)
		}
	}
	disk.Inject(nil)
	if _, ok := victim(tier); ok {
		t.Error("a page that is being written is a victim")
	}
	if err := flush(w, disk); !errors.Is(err, ErrGone) {
		t.Errorf("write to a retired page: %v", err)
	}
	more := mustFill(t, w, disk, 100, 20, 1000)
	mustGet(t, tier, disk, more)
	entries, err := reclaim(t, tier)
	if err != nil || len(entries) != len(items) {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	if s := tier.Stats(); s.PagesRetired != 1 || s.PagesFree != 1 || s.ReadIO != uint64(tier.opt.PageFaults) {
		t.Errorf("stats %+v", s)
	}
}

// TestFullDisk fails a write in the middle of a page: what was written before
// stays, the page is sealed without the hole, and writing goes on elsewhere.
func TestFullDisk(t *testing.T) {
	tier, disk := newTier(t, 3, ioqtest.DiskOptions{})
	w := tier.NewWriter(BucketDefault)
	before := append(mustFill(t, w, disk, 0, 10, 1000), mustFill(t, w, disk, 10, 10, 1000)...)
	disk.Inject(ioqtest.Nth(0, ioqtest.Is(ioqtest.Write), ioqtest.Fault{Err: syscall.ENOSPC, Torn: true}))
	lost := newItem(20, 1000)
	if err := put(w, &lost); err != nil {
		t.Fatal(err)
	}
	if err := flush(w, disk); !errors.Is(err, ErrIO) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("write to a full disk: %v", err)
	}
	if err := get(t, tier, disk, lost); !errors.Is(err, ErrGone) {
		t.Errorf("a record that was not written: %v", err)
	}
	after := mustFill(t, w, disk, 30, 10, 1000)
	mustGet(t, tier, disk, append(before, after...))
	if byPage(tier, after)[0] != nil {
		t.Error("writing goes on in the page that failed")
	}
	if s := tier.Stats(); s.WriteErrors != 1 || s.ObjectsUsed != 30 || s.DeviceOut {
		t.Errorf("stats %+v", s)
	}
	tier.seals[0].wait()
	if err := verify(disk.Image(tier.path(0))); err != nil {
		t.Errorf("the sealed page: %v", err)
	}
	entries, err := reclaim(t, tier)
	if err != nil || len(entries) != len(before) || tier.FreePages() != 2 {
		t.Errorf("%d entries, %v, %d free pages", len(entries), err, tier.FreePages())
	}
}

// TestLostHeader fails the write that carries the page's header while a later
// one of the same page succeeds: the seal writes the header.
func TestLostHeader(t *testing.T) {
	tier, disk := newTier(t, 3, ioqtest.DiskOptions{Manual: true})
	w := tier.NewWriter(BucketDefault)
	lost, kept := newItem(0, 1000), newItem(1, 1000)
	var batches []*Batch
	for _, it := range []*item{&lost, &kept} {
		if err := put(w, it); err != nil {
			t.Fatal(err)
		}
		b, _ := w.Flush()
		batches = append(batches, b)
	}
	disk.Complete(1)
	disk.Inject(ioqtest.Nth(0, ioqtest.Any, ioqtest.Fault{Err: syscall.EIO}))
	disk.Complete(0)
	if err := batches[1].Err(); err != nil {
		t.Error(err)
	}
	if err := batches[0].Err(); !errors.Is(err, ErrIO) {
		t.Errorf("failed write: %v", err)
	}
	for _, b := range batches {
		b.Release()
	}
	mustGet(t, tier, disk, []item{kept})
	if _, err := w.Reserve(1, 1); err != nil { // lets the failed page go
		t.Fatal(err)
	}
	disk.Drain()
	page := disk.Image(tier.path(0))
	if err := verify(page); err != nil {
		t.Fatalf("the sealed page: %v", err)
	}
	s, _ := NewScanner(page)
	if !s.Next() {
		t.Fatal("the record that was written is not found")
	}
	check(t, kept, s.rec)
	disk.Release()
}

// TestPageThatCannotBeWrittenIsRetired fails writes to one file only.
func TestPageThatCannotBeWrittenIsRetired(t *testing.T) {
	disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
	o := testOptions(t, disk, 3)
	o.PageFaults = 3
	tier := open(t, o)
	bad := tier.path(1)
	disk.Inject(func(c ioqtest.Call) ioqtest.Fault {
		if c.Verb == ioqtest.Write && c.Path == bad {
			return ioqtest.Fault{Err: syscall.EIO}
		}
		return ioqtest.Fault{}
	})
	w := tier.NewWriter(BucketDefault)
	for n := 0; tier.Stats().PagesRetired == 0; n++ {
		if n == 1000 {
			t.Fatalf("not retired: %+v", tier.Stats())
		}
		items, err := fill(w, disk, n, 20, 9000)
		if errors.Is(err, ErrNoPage) {
			if _, err := reclaim(t, tier); err != nil {
				t.Fatal(err)
			}
		}
		mustGet(t, tier, disk, items)
	}
	if s := tier.Stats(); s.WriteErrors != uint64(o.PageFaults) || s.DeviceOut {
		t.Errorf("stats %+v", s)
	}
}

// TestFaultsAreForgiven has one fault in every other life of the pages: such
// pages are not retired.
func TestFaultsAreForgiven(t *testing.T) {
	tier, disk := newTier(t, 2, ioqtest.DiskOptions{})
	w := tier.NewWriter(BucketDefault)
	for life := range 6 * tier.opt.PageFaults {
		items := fillAll(t, tier, w, disk, 0)
		it := items[len(items)-1]
		if life/2%2 == 0 {
			p, off, _ := tier.locate(it.addr)
			disk.FlipBit(tier.path(p.id), off+40, 0)
			if err := get(t, tier, disk, it); !errors.Is(err, ErrCRC) {
				t.Fatal(err)
			}
		}
		if _, err := reclaim(t, tier); err != nil || tier.FreePages() != 1 {
			t.Fatalf("life %d: %v, stats %+v", life, err, tier.Stats())
		}
	}
}

// TestDeviceOut fails all writes from some time on: the Writer is told, and what
// was written before can be read.
func TestDeviceOut(t *testing.T) {
	tier, disk := newTier(t, 8, ioqtest.DiskOptions{})
	w := tier.NewWriter(BucketDefault)
	items := mustFill(t, w, disk, 0, 20, 9000)
	disk.Inject(ioqtest.From(0, ioqtest.Is(ioqtest.Write), ioqtest.Fault{Err: syscall.EIO}))
	var err error
	tries := 0
	for ; !errors.Is(err, ErrDeviceOut); tries++ {
		if _, err = fill(w, disk, 100, 1, 9000); err == nil || tries > 20 {
			t.Fatalf("try %d: %v", tries, err)
		}
	}
	if tries != tier.opt.DevicePages+1 || !tier.Stats().DeviceOut {
		t.Errorf("out after %d tries, stats %+v", tries, tier.Stats())
	}
	mustGet(t, tier, disk, items)
}

// TestDeviceComesBack fills the disk for long: a page is tried now and then, none is
// retired for it, and once there is room again all goes on. Each change is told in
// one line.
func TestDeviceComesBack(t *testing.T) {
	disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
	o := testOptions(t, disk, 6)
	now := uint32(testClock)
	o.Now = func() uint32 { return now }
	said := collect(&o)
	tier := open(t, o)
	w := tier.NewWriter(BucketDefault)
	items := mustFill(t, w, disk, 0, 20, 9000)
	disk.Inject(ioqtest.From(0, ioqtest.Is(ioqtest.Write), ioqtest.Fault{Err: syscall.ENOSPC}))
	for n := 0; !tier.Stats().DeviceOut; n++ {
		if _, err := fill(w, disk, 100, 1, 9000); err == nil || n > 20 {
			t.Fatal(err)
		}
	}
	failed := tier.Stats().WriteErrors
	for try := range uint64(10 * tier.opt.PageFaults) {
		now += deviceAgain - 1
		if _, err := fill(w, disk, 100, 1, 9000); !errors.Is(err, ErrDeviceOut) {
			t.Fatalf("try %d, too early: %v", try, err)
		}
		now++
		if _, err := fill(w, disk, 100, 1, 9000); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("try %d: %v", try, err)
		}
		if s := tier.Stats(); !s.DeviceOut || s.WriteErrors != failed+try+1 {
			t.Fatalf("try %d: %+v", try, s)
		}
	}
	disk.Inject(nil)
	if _, err := fill(w, disk, 100, 1, 9000); !errors.Is(err, ErrDeviceOut) {
		t.Fatalf("too early: %v", err)
	}
	tier.TryDevice() // as now += deviceAgain does
	more := mustFill(t, w, disk, 100, 1, 9000)
	more = append(more, mustFill(t, w, disk, 101, 200, 9000)...)
	mustGet(t, tier, disk, append(items, more...))
	if s := tier.Stats(); s.DeviceOut || s.PagesRetired+s.PagesCondemned > 0 {
		t.Errorf("%+v", s)
	}
	if out, in := strings.Count(said.String(), "takes no writes any more"), strings.Count(said.String(), "takes writes again"); out != 1 || in != 1 {
		t.Errorf("out %d times, in %d times:\n%s", out, in, said)
	}
}

// TestDeviceStaysIn fails one write in every page, which is bad but not the end.
func TestDeviceStaysIn(t *testing.T) {
	tier, disk := newTier(t, 8, ioqtest.DiskOptions{})
	w := tier.NewWriter(BucketDefault)
	for page := range 2 * tier.opt.DevicePages {
		if tier.FreePages() == 0 {
			if _, err := reclaim(t, tier); err != nil {
				t.Fatal(err)
			}
		}
		mustGet(t, tier, disk, mustFill(t, w, disk, 10*page, 1, 100))
		disk.Inject(ioqtest.Nth(0, ioqtest.Is(ioqtest.Write), ioqtest.Fault{Err: syscall.EIO}))
		if _, err := fill(w, disk, 10*page+1, 1, 100); !errors.Is(err, ErrIO) {
			t.Fatalf("page %d: %v", page, err)
		}
		disk.Inject(nil)
	}
	if s := tier.Stats(); s.DeviceOut || s.WriteErrors != uint64(2*tier.opt.DevicePages) {
		t.Errorf("stats %+v", s)
	}
}

// TestFilesThatCannotBeOpened is TestDeviceOut for a device that gives no file.
func TestFilesThatCannotBeOpened(t *testing.T) {
	for _, verb := range []ioqtest.Verb{ioqtest.Open, ioqtest.Truncate} {
		tier, disk := newTier(t, 8, ioqtest.DiskOptions{})
		disk.Inject(ioqtest.Nth(0, ioqtest.Is(verb), ioqtest.Fault{Err: syscall.EMFILE}))
		w := tier.NewWriter(BucketDefault)
		if _, err := w.Reserve(1, 1); !errors.Is(err, ErrIO) || !errors.Is(err, syscall.EMFILE) || tier.FreePages() != 8 {
			t.Errorf("%s fails: %v, %d free pages", verb, err, tier.FreePages())
		}
		mustGet(t, tier, disk, mustFill(t, w, disk, 0, 20, 9000))
		disk.Inject(ioqtest.From(0, ioqtest.Is(verb), ioqtest.Fault{Err: syscall.EMFILE}))
		var err error
		for n := 0; !errors.Is(err, ErrDeviceOut); n++ {
			if _, err = fill(w, disk, n, 200, 9000); errors.Is(err, ErrNoPage) || n > 20 {
				t.Fatalf("%s: %v", verb, err)
			}
		}
	}
}

// TestDeviceOutWhileWriting lets a buffer arrive after the device went out: that
// does not bring it in again.
func TestDeviceOutWhileWriting(t *testing.T) {
	disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{Manual: true})
	tier := open(t, testOptions(t, disk, 6))
	w, other := tier.NewWriter(BucketDefault), tier.NewWriter(BucketCompact)
	late := newItem(0, 1000)
	if err := put(w, &late); err != nil {
		t.Fatal(err)
	}
	b, err := w.Flush()
	if err != nil {
		t.Fatal(err)
	}
	disk.Inject(ioqtest.From(0, ioqtest.Is(ioqtest.Open), ioqtest.Fault{Err: syscall.ENOSPC}))
	for range tier.opt.DevicePages {
		if _, err := other.Reserve(1, 1); !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	disk.Drain()
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	b.Release()
	if _, err := other.Reserve(1, 1); !errors.Is(err, ErrDeviceOut) || !tier.Stats().DeviceOut {
		t.Errorf("after a late write: %v", err)
	}
	disk.Release()
}
