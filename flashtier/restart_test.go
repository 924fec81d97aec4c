package flashtier

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"

	"github.com/hearthcache/hearth/ioq/ioqtest"
)

// realOptions are those of a tier on real files.
func realOptions(t testing.TB, pages int) Options {
	o := testOptions(t, realQueue(t, "pread"), pages)
	o.FS, o.Dir = vfs.Default, quickDir(t)
	return o
}

// quickDir is a directory on a file system in memory, where there is one with
// room, for tests that open many tiers: a sync costs nothing there.
func quickDir(t testing.TB) string {
	var fs unix.Statfs_t
	if unix.Statfs("/dev/shm", &fs) != nil || int64(fs.Bavail)*fs.Bsize < 1<<30 {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("/dev/shm", "hearth-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// stock opens a tier and commits items from..to.
func stock(t testing.TB, o Options, from, to, size int) (*Tier, []item) {
	t.Helper()
	tier, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return tier, stockMore(t, tier, from, to, size)
}

func stockMore(t testing.TB, tier *Tier, from, to, size int) (items []item) {
	t.Helper()
	w := tier.NewWriter(BucketDefault)
	for i := from; i < to; {
		it := newItem(i, size)
		err := put(w, &it)
		if errors.Is(err, ErrBufferFull) {
			commitFlush(t, w, always)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, it)
		i++
	}
	commitFlush(t, w, always)
	if err := tier.CommitAll(); err != nil {
		t.Fatal(err)
	}
	return items
}

// stop closes the tier, after a clean end if so asked.
func stop(t testing.TB, tier *Tier, clean bool) {
	t.Helper()
	if clean {
		if err := tier.MarkClean(); err != nil {
			t.Fatal(err)
		}
	}
	if err := tier.Close(); err != nil {
		t.Fatal(err)
	}
}

// restarted opens the tier anew and recovers it.
func restarted(t testing.TB, o Options) (*Tier, map[Addr]Entry, Recovery) {
	t.Helper()
	tier, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	found, r := recovered(t, tier)
	return tier, found, r
}

// mustFind verifies that found are items, and that each can be read.
func mustFind(t testing.TB, tier *Tier, found map[Addr]Entry, items []item) {
	t.Helper()
	if len(found) != len(items) {
		t.Errorf("%d records come back, want %d", len(found), len(items))
	}
	for _, it := range items {
		if e, ok := found[it.addr]; !ok || e.Hash != testHash(it.key) || e.Exptime != it.exp {
			t.Fatalf("%s at %v comes back as %+v, %v", it.key, it.addr, e, ok)
		}
	}
	mustGet(t, tier, nil, items)
}

// TestModes ends a run in each way and starts the next in each.
func TestModes(t *testing.T) {
	for _, row := range []struct {
		name   string
		clean  bool
		boot   byte
		after  string
		spoil  func(o Options)
		want   Mode
		why    string
		dead   bool // the death is known
		nobody bool // nothing comes back
	}{
		{name: "clean", clean: true, boot: 1, want: ModeClean, dead: true},
		{name: "clean, then another boot", clean: true, boot: 2, after: "strict", want: ModeClean, dead: true},
		{name: "killed", boot: 1, want: ModeWarm, dead: true},
		{name: "killed, strict", boot: 1, after: "strict", want: ModeWarm, dead: true},
		{name: "power loss", boot: 2, want: ModePowerLoss, dead: true},
		{name: "no boot id", boot: 0, want: ModePowerLoss, dead: true},
		{name: "power loss, strict", boot: 2, after: "strict", want: ModeCold, why: "power was lost", nobody: true},
		{name: "clean, journal lost", clean: true, boot: 1, spoil: removeJournal, want: ModeClean, dead: true},
		{name: "clean, journal spoilt", clean: true, boot: 1, spoil: zeroJournal, want: ModeClean, dead: true},
		{name: "killed, journal lost", boot: 1, spoil: removeJournal, want: ModeCold, why: "journal cannot be used: there is none", nobody: true},
		{name: "killed, journal of another tier", boot: 1, spoil: foreignJournal, want: ModeCold, why: "another catalog", nobody: true},
		{name: "clean, journal of another tier", clean: true, boot: 1, spoil: foreignJournal, want: ModeClean, dead: true},
		{name: "power loss, journal of another tier", boot: 2, spoil: foreignJournal, want: ModeCold, why: "another catalog", nobody: true},
		{name: "power loss, journal lost", boot: 2, spoil: removeJournal, want: ModeCold, why: "journal cannot be used", nobody: true},
		{name: "killed, journal spoilt", boot: 1, spoil: zeroJournal, want: ModeCold, why: "journal is damaged: 100 entries are missing", nobody: true},
		{name: "power loss, journal spoilt", boot: 2, spoil: zeroJournal, want: ModePowerLoss},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := realOptions(t, 4)
			o.boot = &[16]byte{1}
			tier, items := stock(t, o, 0, 200, 2000)
			for range 99 {
				tier.Touched(items[0].addr, items[0].exp)
			}
			tier.Died(items[100].addr)
			stop(t, tier, row.clean)
			if row.spoil != nil {
				row.spoil(o)
			}
			if o.boot = (&[16]byte{row.boot}); row.boot == 0 {
				o.boot = &[16]byte{}
			}
			o.AfterPowerLoss = row.after
			tier, found, r := restarted(t, o)
			defer stop(t, tier, false)
			if r.Mode != row.want || !strings.Contains(r.Why, row.why) || (r.Why == "") != (row.why == "") {
				t.Errorf("mode %s, %q, want %s, %q", r.Mode, r.Why, row.want, row.why)
			}
			switch {
			case row.nobody:
				mustFind(t, tier, found, nil)
				if r.PagesAside == 0 || tier.Stats().PagesAside != r.PagesAside {
					t.Errorf("%+v", r)
				}
			case row.dead:
				mustFind(t, tier, found, slices.Delete(items, 100, 101))
			default:
				mustFind(t, tier, found, items)
			}
		})
	}
}

func removeJournal(o Options) { os.Remove(journalPath(o.Dir)) }

// foreignJournal puts a sound journal there that says nothing of these pages.
func foreignJournal(o Options) {
	removeJournal(o)
	j, err := createJournal(journalPath(o.Dir), journalEntries(o.JournalBytes), &meta{identity: 1, seed: 2}, &state{position: 50})
	if err == nil {
		j.close()
	}
}

// zeroJournal zeroes the entries of a journal.
func zeroJournal(o Options) {
	b, _ := os.ReadFile(journalPath(o.Dir))
	clear(b[journalHead:])
	os.WriteFile(journalPath(o.Dir), b, 0o600)
}

// TestIncarnations checks that CAS numbers never come twice and the seed stays,
// whatever is lost.
func TestIncarnations(t *testing.T) {
	o := realOptions(t, 4)
	now := uint32(testClock)
	o.Now = func() uint32 { return now }
	tier, _ := stock(t, o, 0, 10, 2000)
	seed, first := tier.Seed(), tier.FirstCAS()
	if seed == 0 || first != testClock<<32 {
		t.Errorf("seed %#x, first CAS %#x", seed, first)
	}
	stop(t, tier, false)
	for _, step := range []struct {
		name     string
		spoil    func()
		sameSeed bool
	}{
		{"another start", func() {}, true},
		{"clock set back", func() { now -= 1000 }, true},
		{"later", func() { now += 5000 }, true},
		{"catalog lost", func() { os.RemoveAll(catalogDir(o.Dir)); now = 5 }, true},
		{"catalog and journal lost", func() { os.RemoveAll(catalogDir(o.Dir)); removeJournal(o) }, false},
	} {
		step.spoil()
		tier, _ := stock(t, o, 0, 10, 2000)
		if tier.FirstCAS() <= first || tier.FirstCAS()&(1<<32-1) != 0 {
			t.Errorf("%s: first CAS %#x after %#x", step.name, tier.FirstCAS(), first)
		}
		if (tier.Seed() == seed) != step.sameSeed {
			t.Errorf("%s: seed %#x after %#x", step.name, tier.Seed(), seed)
		}
		first = tier.FirstCAS()
		stop(t, tier, false)
	}
}

// TestCatalogRolledBack puts an older copy of the catalog in place, of which all
// files are sound: that its last batches are missing is found out.
func TestCatalogRolledBack(t *testing.T) {
	o := realOptions(t, 4)
	tier, items := stock(t, o, 0, 200, 2000)
	stop(t, tier, false)
	old := copyTree(t, catalogDir(o.Dir))
	tier, _, _ = restarted(t, o)
	tier.Died(items[0].addr)
	tier.foldAll()
	stop(t, tier, false)
	if err := errors.Join(os.RemoveAll(catalogDir(o.Dir)), os.Rename(old, catalogDir(o.Dir))); err != nil {
		t.Fatal(err)
	}
	tier, found, r := restarted(t, o)
	if mustFind(t, tier, found, nil); r.Mode != ModeCold || !strings.Contains(r.Why, "catalog has lost its last") {
		t.Errorf("%+v", r)
	}
	stop(t, tier, false)
}

// TestPageOfAnotherLife puts the file of a later life in a page's place: what the
// catalog says of it is dropped.
func TestPageOfAnotherLife(t *testing.T) {
	o := realOptions(t, 4)
	tier, items := stock(t, o, 0, 200, 9000)
	h := tier.headerOf(&tier.pages[0])
	rest := byPage(tier, items)[1]
	stop(t, tier, false)
	h.Version += 10
	b := make([]byte, blockSize)
	EncodeHeader(b, h)
	f, err := os.OpenFile(tier.path(0), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	f.Close()
	tier, found, r := restarted(t, o)
	if mustFind(t, tier, found, rest); r.BadPages != 1 || r.Pages != 1 {
		t.Errorf("%+v", r)
	}
	more := stockMore(t, tier, 300, 400, 9000)
	mustGet(t, tier, nil, more)
	if v := tier.pages[0].version.Load(); v <= h.Version {
		t.Errorf("page 0 has version %d after %d", v, h.Version)
	}
	stop(t, tier, false)
	tier, found, _ = restarted(t, o)
	mustFind(t, tier, found, append(rest, more...))
	stop(t, tier, false)
}

func TestMovedDirectory(t *testing.T) {
	o := realOptions(t, 4)
	o.Dir = filepath.Join(o.Dir, "old")
	tier, items := stock(t, o, 0, 200, 2000)
	stop(t, tier, false)
	moved := filepath.Join(filepath.Dir(o.Dir), "new")
	if err := os.Rename(o.Dir, moved); err != nil {
		t.Fatal(err)
	}
	o.Dir = moved
	tier, found, _ := restarted(t, o)
	mustFind(t, tier, found, items)
	stop(t, tier, true)
}

// TestSizes starts with other sizes than before.
func TestSizes(t *testing.T) {
	o := realOptions(t, 6)
	tier, items := stock(t, o, 0, 200, 9000) // two pages
	stop(t, tier, true)
	for _, row := range []struct {
		name        string
		size, pages int64
		says        string
	}{
		{"larger", testPage, 9, ""},
		{"smaller, and enough", testPage, 2, ""},
		{"larger pages", 2 * testPage, 6, "has pages of 1048576 bytes, not 2097152"},
		{"larger again", testPage, 6, ""},
	} {
		o.PageSize, o.Size = int(row.size), row.size*row.pages
		again, err := Open(o)
		if row.says != "" {
			if !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), row.says) || !strings.Contains(err.Error(), o.Dir) {
				t.Errorf("%s: %v", row.name, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		found, _ := recovered(t, again)
		mustFind(t, again, found, items)
		stop(t, again, true)
	}
	tier, found, _ := restarted(t, o)
	items = append(items, stockMore(t, tier, 200, 350, 9000)...)
	stop(t, tier, true)
	o.Size = 2 * testPage
	if _, err := Open(o); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), "need 4194304") {
		t.Errorf("too small: %v", err)
	}
	o.Size = 4 * testPage
	tier, found, _ = restarted(t, o)
	mustFind(t, tier, found, items)
	stop(t, tier, true)
}

func TestSizeOfEmptyTier(t *testing.T) {
	o := realOptions(t, 4)
	tier, _ := stock(t, o, 0, 100, 9000)
	for {
		id, ok := victim(tier)
		if !ok {
			break
		}
		tier.Free(id)
	}
	tier.letGo(&tier.pages[0])
	for i := range tier.pages {
		if p := &tier.pages[i]; p.is() == PageOpen {
			tier.letGo(p)
		}
	}
	for {
		id, ok := victim(tier)
		if !ok {
			break
		}
		tier.Free(id)
	}
	stop(t, tier, false)
	o.PageSize, o.Size = 2*testPage, 4*testPage
	tier, found, _ := restarted(t, o)
	mustFind(t, tier, found, nil)
	mustGet(t, tier, nil, stockMore(t, tier, 0, 100, 9000))
	stop(t, tier, true)
}

// TestDelayedFlush checks a flush that comes due while the tier is closed, and one
// that does not.
func TestDelayedFlush(t *testing.T) {
	o := testOptions(t, ioqtest.NewDisk(t, ioqtest.DiskOptions{}), 4)
	now := uint32(testClock)
	o.Now = func() uint32 { return now }
	tier, items := stock(t, o, 0, 50, 2000)
	if err := tier.SetFlushAt(testClock + 100); err != nil {
		t.Fatal(err)
	}
	stop(t, tier, true)
	now += 99
	tier, found, _ := restarted(t, o)
	mustFind(t, tier, found, items)
	if at := tier.FlushAt(); at != testClock+100 {
		t.Errorf("flush at %d", at)
	}
	stop(t, tier, false)
	now++
	tier, found, r := restarted(t, o)
	if mustFind(t, tier, found, nil); r.Flushed != 50 || tier.FlushAt() != 0 {
		t.Errorf("%+v, flush at %d", r, tier.FlushAt())
	}
	items = stockMore(t, tier, 100, 120, 2000)
	stop(t, tier, false)
	now += 100
	tier, found, _ = restarted(t, o)
	mustFind(t, tier, found, items)
	stop(t, tier, true)
}

// TestFlushAcrossRestarts checks that a flush divides what was written, by the
// generation its batch was given, not by when it came into the catalog.
func TestFlushAcrossRestarts(t *testing.T) {
	for _, folded := range []bool{false, true} {
		o := testOptions(t, ioqtest.NewDisk(t, ioqtest.DiskOptions{}), 4)
		tier, _ := stock(t, o, 0, 20, 2000)
		w := tier.NewWriter(BucketDefault)
		before := tier.Generation()
		mustPut(t, w, newItem(30, 2000))
		b, err := w.Flush()
		if err != nil {
			t.Fatal(err)
		}
		b.Wait()
		if gen := tier.Flush(); gen != before+1 || tier.Generation() != gen {
			t.Errorf("generation %d, %d after %d", gen, tier.Generation(), before)
		}
		b.Commit(before, asWritten(b, always))
		b.Release()
		items := stockMore(t, tier, 40, 60, 2000)
		if folded {
			tier.foldAll()
		}
		stop(t, tier, false)
		tier, found, r := restarted(t, o)
		if mustFind(t, tier, found, items); r.Flushed != 21 || tier.Generation() != before+1 {
			t.Errorf("%+v, generation %d", r, tier.Generation())
		}
		stop(t, tier, false)
	}
}

// TestExpiryAcrossRestarts checks exptimes of records, as they were written and as
// they were touched later.
func TestExpiryAcrossRestarts(t *testing.T) {
	for _, folded := range []bool{false, true} {
		o := testOptions(t, ioqtest.NewDisk(t, ioqtest.DiskOptions{}), 4)
		now := uint32(testClock)
		o.Now = func() uint32 { return now }
		tier, items := stock(t, o, 0, 20, 2000) // item i expires at clock + 1000 + i
		tier.Touched(items[0].addr, testClock+5000)
		tier.Touched(items[1].addr, 0)
		tier.Touched(items[2].addr, 0)
		tier.Touched(items[2].addr, testClock+20)
		tier.Died(items[3].addr)
		tier.Touched(items[3].addr, 0)
		if folded {
			tier.foldAll()
		}
		stop(t, tier, false)
		items[0].exp, items[1].exp = testClock+5000, 0
		now = testClock + 1010 // items 4 to 10 have expired
		tier, found, r := restarted(t, o)
		if len(found) != 11 || r.Expired != 8 || r.Dead != 1 {
			t.Errorf("%d found, %+v", len(found), r)
		}
		for _, it := range append(items[:2:2], items[11:]...) {
			if found[it.addr].Exptime != it.exp {
				t.Errorf("%s comes back as %+v, want exptime %d", it.key, found[it.addr], it.exp)
			}
		}
		if p := tier.Pages()[0]; p.Objects != 11 || p.Bytes != r.Bytes || r.Items != 11 || tier.pages[0].lastExp.Load() != never {
			t.Errorf("page %+v, %+v", p, r)
		}
		stop(t, tier, false)
	}
}

// TestRecoveredPagesAreReclaimed fills a tier that has pages of an earlier run:
// these go first, with all their entries, and never come back.
func TestRecoveredPagesAreReclaimed(t *testing.T) {
	o := testOptions(t, ioqtest.NewDisk(t, ioqtest.DiskOptions{}), 4)
	tier, items := stock(t, o, 0, 200, 9000)
	tier.Died(items[0].addr)
	stop(t, tier, false)
	tier, found, _ := restarted(t, o)
	mustFind(t, tier, found, items[1:])
	old := byPage(tier, items)
	fillAll(t, tier, tier.NewWriter(BucketDefault), nil, 1000)
	for _, want := range []PageID{1, 0} { // of page 1 a part was never written
		id, ok := victim(tier)
		if !ok || id != want {
			t.Fatalf("victim %d, %v, want %d", id, ok, want)
		}
		seen := map[Addr]uint64{}
		if err := tier.Entries(id, func(hash uint64, a Addr) { seen[a] = hash }); err != nil {
			t.Fatal(err)
		}
		for _, it := range old[id] {
			if seen[it.addr] != testHash(it.key) {
				t.Fatalf("%s is not among the entries of page %d", it.key, id)
			}
		}
		if want == 0 {
			tier.Free(id)
		}
	}
	tier.Free(1)
	stop(t, tier, false)
	tier, found, r := restarted(t, o)
	if mustFind(t, tier, found, nil); r.Pages != 0 { // what fillAll wrote was not committed
		t.Errorf("%+v", r)
	}
	stop(t, tier, false)
}

// TestRecoveredInOrder checks that records of one hash are given in the order in
// which they were written.
func TestRecoveredInOrder(t *testing.T) {
	o := testOptions(t, ioqtest.NewDisk(t, ioqtest.DiskOptions{}), 6)
	o.Hash = nil
	tier, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	writers := []*Writer{tier.NewWriter(BucketDefault), tier.NewWriter(BucketCompact)}
	var order []Addr
	for i := range 400 {
		w := writers[i/7%2]
		it := newItem(i, 5000)
		err := put(w, &it)
		if errors.Is(err, ErrBufferFull) {
			commitFlush(t, w, always)
			err = put(w, &it)
		}
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, it.addr)
		if i%7 == 6 {
			commitFlush(t, w, always)
		}
	}
	commitFlush(t, writers[1], always)
	stop(t, tier, false)
	rank := map[Addr]int{}
	for i, a := range order {
		rank[a] = i
	}
	if tier, err = Open(o); err != nil {
		t.Fatal(err)
	}
	defer stop(t, tier, false)
	last := map[uint64]int{}
	n := 0
	if _, err := tier.Recover(1, func(part []Entry) {
		for _, e := range part {
			if top := e.Hash >> 56; rank[e.Addr] < last[top] {
				t.Fatalf("record %d comes after %d", rank[e.Addr], last[top])
			} else {
				last[top] = rank[e.Addr]
			}
			n++
		}
	}); err != nil || n != 400 {
		t.Errorf("%d records, %v", n, err)
	}
}

