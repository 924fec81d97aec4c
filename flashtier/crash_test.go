package flashtier

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/hearthcache/hearth/ioq"
	"github.com/hearthcache/hearth/ioq/ioqtest"
)

// The crash tests run a random script on a tier and, at every write of the
// catalog and after every step, may take a copy of all that a crash at this
// moment would leave: the catalog's file system, the disk and the journal. Each
// copy is recovered at once, and what comes back is held against what the script
// knew when the copy was taken.

// history is what a script knows of one record.
type history struct {
	item
	version   uint32 // of its page
	gen       uint32 // of its blob
	handed    bool   // its batch was handed over as alive
	committed bool   // CommitAll has returned since
	dying     bool   // Died was called
	deadAt    uint64 // ... and returned when the journal's head was this
	exptimes  []uint32
	touchedAt []uint64
	leaving   bool // Victim may have taken its page
}

// world is a tier under a script.
type world struct {
	t    *testing.T
	rng  *rand.Rand
	disk *ioqtest.Disk
	fs   *vfs.MemFS
	o    Options
	tier *Tier
	w    *Writer

	mu      sync.Mutex // held while the journal, the disk or records are changed by the script
	records map[Addr]*history
	order   []Addr
	gen     uint32
	flushes []uint64 // the journal's head after each flush
	synced  []byte   // the journal as the last sync left it
	crashes rand.Rand
	rate    int // one crash in so many chances
	kills   int
	losses  int
	quiet   bool // no crashes
	seed    uint64
}

func newWorld(t *testing.T, seed uint64, rate int) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 2)), fs: vfs.NewCrashableMem(), records: map[Addr]*history{}, rate: rate, seed: seed}
	w.crashes = *rand.New(rand.NewPCG(seed, 3))
	w.disk = ioqtest.NewDisk(t, ioqtest.DiskOptions{Seed: seed | 1})
	w.o = testOptions(t, w.disk, 4)
	w.o.JournalSync = 1 << 40 // the script does it
	w.o.boot = &[16]byte{1}
	w.quiet = true
	o := w.o
	o.FS = errorfs.Wrap(w.fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncTo, errorfs.OpFileSyncData, errorfs.OpRename, errorfs.OpRemove, errorfs.OpCreate:
			w.chance()
		}
		return nil
	}))
	var err error
	if w.tier, err = Open(o); err != nil {
		t.Fatal(err)
	}
	w.tier.journal.synced = func(mem []byte) { w.synced = append([]byte{}, mem...) }
	w.synced = append([]byte{}, w.tier.journal.mem...)
	if _, err := w.tier.Recover(1, func([]Entry) {}); err != nil {
		t.Fatal(err)
	}
	w.w = w.tier.NewWriter(BucketDefault)
	w.quiet = false
	return w
}

// chance may crash.
func (w *world) chance() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.quiet || w.crashes.IntN(w.rate) != 0 {
		return
	}
	if w.crashes.IntN(2) == 0 {
		w.kill()
	} else {
		w.powerLoss()
	}
}

// kill recovers what a kill -9 now would leave; mu is held.
func (w *world) kill() {
	w.kills++
	journal := append([]byte{}, w.tier.journal.mem...)
	o := w.o
	o.FS = w.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: &w.crashes})
	o.Queue = w.disk.KillClone()
	w.verify(o, journal, le.Uint64(journal[headAt:]), false)
}

// powerLoss recovers what a power loss now would leave; mu is held.
func (w *world) powerLoss() {
	w.losses++
	journal := append([]byte{}, w.synced...)
	o := w.o
	o.FS = w.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: w.crashes.IntN(101), RNG: &w.crashes})
	o.Queue = w.disk.CrashClone()
	o.boot = &[16]byte{2}
	w.verify(o, journal, le.Uint64(journal[headAt:]), true)
}

