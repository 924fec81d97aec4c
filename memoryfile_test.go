package hearth

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hearthcache/hearth/memtier"
)

var update = flag.Bool("update", false, "write a golden memory file that is missing")

// restarts is a cache that is opened again and again on one memory file.
type restarts struct {
	*Cache
	t     testing.TB
	file  string
	opts  Options
	log   bytes.Buffer // of the last Open and what came after
	ahead atomic.Int64 // seconds that the cache's clock is ahead of the time
}

func newRestarts(t testing.TB, opts Options) *restarts {
	t.Helper()
	r := &restarts{t: t, file: filepath.Join(t.TempDir(), "memory"), opts: opts}
	r.opts.MemoryFile, r.opts.Clock = r.file, r.now
	r.open()
	return r
}

func (r *restarts) now() time.Time {
	return time.Now().Add(time.Duration(r.ahead.Load()) * time.Second)
}

func (r *restarts) open() {
	r.t.Helper()
	r.log.Reset()
	r.opts.Logger = slog.New(slog.NewTextHandler(&r.log, nil))
	var err error
	if r.Cache, err = Open("", r.opts); err != nil {
		r.t.Fatal(err)
	}
}

func (r *restarts) close() {
	r.t.Helper()
	if err := r.Close(); err != nil {
		r.t.Fatal(err)
	}
	if names := r.names(); names != "memory" {
		r.t.Errorf("Close leaves %s", names)
	}
}

// crash ends the cache as a SIGKILL does: its lock goes and nothing is written.
func (r *restarts) crash() {
	r.t.Helper()
	r.closed.Store(true)
	close(r.stop)
	r.loops.Wait()
	if err := errors.Join(r.image.Close(), r.mem.Close()); err != nil {
		r.t.Fatal(err)
	}
}

