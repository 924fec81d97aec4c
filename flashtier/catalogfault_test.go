package flashtier

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/hearthcache/hearth/ioq/ioqtest"
)

// faultyFS is a file system in memory whose writes can be made to fail.
type faultyFS struct {
	vfs.FS
	mem   *vfs.MemFS
	calls atomic.Int64 // writes so far
	after atomic.Int64 // those from this one on fail
	until atomic.Int64 // ... and before this one
	err   error
}

func newFaultyFS(err error) *faultyFS {
	f := &faultyFS{mem: vfs.NewCrashableMem(), err: err}
	f.after.Store(1 << 62)
	f.until.Store(1 << 62)
	f.FS = errorfs.Wrap(f.mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo, errorfs.OpCreate,
			errorfs.OpRename, errorfs.OpFilePreallocate, errorfs.OpReuseForWrite, errorfs.OpLink:
			if n := f.calls.Add(1) - 1; n >= f.after.Load() && n < f.until.Load() {
				return f.err
			}
		}
		return nil
	}))
	return f
}

// TestCatalogWriteFails lets the nth write of the catalog and all after it fail,
// for every n: the tier goes on, takes no page from the catalog that it cannot,
// and what had been committed comes back, without what had died.
func TestCatalogWriteFails(t *testing.T) {
	for _, once := range []bool{false, true} {
		for n := int64(0); ; n++ {
			if struck := failCatalog(t, n, once); !struck || t.Failed() {
				t.Logf("%d places", n)
				break
			}
		}
	}
}

func failCatalog(t *testing.T, n int64, once bool) (struck bool) {
	disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
	o := testOptions(t, disk, 4)
	f := newFaultyFS(syscall.ENOSPC)
	o.FS = f
	tier, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	items := stockMore(t, tier, 0, 40, 2000)
	for _, it := range items[:5] {
		tier.Died(it.addr)
	}
	f.after.Store(f.calls.Load() + n)
	if once {
		f.until.Store(f.calls.Load() + n + 1)
	}
	what := fmt.Sprintf("write %d, once %v", n, once)

	w := tier.NewWriter(BucketDefault)
	more, err := fill(w, nil, 100, 20, 2000) // not committed
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, w, newItem(200, 2000))
	commitFlush(t, w, always)
	errCommit := tier.CommitAll()
	if db := tier.catalog.store.Load(); db != nil {
		if flushed, err := db.AsyncFlush(); err == nil && once {
			<-flushed // tables and manifest are written by now
		}
	}
	for _, it := range items[5:10] {
		tier.Died(it.addr)
	}
	tier.foldAll()
	tier.letGo(w.page)
	_, ok := victim(tier)
	errFlush := tier.SetFlushAt(testClock + 10)
	errMark := tier.MarkClean()
	struck = f.calls.Load() > f.after.Load()
	if struck && !once && errMark == nil {
		t.Errorf("%s: marked clean", what)
	}
	if !ok {
		mustGet(t, tier, nil, more) // still readable
		if tier.Stats().CatalogErrors == 0 {
			t.Errorf("%s: no victim, and no error", what)
		}
	}
	stopped := make(chan error, 1)
	go func() { stopped <- tier.Close() }()
	select {
	case <-stopped:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: does not close", what)
	}

	o.FS = f.mem
	tier, found, r := restarted(t, o)
	defer stop(t, tier, false)
	if r.Mode == ModeCold {
		t.Fatalf("%s: %+v", what, r)
	}
	gone := ok && r.Items <= 1 // the victim was the first page
	for i, it := range items {
		_, back := found[it.addr]
		if i < 10 && back {
			t.Errorf("%s: %s comes back, although it died", what, it.key)
		}
		if i >= 10 && !back && !gone {
			t.Errorf("%s: %s does not come back: commit %v, victim %v, flush %v, mark %v, %+v", what, it.key, errCommit, ok, errFlush, errMark, r)
		}
	}
	return struck
}

