package flashtier

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// newJournal makes an empty journal whose first entry is number first.
func newJournal(t testing.TB, n uint64, first uint64) (j *journal, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "journal")
	j, err := createJournal(path, n, &meta{identity: 7, seed: 11}, &state{position: first})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if j.mem != nil {
			j.close()
		}
	})
	return j, path
}

// reopenJournal maps the file anew, as after a kill: nothing is said to j.
func reopenJournal(t testing.TB, path string) *journal {
	t.Helper()
	j, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.close() })
	return j
}

// testEntry is entry number i of a test.
func testEntry(i uint64) entry {
	e := entry{page: PageID(i % 5), version: uint32(i%3 + 1), change: change{unit: uint32(512+i) & (unitMask >> 1), kind: changeDead}}
	if i%4 == 3 {
		e.kind, e.exptime = changeExptime, uint32(i)*7
	}
	return e
}

func appendEntries(j *journal, from, to uint64) {
	for i := from; i < to; i++ {
		j.append(testEntry(i))
	}
}

// checkScan verifies that the journal has exactly the entries from..to, but for
// those in holes.
func checkScan(t *testing.T, l leftover, from, to uint64, holes ...uint64) {
	t.Helper()
	skip := map[uint64]bool{}
	for _, i := range holes {
		skip[i] = true
	}
	var want []entry
	for i := from; i < to; i++ {
		if !skip[i] {
			want = append(want, testEntry(i))
		}
	}
	if len(l.entries) != len(want) {
		t.Fatalf("%d entries, want %d: damage %q", len(l.entries), len(want), l.damage)
	}
	for i := range want {
		if l.entries[i] != want[i] {
			t.Fatalf("entry %d is %+v, want %+v", i, l.entries[i], want[i])
		}
	}
}

func TestJournalSurvives(t *testing.T) {
	j, path := newJournal(t, 256, 0)
	appendEntries(j, 0, 100)
	l := reopenJournal(t, path).scan(0)
	checkScan(t, l, 0, 100)
	if l.damage != "" || l.next != 100 {
		t.Errorf("leftover goes on at %d, damage %q", l.next, l.damage)
	}
}

// TestJournalWraps goes around the ring a few times with a tail behind.
func TestJournalWraps(t *testing.T) {
	const first = markMask - 300 // so that the bits in the mark go around, too
	j, path := newJournal(t, 256, first)
	for i := uint64(first); i < first+1000; i++ {
		j.append(testEntry(i))
		if i%50 == 0 {
			j.advance(i - 40)
		}
	}
	tail := j.tail.Load()
	l := reopenJournal(t, path).scan(tail)
	checkScan(t, l, tail, first+1000)
	if l.damage != "" || l.next != first+1000 {
		t.Errorf("leftover goes on at %d, damage %q", l.next, l.damage)
	}
	if l := reopenJournal(t, path).scan(tail - 200); l.damage == "" || l.next < first+1000 {
		t.Errorf("a position whose entries are overwritten: damage %q", l.damage)
	}
	if l := reopenJournal(t, path).scan(first + 2000); l.damage == "" || l.next < first+2000 {
		t.Errorf("a position after the end: damage %q, goes on at %d", l.damage, l.next)
	}
}

// TestJournalFull checks back-pressure: room ends with slack left, an append to a
// full ring waits for a fold, and one that nothing will ever fold is noted.
func TestJournalFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, path := newJournal(t, 256, 0)
		appended := uint64(0)
		for ; j.room(); appended++ {
			j.append(testEntry(appended))
		}
		if slack := j.n - appended; slack != j.n/8 {
			t.Errorf("%d places of slack of %d", slack, j.n)
		}
		select {
		case <-j.quarter:
		default:
			t.Error("nobody was told that a quarter is in use")
		}
		for ; appended < j.n; appended++ {
			j.append(testEntry(appended))
		}
		done := false
		go func() {
			j.append(testEntry(appended))
			done = true
		}()
		synctest.Wait()
		if done {
			t.Fatal("an entry was appended to a full ring")
		}
		checkScan(t, reopenJournal(t, path).scan(0), 0, j.n)
		j.advance(1)
		synctest.Wait()
		if !done {
			t.Fatal("an append waits although there is room")
		}
		checkScan(t, reopenJournal(t, path).scan(1), 1, j.n+1)

		stuck := false
		j.stuck = func() bool { return stuck }
		done = false
		go func() {
			j.append(testEntry(appended + 1))
			done = true
		}()
		synctest.Wait()
		if done || j.lost().Load() != 0 {
			t.Fatal("gave up although a fold may come")
		}
		stuck = true
		j.wake()
		synctest.Wait()
		if !done || reopenJournal(t, path).lost().Load() == 0 {
			t.Fatal("an entry was lost and nothing says so")
		}
	})
}