// names are the files beside the memory file.
func (r *restarts) names() string {
	entries, err := os.ReadDir(filepath.Dir(r.file))
	if err != nil {
		r.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func (r *restarts) set(it Item) {
	r.t.Helper()
	if err := r.Set(context.Background(), it); err != nil {
		r.t.Fatal(err)
	}
}

func (r *restarts) present(key string, want bool) {
	r.t.Helper()
	if _, err := r.Get(context.Background(), key); want != (err == nil) || err != nil && !errors.Is(err, ErrNotFound) {
		r.t.Errorf("%s: %v, want it there: %v", key, err, want)
	}
}

// fill stores n items of many sizes, two of which are larger than a segment.
func (r *restarts) fill(n int) map[string]Item {
	r.t.Helper()
	rng := seeded(r.t)
	random := make([]byte, 1<<20)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	items := map[string]Item{}
	for i := range n {
		size := rng.IntN(400)
		if i%(n/2) == 1 {
			size = 800_000
		}
		it := Item{Key: fmt.Sprintf("%0*d", 1+rng.IntN(MaxKey), i), Value: random[rng.IntN(len(random)-size):][:size], Flags: rng.Uint32()}
		if i%3 == 0 {
			it.Expires = time.Unix(r.now().Unix()+1000+int64(i), 0)
		}
		r.set(it)
		if i%5 == 0 { // written twice: one dead record, and the same item again
			r.set(it)
		}
		it, err := r.Get(context.Background(), it.Key)
		if err != nil {
			r.t.Fatal(err)
		}
		items[it.Key] = it
	}
	return items
}

// count compares every item that is there with what was stored.
func (r *restarts) count(items map[string]Item) (n int) {
	r.t.Helper()
	for key, want := range items {
		got, err := r.Get(context.Background(), key)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil || got.Flags != want.Flags || got.CAS != want.CAS || !got.Expires.Equal(want.Expires) || !bytes.Equal(got.Value, want.Value) {
			r.t.Fatalf("%q came back as %d bytes, flags %d, CAS %d, %v, %v; was %d, %d, %d, %v",
				key, len(got.Value), got.Flags, got.CAS, got.Expires, err, len(want.Value), want.Flags, want.CAS, want.Expires)
		}
		n++
	}
	return n
}

// TestMemoryFile brings all items back, byte for byte, several times over.
func TestMemoryFile(t *testing.T) {
	r := newRestarts(t, Options{Memory: 64 << 20})
	items := r.fill(20_000)
	for round := range 3 {
		r.close()
		r.open()
		if names := r.names(); names != "memory.new" {
			t.Fatalf("round %d: while the cache is open there are %s", round, names)
		}
		if n := r.count(items); n != len(items) || r.Stats().Recovered != int64(n) {
			t.Fatalf("round %d: %d of %d items are back, %d by its count\n%s", round, n, len(items), r.Stats().Recovered, &r.log)
		}
	}
	r.close()
}

// TestMemoryFileKeeps holds a restart to expiry times, CAS and flushes.
func TestMemoryFileKeeps(t *testing.T) {
	ctx := context.Background()
	r := newRestarts(t, Options{Memory: 16 << 20})
	restart := func() {
		t.Helper()
		cas := r.nextCAS()
		r.close()
		r.open()
		if next := r.nextCAS(); next <= cas {
			t.Errorf("CAS %d after %d", next, cas)
		}
	}
	soon, late := r.now().Add(time.Minute), r.now().Add(time.Hour)
	for key, expires := range map[string]time.Time{"soon": soon, "late": late, "longer": soon, "shorter": late, "deleted": late} {
		r.set(Item{Key: key, Expires: expires})
	}
	if err := errors.Join(r.Touch(ctx, "longer", late), r.Touch(ctx, "shorter", soon), r.Delete(ctx, "deleted")); err != nil {
		t.Fatal(err)
	}
	r.close()
	r.ahead.Add(100) // while it is closed
	r.open()
	for key, want := range map[string]bool{"soon": false, "late": true, "longer": true, "shorter": false, "deleted": false} {
		r.present(key, want)
	}
	if !strings.Contains(r.log.String(), "items=2") || !strings.Contains(r.log.String(), "expired=2") {
		t.Errorf("the log does not tell 2 items and 2 expired:\n%s", &r.log)
	}
	flushIn := func(seconds int64) {
		t.Helper()
		if err := r.FlushAll(uint32(r.now().Unix() + seconds)); err != nil {
			t.Fatal(err)
		}
	}
	flushIn(60)
	restart()
	r.present("late", true) // the flush is not due
	r.close()
	r.ahead.Add(100)
	r.open()
	r.present("late", false)
	r.set(Item{Key: "after"})
	restart()
	r.present("after", true) // the flush is not done twice
	flushIn(60)
	restart()
	r.ahead.Add(100)
	r.advance(uint32(r.now().Unix()))
	r.present("after", false) // it came back, and the flush became due
	r.set(Item{Key: "again"})
	flushIn(60)
	r.ahead.Add(100) // due, and the clock has not ticked
	restart()
	r.present("again", false)
	r.close()
}

// TestMemoryFileCrash has a cache that crashes leave nothing, whatever it had
// loaded and changed.
func TestMemoryFileCrash(t *testing.T) {
	r := newRestarts(t, Options{Memory: 16 << 20})
	r.set(Item{Key: "key", Value: []byte("old")})
	r.close()
	r.open()
	r.present("key", true)
	r.set(Item{Key: "key", Value: []byte("new")})
	r.crash()
	r.open()
	r.present("key", false)
	if n := r.Stats().Mem.IndexItems; n != 0 {
		t.Errorf("%d items after a crash", n)
	}
	r.close()
	if err := os.WriteFile(r.file+imageNew, []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.open() // after a Close that was killed
	r.close()
}

// TestMemoryFileFull brings a full cache back, into less memory, into some that
// may not evict, and with a smaller largest item. It may lose, never mix up.
func TestMemoryFileFull(t *testing.T) {
	ofAmounts(t)
	for _, test := range []struct {
		name          string
		before, after Options
		least         float64 // share of the items that is back
	}{
		{"same", Options{Memory: 32 << 20, NoEvictions: true}, Options{Memory: 32 << 20, NoEvictions: true}, 0.9},
		{"evicting", Options{Memory: 32 << 20}, Options{Memory: 32 << 20}, 0.9},
		{"less", Options{Memory: 32 << 20}, Options{Memory: 16 << 20}, 0.3},
		{"less, no evictions", Options{Memory: 32 << 20}, Options{Memory: 16 << 20, NoEvictions: true}, 0.3},
		{"small items", Options{Memory: 32 << 20}, Options{Memory: 32 << 20, MaxItem: 2000}, 0.4},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.before.Backpressure = time.Millisecond
			r := newRestarts(t, test.before)
			items := map[string]Item{}
			for i := range 16_000 {
				it := Item{Key: fmt.Sprint("key", i), Value: bytes.Repeat([]byte{byte(i)}, 1000+i%2*3000)}
				if err := r.Set(context.Background(), it); err != nil {
					break // full, and it may not evict
				}
				it.CAS = r.cas.Load()
				items[it.Key] = it
			}
			var before int
			for last := -1; before != last; { // the evicting loop may be at work
				last, before = before, r.count(items)
			}
			r.close()
			if !strings.Contains(r.log.String(), "left=0") {
				t.Errorf("Close leaves items behind:\n%s", &r.log)
			}
			test.after.MemoryFile, test.after.Clock = r.file, r.opts.Clock
			r.opts = test.after
			r.open()
			n := r.count(items)
			t.Logf("%d of %d items are back\n%s", n, before, &r.log)
			if float64(n) < test.least*float64(before) || n == 0 {
				t.Errorf("only %d of %d items are back", n, before)
			}
			if st := r.Stats(); st.Mem.SegmentBytes+st.Mem.IndexBytes > test.after.Memory {
				t.Errorf("%d bytes are in use, %d allowed", st.Mem.SegmentBytes+st.Mem.IndexBytes, test.after.Memory)
			}
			r.close()
		})
	}
}

// TestMemoryFileShrunk closes a cache whose index alone is over its new limit.
func TestMemoryFileShrunk(t *testing.T) {
	r := newRestarts(t, Options{Memory: 64 << 20})
	for i := range 100_000 {
		r.set(Item{Key: fmt.Sprint(i)})
	}
	r.mem.SetLimit(2 << 20) // as SetMemory does to one of some more items
	r.set(Item{Key: "newest"})
	r.close()
	if !strings.Contains(r.log.String(), "left=0") {
		t.Errorf("Close leaves items behind:\n%s", &r.log)
	}
	r.open()
	r.present("newest", true)
	r.close()
}

// TestMemoryFileDamage spoils a file in every way there is and wants the rest of
// it, and the file set aside with one line.
func TestMemoryFileDamage(t *testing.T) {
	const items = 2000
	flip := func(at func(size int) int) func([]byte) []byte {
		return func(b []byte) []byte {
			b[at(len(b))] ^= 0x10
			return b
		}
	}
	first := func(n int) func(int) int { return func(int) int { return n } }
	last := func(n int) func(int) int { return func(size int) int { return size - n } }
	const record = imageHeaderBytes
	for _, test := range []struct {
		name    string
		corrupt func([]byte) []byte
		back    int    // items at least
		lost    string // in the log
	}{
		{"magic", flip(first(0)), 0, "starting empty"},
		{"version 0", flip(first(12)), 0, "starting empty"},
		{"header", flip(first(30)), 0, "starting empty"},
		{"empty", func(b []byte) []byte { return nil }, 0, "starting empty"},
		{"half a header", func(b []byte) []byte { return b[:40] }, 0, "starting empty"},
		{"foreign", func(b []byte) []byte { return bytes.Repeat([]byte("foreign "), 1000) }, 0, "starting empty"},
		{"zeroed", func(b []byte) []byte { clear(b); return b }, 0, "starting empty"},
		{"header alone", func(b []byte) []byte { return b[:record] }, 0, "lost=0"},
		{"header and zeroes", func(b []byte) []byte { clear(b[record:]); return b }, 0, "lost=1"},
		{"record CRC", flip(first(record)), items - 1, "lost=1"},
		{"record body CRC", flip(first(record + 4)), items - 1, "lost=1"},
		{"record CAS", flip(first(record + 8)), items - 1, "lost=1"},
		{"record value length", flip(first(record + 25)), items - 1, "lost=1"},
		{"record key length", flip(first(record + 28)), items - 1, "lost=1"},
		{"key", flip(first(record + imageRecordBytes)), items - 1, "lost=1"},
		{"value", flip(func(size int) int { return size / 2 }), items - 1, "lost=1"},
		{"hole", func(b []byte) []byte { clear(b[len(b)/2 : len(b)/2+4096]); return b }, items - 300, "lost="},
		{"cut out", func(b []byte) []byte { return append(b[:len(b)/2&^7], b[len(b)/2&^7+4096:]...) }, items - 300, "lost="},
		{"cut out unaligned", func(b []byte) []byte { return append(b[:len(b)/2], b[len(b)/2+4001:]...) }, items / 3, "lost="},
		{"truncated", func(b []byte) []byte { return b[:len(b)/2] }, items / 3, "lost=1"},
		{"truncated by a byte", func(b []byte) []byte { return b[:len(b)-1] }, items, "lost=1"},
		{"truncated by the trailer", func(b []byte) []byte { return b[:len(b)-imageTrailerBytes] }, items, "lost=0"},
		{"trailer magic", flip(last(32)), items, "lost=1"},
		{"trailer count", flip(last(16)), items, "lost=1"},
		{"trailer length", flip(last(8)), items, "lost=1"},
		{"appended", func(b []byte) []byte { return append(b, "foreign bytes"...) }, items, "lost=1"},
		{"twice", func(b []byte) []byte { return append(b, b...) }, items, "lost=2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRestarts(t, Options{Memory: 16 << 20})
			stored := r.fill(items)
			r.close()
			b, err := os.ReadFile(r.file)
			if err != nil {
				t.Fatal(err)
			}
			spoilt := test.corrupt(b)
			if err := os.WriteFile(r.file, spoilt, 0o600); err != nil {
				t.Fatal(err)
			}
			r.open()
			if n := r.count(stored); n < test.back || test.back == 0 && n > 0 {
				t.Errorf("%d items are back, want %d", n, test.back)
			}
			if lines := strings.Count(r.log.String(), "\n"); lines != 1 || !strings.Contains(r.log.String(), test.lost) ||
				!strings.Contains(r.log.String(), "level=WARN") || !strings.Contains(r.log.String(), "aside="+r.file+imageBad) {
				t.Errorf("want one warning with %q, got\n%s", test.lost, &r.log)
			}
			if aside, err := os.ReadFile(r.file + imageBad); err != nil || !bytes.Equal(aside, spoilt) || r.names() != "memory.bad memory.new" {
				t.Errorf("there are %s: %v", r.names(), err)
			}
			r.set(Item{Key: "new"})
			r.crash()
		})
	}
}