// TestCatalogHeals lets the nth write of the catalog and all after it fail, and
// then none: it is written again, and nothing is stale for what failed meanwhile.
func TestCatalogHeals(t *testing.T) {
	for n := int64(0); ; n++ {
		f := newFaultyFS(syscall.ENOSPC)
		o := testOptions(t, ioqtest.NewDisk(t, ioqtest.DiskOptions{}), 6)
		o.FS = f
		tier, items := stock(t, o, 0, 250, 9000)
		tier.catalog.pause = 0
		f.after.Store(f.calls.Load() + n)
		w := tier.NewWriter(BucketDefault)
		mustPut(t, w, newItem(300, 2000))
		commitFlush(t, w, always)
		tier.CommitAll()
		tier.catalog.store.Load().AsyncFlush()
		tier.Died(items[5].addr)
		tier.foldAll()
		id, ok := victim(tier)
		errFlush := tier.SetFlushAt(testClock + 10)
		errMark := tier.MarkClean()
		struck := f.calls.Load() > f.after.Load()
		f.after.Store(1 << 62)

		if err := tier.SetFlushAt(0); err != nil {
			t.Fatalf("write %d: after the fault: %v, before: %v, %v", n, err, errFlush, errMark)
		}
		tier.Died(items[6].addr)
		if !ok {
			if id, ok = victim(tier); !ok {
				t.Fatalf("write %d: no victim after the fault", n)
			}
		}
		gone := byPage(tier, items)[id]
		tier.Free(id)
		items = append(items, stockMore(t, tier, 400, 420, 2000)...)
		tier.foldAll()
		if tier.journal.used() != 0 {
			t.Errorf("write %d: journal is not folded", n)
		}
		stop(t, tier, false)
		tier, found, r := restarted(t, o)
		if r.Mode != ModeWarm && errMark != nil || r.BadPages+int(r.BadBlobs) > 0 {
			t.Errorf("write %d: %+v", n, r)
		}
		for i, it := range items {
			_, back := found[it.addr]
			if want := i != 5 && i != 6 && !slices.ContainsFunc(gone, func(g item) bool { return g.addr == it.addr }); back != want {
				t.Errorf("write %d: %s at %v comes back %v, want %v", n, it.key, it.addr, back, want)
			}
		}
		stop(t, tier, false)
		if !struck || t.Failed() {
			t.Logf("%d places", n)
			break
		}
	}
}

// TestCatalogStuck fills the journal while the catalog cannot be written: room
// ends before anything is lost, and if it is not heeded, the next start is cold.
func TestCatalogStuck(t *testing.T) {
	disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
	o := testOptions(t, disk, 4)
	f := newFaultyFS(syscall.EIO)
	o.FS = f
	tier, items := stock(t, o, 0, 40, 2000)
	f.after.Store(0)
	used := 0
	for ; tier.JournalRoom(); used++ {
		tier.Touched(items[0].addr, uint32(used)+testClock+1)
	}
	tier.foldAll()
	if n := int(tier.journal.n); used < n*3/4 || used > n-n/8 {
		t.Errorf("room for %d entries of %d", used, n)
	}
	if s := tier.Stats(); s.JournalUsed != int64(used*entryBytes) || s.FoldErrors == 0 {
		t.Errorf("stats %+v", s)
	}
	for range tier.journal.n {
		tier.Touched(items[0].addr, 1)
	}
	stop(t, tier, false)
	o.FS = f.mem
	tier, found, r := restarted(t, o)
	if r.Mode != ModeCold || len(found) != 0 || !strings.Contains(r.Why, "lost entries") {
		t.Errorf("%+v", r)
	}
	stop(t, tier, true)
}

// TestSyncOfPageFails checks that records whose page could not be synced are not
// in the catalog, nor later ones of the page's life, while they can be read.
func TestSyncOfPageFails(t *testing.T) {
	disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
	o := testOptions(t, disk, 4)
	tier, first := stock(t, o, 0, 10, 2000)
	w := tier.NewWriter(BucketDefault)
	disk.Inject(ioqtest.Nth(0, ioqtest.Is(ioqtest.Sync), ioqtest.Fault{Err: syscall.EIO}))
	var items []item
	for i := range 2 {
		it := newItem(100+i, 2000)
		if err := put(w, &it); err != nil {
			t.Fatal(err)
		}
		items = append(items, it)
		commitFlush(t, w, always)
		if err := tier.CommitAll(); (err == nil) != (i == 1) || i == 0 && !errors.Is(err, syscall.EIO) {
			t.Errorf("commit %d: %v", i, err)
		}
	}
	mustGet(t, tier, nil, items)
	if s := tier.Stats(); s.CatalogErrors != 1 || s.WriteErrors != 1 || s.Blobs != 1 {
		t.Errorf("stats %+v", s)
	}
	stop(t, tier, false)
	tier, found, _ := restarted(t, o)
	mustFind(t, tier, found, first)
	stop(t, tier, false)
}

// TestFoldFreesLate checks that entries keep their places in the journal until
// the batch that has them is on disk.
func TestFoldFreesLate(t *testing.T) {
	o := testOptions(t, ioqtest.NewDisk(t, ioqtest.DiskOptions{}), 4)
	mem := vfs.NewCrashableMem()
	var tier *Tier
	var folding, seen, early atomic.Bool
	o.FS = errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if folding.Load() {
			seen.Store(true)
			early.CompareAndSwap(false, tier.journal.used() < 3)
		}
		return nil
	}))
	tier, items := stock(t, o, 0, 10, 2000)
	for _, it := range items[:3] {
		tier.Died(it.addr)
	}
	folding.Store(true)
	tier.foldAll()
	folding.Store(false)
	if !seen.Load() || early.Load() || tier.journal.used() != 0 {
		t.Errorf("looked %v, too early %v, %d entries left", seen.Load(), early.Load(), tier.journal.used())
	}
	stop(t, tier, false)
}