// TestDeathOnRetiredPage checks that a death is journaled although reads have
// retired the page: the catalog has it until it is a victim.
func TestDeathOnRetiredPage(t *testing.T) {
	disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
	o := testOptions(t, disk, 4)
	tier, items := stock(t, o, 0, 20, 2000)
	for range tier.opt.PageFaults {
		tier.fault(&tier.pages[0])
	}
	if s := tier.Pages()[0].State; s != PageRetired {
		t.Fatalf("page is %v", s)
	}
	tier.Died(items[5].addr)
	stop(t, tier, false)
	tier, found, _ := restarted(t, o)
	mustFind(t, tier, found, slices.Delete(items, 5, 6))
	stop(t, tier, false)
}

// TestLateBlob lets a blob reach the catalog after its page was reclaimed, and
// after it was used again: the blob is dropped.
func TestLateBlob(t *testing.T) {
	for _, reused := range []bool{false, true} {
		o := testOptions(t, ioqtest.NewDisk(t, ioqtest.DiskOptions{}), 2)
		tier, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		w := tier.NewWriter(BucketDefault)
		it := newItem(1, 2000)
		mustPut(t, w, it)
		b, err := w.Flush()
		if err != nil {
			t.Fatal(err)
		}
		b.Wait()
		x := &blob{page: b.page, version: b.life.Version, extent: b.extent(), seq: 1, entries: []blobEntry{{1, b.entries[0].Unit, 0, 1}}}
		b.Release()
		tier.letGo(w.page)
		id, ok := victim(tier)
		if !ok {
			t.Fatal("no victim")
		}
		tier.Free(id)
		var items []item
		if reused {
			items = stockMore(t, tier, 10, 200, 9000) // of both pages
		}
		if err := tier.commitBlobs([]*blob{x}); err != nil {
			t.Fatal(err)
		}
		stop(t, tier, false)
		tier, found, r := restarted(t, o)
		if mustFind(t, tier, found, items); r.BadBlobs+int64(r.BadPages) != 0 {
			t.Errorf("%+v", r)
		}
		stop(t, tier, false)
	}
}

// log collects what a tier says.
func collect(o *Options) *bytes.Buffer {
	var b bytes.Buffer
	o.Logger = slog.New(slog.NewTextHandler(&b, nil))
	return &b
}

// copyTree copies a directory.
func copyTree(t testing.TB, from string) (to string) {
	t.Helper()
	to = filepath.Join(quickDir(t), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// filesIn lists the files below dir, relative to it.
func filesIn(t testing.TB, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