// TestMemoryFileRefused names what Open does not start with, and leaves alone.
func TestMemoryFileRefused(t *testing.T) {
	newer := (&imageHeader{}).encode()
	newer[8]++
	for _, test := range []struct {
		name string
		make func(file string) error
		want string
	}{
		{"newer", func(file string) error { return os.WriteFile(file, newer, 0o600) }, "has format 3, the newest known is 2"},
		{"directory", func(file string) error { return os.Mkdir(file, 0o700) }, "is not a regular file"},
		{"fifo", func(file string) error { return syscall.Mkfifo(file, 0o600) }, "is not a regular file"},
		{"no directory", func(file string) error { return os.Remove(filepath.Dir(file)) }, "no such file or directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "in", "memory")
			if err := errors.Join(os.Mkdir(filepath.Dir(file), 0o700), test.make(file)); err != nil {
				t.Fatal(err)
			}
			before, _ := os.Lstat(file)
			c, err := Open("", Options{MemoryFile: file})
			if err == nil {
				t.Fatal("it opens", c.Close())
			}
			if text := err.Error(); !strings.Contains(text, test.want) || !strings.Contains(text, file) || strings.Contains(text, "\n") {
				t.Errorf("the error is %q, want %q", err, test.want)
			}
			after, _ := os.Lstat(file)
			if before != nil && !os.SameFile(before, after) {
				t.Error("the file was not left in place")
			}
			if _, err := os.Stat(file + imageNew); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("there is a %s: %v", imageNew, err)
			}
		})
	}
	if _, err := Open(t.TempDir(), Options{MemoryFile: "x", FlashSize: 1 << 30}); !errors.Is(err, ErrOptions) {
		t.Errorf("MemoryFile with FlashSize: %v", err)
	}
	r := newRestarts(t, Options{})
	if _, err := Open("", r.opts); !errors.Is(err, ErrMemoryFile) || !strings.Contains(err.Error(), "in use by another cache") {
		t.Errorf("a second cache on the file: %v", err)
	}
	r.set(Item{Key: "key"})
	r.close()
	r.open()
	r.present("key", true)
	r.close()
}