// TestOpenWriteFails lets the nth write of the catalog and all after it fail while
// a tier is opened, new or not: it is refused in a line that says why, and the
// next start finds everything.
func TestOpenWriteFails(t *testing.T) {
	for _, fresh := range []bool{true, false} {
		for n := int64(0); ; n++ {
			f := newFaultyFS(syscall.ENOSPC)
			o := testOptions(t, ioqtest.NewDisk(t, ioqtest.DiskOptions{}), 4)
			o.FS = f
			var items []item
			if !fresh {
				var tier *Tier
				tier, items = stock(t, o, 0, 40, 2000)
				tier.Died(items[0].addr)
				items = items[1:]
				stop(t, tier, false)
			}
			f.after.Store(f.calls.Load() + n)
			tier, err := Open(o)
			f.after.Store(1 << 62)
			if err == nil {
				stop(t, tier, false)
				t.Logf("%d places", n)
				break
			}
			if s := err.Error(); strings.Contains(s, "\n") || !strings.Contains(s, o.Dir) || !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("write %d: %q", n, s)
			}
			tier, found, r := restarted(t, o)
			if r.Mode == ModeCold {
				t.Fatalf("write %d: %+v", n, r)
			}
			mustFind(t, tier, found, items)
			stop(t, tier, false)
		}
	}
}

// TestFailureLeavesNoTrace fails a victim's and a batch's write of the catalog.
// What comes later for the same pages counts as if that had not been tried.
func TestFailureLeavesNoTrace(t *testing.T) {
	for _, first := range []string{"batch", "victim", "delayed flush"} {
		t.Run(first, func(t *testing.T) { failFirst(t, first) })
	}
}

func failFirst(t *testing.T, first string) {
	f := newFaultyFS(syscall.ENOSPC)
	o := testOptions(t, ioqtest.NewDisk(t, ioqtest.DiskOptions{}), 4)
	o.FS = f
	tier, items := stock(t, o, 0, 150, 9000)
	tier.catalog.pause = 0
	w := tier.NewWriter(BucketDefault)
	mustPut(t, w, newItem(200, 2000))
	f.after.Store(0)
	failures := map[string]func(){
		"batch": func() {
			commitFlush(t, w, always)
			if err := tier.CommitAll(); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("commit: %v", err)
			}
		},
		"victim": func() {
			if _, ok := victim(tier); ok {
				t.Error("a victim")
			}
		},
		"delayed flush": func() {
			if err := tier.SetFlushAt(testClock - 1); !errors.Is(err, syscall.ENOSPC) || tier.FlushAt() != 0 {
				t.Errorf("delayed flush: %v, at %d", err, tier.FlushAt())
			}
		},
	}
	failures[first]()
	delete(failures, first)
	for _, fail := range failures {
		fail()
	}
	f.after.Store(1 << 62)

	tier.Died(items[0].addr)
	more := newItem(201, 2000)
	if err := put(w, &more); err != nil {
		t.Fatal(err)
	}
	commitFlush(t, w, always)
	if err := tier.CommitAll(); err != nil {
		t.Error(err)
	}
	tier.foldAll()
	stop(t, tier, true)
	tier, found, r := restarted(t, o)
	if mustFind(t, tier, found, append(items[1:], more)); r.BadBlobs != 0 || r.Flushed != 0 {
		t.Errorf("%+v", r)
	}
	stop(t, tier, false)
}

// TestOutageIsToldOnce has a catalog that cannot be written for long: one line when
// that begins, few while it lasts, one when it is over.
func TestOutageIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaultyFS(syscall.ENOSPC)
		o := testOptions(t, ioqtest.NewDisk(t, ioqtest.DiskOptions{}), 4)
		o.FS = f
		said := collect(&o)
		tier, items := stock(t, o, 0, 50, 2000)
		f.after.Store(0)
		tier.catalog.store.Load().AsyncFlush()
		for range 60 {
			tier.Touched(items[0].addr, testClock+7)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		during := said.String()
		if out, all := strings.Count(during, "cannot be written any more"), strings.Count(during, "\n"); out != 1 || all > 10 {
			t.Errorf("%d of %d lines say so:\n%s", out, all, during)
		}
		f.after.Store(1 << 62)
		for range 5 {
			tier.Touched(items[0].addr, testClock+8)
			time.Sleep(2 * time.Second)
		}
		synctest.Wait()
		if after := said.String()[len(during):]; strings.Count(after, "can be written again") != 1 || strings.Count(after, "\n") > 1 {
			t.Errorf("afterwards:\n%s", after)
		}
		stop(t, tier, true)
	})
}