// verify opens what a crash has left and checks what comes back, twice. Entries
// of the journal before head are sure to be known.
func (w *world) verify(o Options, journal []byte, head uint64, lost bool) {
	done := make(chan struct{})
	go func() { // for this may be a goroutine of pebble's, which must not exit
		defer close(done)
		dir := o.Dir
		o.Dir = w.t.TempDir()
		defer os.RemoveAll(o.Dir)
		o.Queue = movedQueue{o.Queue.(*ioqtest.Disk), o.Dir, dir}
		err := errors.Join(
			o.FS.MkdirAll(o.Dir, 0o700), o.FS.Rename(catalogDir(dir), catalogDir(o.Dir)),
			os.WriteFile(journalPath(o.Dir), journal, 0o600),
		)
		if err != nil {
			w.t.Error(err)
			return
		}
		first := w.recoverAndCheck(o, head, lost)
		second := w.recoverAndCheck(o, head, lost)
		if len(first) != len(second) {
			w.t.Errorf("seed %d: %d records after the crash, %d after another start", w.seed, len(first), len(second))
		}
	}()
	<-done
	w.quiet = w.t.Failed()
}

func (w *world) recoverAndCheck(o Options, head uint64, lost bool) map[Addr]Entry {
	t := w.t
	tier, err := Open(o)
	if err != nil {
		t.Fatalf("seed %d: open after a crash: %v", w.seed, err)
	}
	found, r := recovered(t, tier)
	what := fmt.Sprintf("seed %d, power lost %v, crash %d", w.seed, lost, w.kills+w.losses)
	if r.Mode == ModeCold || r.BadBlobs+int64(r.BadPages) > 0 {
		t.Errorf("%s: %+v", what, r)
	}
	for a, e := range found {
		h := w.records[a]
		if h == nil || !h.handed || h.version != tier.Version(a) {
			t.Fatalf("%s: %v comes back, of page version %d: %+v", what, a, tier.Version(a), h)
		}
		w.checkRecord(what, tier, h, e, head)
	}
	for _, a := range w.order {
		h := w.records[a]
		if _, ok := found[a]; ok || !h.committed || h.dying || h.leaving || h.gen != w.gen {
			continue
		}
		t.Fatalf("%s: %s at %v was committed and does not come back", what, h.key, a)
	}
	if err := tier.Close(); err != nil {
		t.Errorf("%s: close: %v", what, err)
	}
	return found
}

// checkRecord checks that what came back may, and reads as it was written.
func (w *world) checkRecord(what string, tier *Tier, h *history, e Entry, head uint64) {
	t := w.t
	if h.deadAt != 0 && h.deadAt <= head {
		t.Fatalf("%s: %s at %v comes back, although its death is entry %d of %d", what, h.key, h.addr, h.deadAt-1, head)
	}
	for gen, at := range w.flushes {
		if h.gen <= uint32(gen) && at <= head {
			t.Fatalf("%s: %s at %v comes back from generation %d, although it was flushed", what, h.key, h.addr, h.gen)
		}
	}
	may := []uint32{h.exp}
	for i, exp := range h.exptimes {
		if at := h.touchedAt[i]; at != 0 && at <= head {
			may = may[:0]
		}
		may = append(may, exp)
	}
	ok := false
	for _, exp := range may {
		ok = ok || exp == e.Exptime
	}
	if !ok || e.Hash != testHash(h.key) {
		t.Fatalf("%s: %s at %v comes back with hash %#x, exptime %d, want one of %d", what, h.key, h.addr, e.Hash, e.Exptime, may)
	}
	if err := get(t, tier, nil, h.item); err != nil {
		t.Fatalf("%s: %s at %v: %v", what, h.key, h.addr, err)
	}
}

// movedQueue is a disk on which the files below from are those below to.
type movedQueue struct {
	*ioqtest.Disk
	from, to string
}

func (q movedQueue) Open(path string, size int64) (ioq.File, error) {
	return q.Disk.Open(strings.Replace(path, q.from, q.to, 1), size)
}

// run is the script: steps of random kinds.
func (w *world) run(steps int) {
	for range steps {
		switch n := w.rng.IntN(20); {
		case n < 6:
			w.write()
		case n < 12:
			w.die()
		case n < 15:
			w.touch()
		case n < 16:
			w.commitAll()
		case n < 18:
			w.tier.foldAll()
		case n < 19:
			w.syncJournal()
		case w.rng.IntN(3) == 0:
			w.flush()
		}
		w.chance()
	}
}

func (w *world) syncJournal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.tier.journal.sync(); err != nil {
		w.t.Fatal(err)
	}
}