// TestMemoryFileUnwritable has Close fail in one line and leave no half file.
func TestMemoryFileUnwritable(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(r *restarts) error
		want  error
	}{
		{"full disk", func(r *restarts) (err error) {
			r.image.Close()
			r.image, err = os.OpenFile("/dev/full", os.O_WRONLY, 0)
			return err
		}, syscall.ENOSPC},
		{"closed", func(r *restarts) error { return r.image.Close() }, os.ErrClosed},
		{"no directory", func(r *restarts) error { return os.RemoveAll(filepath.Dir(r.file)) }, fs.ErrNotExist},
		{"a directory in its place", func(r *restarts) error { return os.MkdirAll(filepath.Join(r.file, "x"), 0o700) }, fs.ErrExist},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRestarts(t, Options{Memory: 32 << 20})
			r.fill(10_000) // more than is buffered
			if err := test.spoil(r); err != nil {
				t.Fatal(err)
			}
			err := r.Close()
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), "write memory file: ") {
				t.Errorf("Close gives %v, want %v", err, test.want)
			}
			if _, err := os.Stat(r.file + imageNew); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("half a file is left: %v", err)
			}
			if info, err := os.Stat(r.file); err == nil && !info.IsDir() {
				t.Error("there is a memory file")
			}
		})
	}
}