// TestJournalDamage spoils a journal with 200 entries from 296 on, of which those
// before 356 are in the catalog, and looks what is found out.
func TestJournalDamage(t *testing.T) {
	at := func(i uint64) int { return journalHead + int(i%256)*entryBytes }
	rows := []struct {
		name   string
		spoil  func(mem []byte)
		damage string // wanted; none if empty
		holes  []uint64
	}{
		{"nothing", func([]byte) {}, "", nil},
		{"reserved, not begun", func(b []byte) { le.PutUint64(b[headAt:], 499) }, "", nil},
		{"begun, first word zero", func(b []byte) { le.PutUint64(b[at(456):], 0) }, "", []uint64{456}},
		{"older entry in its place", func(b []byte) {
			copy(b[at(495):], b[at(297):][:entryBytes])
			putEntry(b[at(495):], 495-256)
		}, "", []uint64{495}},
		{"flipped in an entry", func(b []byte) { b[at(406)+17] ^= 4 }, "1 entries are spoilt", []uint64{406}},
		{"flipped in a mark", func(b []byte) { b[at(406)+5] ^= 4 }, "1 entries are spoilt", []uint64{406}},
		{"flipped in a folded entry", func(b []byte) { b[at(316)+17] ^= 4 }, "", nil},
		{"entry of another place", func(b []byte) { copy(b[at(406):], b[at(407):][:entryBytes]) }, "1 entries are spoilt", []uint64{406}},
		{"a block of zeroes", func(b []byte) { clear(b[at(384):][:16*entryBytes]) }, "16 entries are missing",
			[]uint64{384, 385, 386, 387, 388, 389, 390, 391, 392, 393, 394, 395, 396, 397, 398, 399}},
		{"head too small", func(b []byte) { le.PutUint64(b[headAt:], 355) }, "it ends at 355", nil},
		{"head too large", func(b []byte) { le.PutUint64(b[headAt:], 1<<40) }, "it ends at", nil},
	}
	for _, row := range rows {
		j, path := newJournal(t, 256, 296)
		for i := uint64(296); i < 496; i++ {
			if i == 356 {
				j.advance(356)
			}
			j.append(testEntry(i))
		}
		row.spoil(j.mem)
		l := reopenJournal(t, path).scan(356)
		if row.damage == "" && l.damage != "" || !strings.HasPrefix(l.damage, row.damage) {
			t.Errorf("%s: damage %q, want %q", row.name, l.damage, row.damage)
		}
		checkScan(t, l, 356, 496, row.holes...)
		if l.next < 496 {
			t.Errorf("%s: goes on at %d", row.name, l.next)
		}
	}
}

// putEntry writes a whole entry i, as append does.
func putEntry(b []byte, i uint64) {
	le.PutUint64(b[8:], i)
	le.PutUint32(b[0:], checksum(b[8:entryBytes]))
	le.PutUint32(b[4:], uint32(i)|markBit)
}

func TestJournalHeaderDamage(t *testing.T) {
	_, path := newJournal(t, 256, 5)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name  string
		spoil func(b []byte) []byte
		want  error
	}{
		{"whole", func(b []byte) []byte { return b }, nil},
		{"empty", func([]byte) []byte { return nil }, errJournal},
		{"cut in the header", func(b []byte) []byte { return b[:40] }, errJournal},
		{"cut by an entry", func(b []byte) []byte { return b[:len(b)-entryBytes] }, errJournal},
		{"longer", func(b []byte) []byte { return append(b, 0) }, errJournal},
		{"zeroes", func(b []byte) []byte { return make([]byte, len(b)) }, errJournal},
		{"magic", func(b []byte) []byte { b[0] ^= 1; return b }, errJournal},
		{"newer", func(b []byte) []byte { b[8]++; return b }, ErrFormat},
		{"version 0", func(b []byte) []byte { b[8] = 0; return b }, errJournal},
		{"CRC", func(b []byte) []byte { b[12] ^= 1; return b }, errJournal},
		{"identity", func(b []byte) []byte { b[16] ^= 1; return b }, errJournal},
		{"number of entries", func(b []byte) []byte { b[33] ^= 2; return b }, errJournal},
		{"no entries", func(b []byte) []byte {
			clear(b[32:40])
			le.PutUint32(b[12:], checksum(b[16:journalSumTo]))
			return b[:journalHead]
		}, errJournal},
	} {
		if err := os.WriteFile(path, row.spoil(append([]byte{}, good...)), 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := openJournal(path)
		if !errors.Is(err, row.want) {
			t.Errorf("%s: %v", row.name, err)
		}
		if err == nil {
			j.close()
		}
	}
	os.Remove(path)
	if _, err := openJournal(path); !errors.Is(err, errJournal) {
		t.Errorf("absent: %v", err)
	}
	os.Mkdir(path, 0o700)
	if _, err := openJournal(path); err == nil || errors.Is(err, ErrFormat) {
		t.Errorf("directory: %v", err)
	}
}