// write puts some records into a batch and commits those of them that are chosen
// to be alive.
func (w *world) write() {
	var items []item
	for range 1 + w.rng.IntN(30) {
		it := newItem(len(w.order)+len(items), 100+w.rng.IntN(12000))
		err := put(w.w, &it)
		for errors.Is(err, ErrNoPage) {
			w.reclaim()
			err = put(w.w, &it)
		}
		if errors.Is(err, ErrBufferFull) {
			break
		}
		if err != nil {
			w.t.Fatal(err)
		}
		items = append(items, it)
	}
	w.mu.Lock()
	b, err := w.w.Flush()
	w.mu.Unlock()
	if err != nil {
		w.t.Fatal(err)
	}
	if b == nil {
		return
	}
	b.Wait()
	if err := b.Err(); err != nil {
		w.t.Fatal(err)
	}
	alive := make([]bool, len(items))
	exp := make([]uint32, len(items)) // that of a touch between the copy and the repointing
	w.mu.Lock()
	for i, it := range items {
		alive[i] = w.rng.IntN(4) != 0
		exp[i] = it.exp + w.rng.Uint32N(2)
		w.records[it.addr] = &history{item: it, version: b.life.Version, handed: alive[i], gen: w.gen, exptimes: exp[i : i+1 : i+1], touchedAt: []uint64{1}}
		w.order = append(w.order, it.addr)
	}
	w.mu.Unlock()
	b.Commit(w.gen, func(i int) (uint32, bool) { return exp[i], alive[i] })
	b.Release()
}

// pick gives a record that lives, or nil.
func (w *world) pick() *history {
	for range 20 {
		if len(w.order) == 0 {
			return nil
		}
		h := w.records[w.order[w.rng.IntN(len(w.order))]]
		if h.handed && !h.dying && !h.leaving {
			return h
		}
	}
	return nil
}

func (w *world) die() {
	for range w.rng.IntN(20) {
		h := w.pick()
		if h == nil {
			return
		}
		w.mu.Lock()
		h.dying = true
		w.tier.Died(h.addr)
		h.deadAt = w.tier.journal.head.Load()
		w.mu.Unlock()
	}
}

func (w *world) touch() {
	for range w.rng.IntN(5) {
		h := w.pick()
		if h == nil {
			return
		}
		exp := testClock + 1 + w.rng.Uint32N(1000)
		w.mu.Lock()
		h.exptimes = append(h.exptimes, exp)
		w.tier.Touched(h.addr, exp)
		h.touchedAt = append(h.touchedAt, w.tier.journal.head.Load())
		w.mu.Unlock()
	}
}

func (w *world) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gen = w.tier.Flush()
	w.flushes = append(w.flushes, w.tier.journal.head.Load())
}

func (w *world) commitAll() {
	if err := w.tier.CommitAll(); err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.records {
		h.committed = h.committed || h.handed
	}
}

func (w *world) reclaim() {
	w.mu.Lock()
	// Which page it will be is known when it is gone; until then it may be any.
	for _, h := range w.records {
		h.leaving = true
	}
	w.mu.Unlock()
	id, ok := victim(w.tier)
	if !ok {
		w.t.Fatal("no victim")
	}
	w.mu.Lock()
	for a, h := range w.records {
		if p, _, _ := w.tier.locate(a); p.id == id {
			delete(w.records, a)
		} else {
			h.leaving = false
		}
	}
	kept := w.order[:0]
	for _, a := range w.order {
		if w.records[a] != nil {
			kept = append(kept, a)
		}
	}
	w.order = kept
	w.mu.Unlock()
	w.tier.Free(id)
}

// crashing runs the script of a seed with crashes on the way.
func crashing(t *testing.T, seed uint64, steps, rate int) *world {
	w := newWorld(t, seed, rate)
	w.run(steps)
	w.mu.Lock()
	w.quiet = true
	w.mu.Unlock()
	if err := w.tier.Close(); err != nil {
		t.Error(err)
	}
	return w
}

// TestCrashPoints crashes at random writes of random scripts, and at every write
// of a short one.
func TestCrashPoints(t *testing.T) {
	base, scripts := seeded(t).Uint64()>>16, uint64(5)
	if testing.Short() {
		scripts = 2
	}
	for i := range scripts {
		t.Run(fmt.Sprint(base+i), func(t *testing.T) {
			steps, rate := 300, 6
			if i == 0 {
				steps, rate = 40, 1
			}
			w := crashing(t, base+i, steps, rate)
			t.Logf("%d kills, %d power losses, %d records, %d folds, %d reclaims", w.kills, w.losses,
				len(w.order), w.tier.counts.folds.Load(), w.tier.counts.pageReclaims.Load())
		})
	}
}