// TestMemoryFileTimeout gives Close no time: what it leaves is right.
func TestMemoryFileTimeout(t *testing.T) {
	r := newRestarts(t, Options{Memory: 64 << 20, ShutdownTimeout: time.Nanosecond})
	items := r.fill(40_000)
	r.close()
	if !strings.Contains(r.log.String(), "level=WARN msg=\"wrote memory file\"") {
		t.Errorf("the log has no warning of what is left:\n%s", &r.log)
	}
	r.open()
	if n := r.count(items); n == 0 || n == len(items) {
		t.Errorf("%d of %d items are back", n, len(items))
	}
	r.close()
}

// goldenImage is a memory file, the same each time.
func goldenImage(t testing.TB) []byte {
	var b bytes.Buffer
	w, err := newImageWriter(&b, imageHeader{salt: 0x0123456789abcdef, cas: 99, flushAt: 2_000_000_000, written: 1_700_000_000})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 9 {
		r := imageRecord{
			cas: uint64(90 + i), flags: uint32(i) << 28, exptime: uint32(i) * 1_000_000_000 / 2,
			key: fmt.Appendf(nil, "key-%0*d", i, i), value: bytes.Repeat([]byte{byte(i)}, i*i),
			state: memtier.State(i % 8),
		}
		if err := w.put(&r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.end(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestMemoryFileGolden reads the files that every version has written, and holds
// what is written to the newest.
func TestMemoryFileGolden(t *testing.T) {
	for version := 1; version <= imageVersion; version++ {
		path, got := filepath.Join("testdata", "memoryfile", fmt.Sprintf("v%d", version), "items.memory"), goldenImage(t)
		want, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && *update {
			err, want = errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, got, 0o644)), got
		}
		if err != nil {
			t.Fatal(err)
		}
		if version == imageVersion && !bytes.Equal(got, want) {
			t.Errorf("what is written differs from %s", path)
		}
		checkGolden(t, want, version)
	}
}

func checkGolden(t *testing.T, b []byte, version int) {
	r, err := newImageReader(bytes.NewReader(b), int64(len(b)), 1<<20)
	if err != nil || r.head != (imageHeader{0x0123456789abcdef, 99, 2_000_000_000, 1_700_000_000}) {
		t.Fatalf("version %d: header %+v, %v", version, r.head, err)
	}
	for i := range 9 {
		state := memtier.State(i % 8)
		if version == 1 {
			state = 0
		}
		rec, ok := r.next()
		if !ok || rec.cas != uint64(90+i) || rec.flags != uint32(i)<<28 || rec.exptime != uint32(i)*1_000_000_000/2 || rec.state != state ||
			string(rec.key) != fmt.Sprintf("key-%0*d", i, i) || !bytes.Equal(rec.value, bytes.Repeat([]byte{byte(i)}, i*i)) {
			t.Errorf("version %d, record %d: %+v, %v", version, i, rec, ok)
		}
	}
	if _, ok := r.next(); ok || !r.sound() {
		t.Errorf("version %d, at the end %+v", version, r)
	}
}

// TestMemoryFileInValue puts a whole memory file into a value and damages the
// length before it: nothing in a value may be taken for a record.
func TestMemoryFileInValue(t *testing.T) {
	inner := goldenImage(t)
	var b bytes.Buffer
	w, err := newImageWriter(&b, imageHeader{salt: rand.Uint64(), cas: 2})
	if err == nil {
		err = errors.Join(w.put(&imageRecord{cas: 1, key: []byte("12345678"), value: inner}), w.put(&imageRecord{cas: 2, key: []byte("k")}), w.end())
	}
	if err != nil {
		t.Fatal(err)
	}
	b.Bytes()[imageHeaderBytes+24] ^= 1
	r, err := newImageReader(bytes.NewReader(b.Bytes()), int64(b.Len()), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if rec, ok := r.next(); !ok || string(rec.key) != "k" || r.bad != 1 {
		t.Errorf("%q comes back, %v, %d damaged", rec.key, ok, r.bad)
	}
	if rec, ok := r.next(); ok {
		t.Errorf("%q comes back, too", rec.key)
	}
}

// FuzzMemoryFile reads anything: no panic, and no record whose CRCs do not hold.
func FuzzMemoryFile(f *testing.F) {
	whole := goldenImage(f)
	f.Add(whole, uint16(0), byte(0))
	f.Add(whole[:100], uint16(60), byte(1))
	f.Fuzz(func(t *testing.T, b []byte, at uint16, bit byte) {
		if int(at) < len(b) {
			b = bytes.Clone(b)
			b[at] ^= bit
		}
		r, err := newImageReader(bytes.NewReader(b), int64(len(b)), 1<<10)
		if err != nil {
			return
		}
		for {
			rec, ok := r.next()
			if !ok {
				break
			}
			var frame [imageRecordBytes]byte
			r.head.encodeRecord(frame[:], &rec)
			if len(rec.key) < 1 || len(rec.key)+len(rec.value) > 1<<10 || rec.sum != r.head.bodySum(append(bytes.Clone(rec.key), rec.value...)) ||
				!bytes.Contains(b, append(append(frame[:], rec.key...), rec.value...)) {
				t.Fatalf("a record of %+v", rec)
			}
		}
		if r.left != 0 || r.lost() < 0 {
			t.Fatalf("at the end %+v", r)
		}
	})
}