func TestJournalGolden(t *testing.T) {
	j, path := newJournal(t, 4, 6)
	for _, e := range []entry{
		{page: 1, version: 0x01020304, change: change{unit: 0x7654321, kind: changeDead}},
		{page: 0xa0b0c0d, version: 2, change: change{unit: 512, kind: changeExptime, exptime: 0x55667788}},
		{version: 9, change: change{kind: changeFlush}},
	} {
		j.append(e)
	}
	j.batches().Store(0x1234)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := golden(goldenCatalog(journalVersion, "journal.bin"), journalVersion, b, *update, *force); err != nil {
		t.Errorf("%v\n%s%s", err, hex.Dump(b[:256]), hex.Dump(b[journalHead:]))
	}
}

// TestJournalParallel appends from several goroutines while another folds.
func TestJournalParallel(t *testing.T) {
	j, path := newJournal(t, 1024, 0)
	const each, writers = 20000, 4
	seen := map[uint32]int{}
	stop := make(chan struct{})
	var folder, wg sync.WaitGroup
	fold := func() {
		for i := j.tail.Load(); i < j.head.Load(); i++ {
			e, ok := j.stored(i)
			if !ok {
				return
			}
			seen[e.unit]++
			j.advance(i + 1)
		}
	}
	folder.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-j.quarter:
				fold()
			}
		}
	})
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				j.append(entry{page: PageID(w), change: change{unit: uint32(w*each + i), kind: changeDead}})
			}
		})
	}
	wg.Wait()
	close(stop)
	folder.Wait()
	for _, e := range reopenJournal(t, path).scan(j.tail.Load()).entries {
		seen[e.unit]++
	}
	if len(seen) != writers*each {
		t.Errorf("%d of %d entries were seen", len(seen), writers*each)
	}
	for u, n := range seen {
		if n != 1 {
			t.Fatalf("entry %d was seen %d times", u, n)
		}
	}
}

// TestJournalNeverTorn looks at a ring while it is written, as a kill does: what
// is whole by its first word, before and after, has the right sum.
func TestJournalNeverTorn(t *testing.T) {
	j, _ := newJournal(t, 64, 0)
	var stop atomic.Bool
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := uint64(0); !stop.Load(); i++ {
			j.tail.Store(i)
			j.append(testEntry(i))
		}
	})
	whole := 0
	for at := uint64(0); whole < 200000; at++ {
		w := j.words(at)
		before := atomic.LoadUint64(&w[0])
		var b [entryBytes]byte
		for i := range w {
			le.PutUint64(b[8*i:], atomic.LoadUint64(&w[i]))
		}
		if before == 0 || atomic.LoadUint64(&w[0]) != before {
			continue
		}
		if whole++; before != markOf(le.Uint64(b[8:]))|uint64(checksum(b[8:])) {
			t.Errorf("place %d has the word %#x and the bytes %x", at%64, before, b)
			break
		}
	}
	stop.Store(true)
	writer.Wait()
}

// TestJournalKilled appends in a process that is killed with SIGKILL: every entry
// that it told of must be there.
func TestJournalKilled(t *testing.T) {
	path := os.Getenv("HEARTH_TEST_JOURNAL")
	if path != "" {
		j, err := openJournal(path)
		if err != nil {
			panic(err)
		}
		for i := uint64(0); ; i++ {
			j.append(testEntry(i))
			fmt.Println(i)
		}
	}
	for range 3 {
		j, path := newJournal(t, 1<<20, 0)
		j.close()
		j.mem = nil
		cmd := exec.Command(os.Args[0], "-test.run=^TestJournalKilled$")
		cmd.Env = append(os.Environ(), "HEARTH_TEST_JOURNAL="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		told := uint64(0)
		for lines := bufio.NewScanner(out); lines.Scan(); told++ {
			if told == 2000 {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()
		l := reopenJournal(t, path).scan(0)
		if l.damage != "" || uint64(len(l.entries)) < told || told < 2000 {
			t.Fatalf("%d entries of %d, damage %q", len(l.entries), told, l.damage)
		}
		checkScan(t, l, 0, uint64(len(l.entries)))
	}
}

func BenchmarkJournalAppend(b *testing.B) {
	j, _ := newJournal(b, 1<<19, 0)
	e := testEntry(1)
	for i := uint64(0); b.Loop(); i++ {
		if i&1023 == 0 {
			j.tail.Store(j.head.Load())
		}
		j.append(e)
	}
}

func BenchmarkJournalAppendParallel(b *testing.B) {
	j, _ := newJournal(b, 1<<19, 0)
	stop := make(chan struct{})
	var folder sync.WaitGroup
	folder.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-j.quarter:
				upTo := j.head.Load() - 1024
				for i := j.tail.Load(); i < upTo; i++ {
					if _, ok := j.stored(i); !ok {
						upTo = i
					}
				}
				j.advance(upTo)
			}
		}
	})
	b.RunParallel(func(pb *testing.PB) {
		e := testEntry(1)
		for pb.Next() {
			j.append(e)
		}
	})
	close(stop)
	folder.Wait()
}
