package pageinspect

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/ioq"
)

const (
	testClock = 1_700_000_000
	testPage  = 1 << 20
	testPages = 5
	testItems = 300
)

// fixture is a directory as a kill leaves it, and what is in it.
type fixture struct {
	dir   string
	items []item
}

// item is a record that was written.
type item struct {
	key, value []byte
	flags, exp uint32
	cas        uint64
	addr       flashtier.Addr
	state      State
}

func (it *item) page() flashtier.PageID {
	return flashtier.PageID(it.addr.Place() * 8 / testPage)
}

func (it *item) offset() int64 { return int64(it.addr.Place() * 8 % testPage) }

// newFixture makes a directory of a few pages: most items live, some dead, some
// of those in the journal only, some touched, some expired.
func newFixture(t testing.TB) *fixture {
	t.Helper()
	return fixtureOf(t, t.TempDir(), 0, testItems, func(i int) int { return 7000 + i })
}

// fixtureOf has n items from first on, of so many bytes of key and value.
func fixtureOf(t testing.TB, dir string, first, n int, size func(i int) int) *fixture {
	t.Helper()
	x := &fixture{dir: dir}
	tier, done := openTier(t, dir)
	w := tier.NewWriter(flashtier.BucketDefault)
	for i := range n {
		x.items = append(x.items, newItem(first+i, size(i)))
		x.put(t, tier, w, i)
	}
	x.flush(t, tier, w)
	must(t, tier.CommitAll())
	for i := range x.items {
		it := &x.items[i]
		switch {
		case i%10 == 3:
			tier.Died(it.addr)
			it.state = Dead
		case i%10 == 4:
			tier.Touched(it.addr, testClock+777)
			it.exp = testClock + 777
		case it.exp != 0 && it.exp <= testClock:
			it.state = Expired
		}
	}
	must(t, tier.SetHotList([]uint64{1, 2, 3}))
	done()
	return x
}

// openTier opens a tier. done closes it as a kill would.
func openTier(t testing.TB, dir string) (tier *flashtier.Tier, done func()) {
	t.Helper()
	q, err := ioq.New(ioq.Options{Engine: "pread", Dir: dir})
	must(t, err)
	tier, err = flashtier.Open(flashtier.Options{
		Dir: dir, Size: testPages * testPage, PageSize: testPage, BufferSize: 256 << 10, Queue: q,
		JournalBytes: 64 << 10, Now: func() uint32 { return testClock },
		Hash: func(key []byte) uint64 { return hashOf(key, tier.Seed()) },
	})
	must(t, err)
	_, err = tier.Recover(1, func([]flashtier.Entry) {})
	must(t, err)
	return tier, func() { must(t, errors.Join(tier.Close(), q.Close())) }
}

// newItem makes item i of size bytes, every one of which follows from i and size.
func newItem(i, size int) item {
	it := item{key: fmt.Appendf(nil, "key-%d", i), flags: uint32(i) + 1, cas: uint64(i) << 32}
	switch {
	case i%50 == 7:
		it.key = fmt.Appendf(nil, "bin\x00\xff %d", i)
	case i%10 == 5:
		it.exp = testClock - 5
	case i%10 == 6:
		it.exp = testClock + 5000
	}
	it.value = make([]byte, size-len(it.key))
	rand.NewChaCha8([32]byte{byte(i), byte(i >> 8), byte(size)}).Read(it.value)
	return it
}

func (x *fixture) put(t testing.TB, tier *flashtier.Tier, w *flashtier.Writer, i int) {
	t.Helper()
	it := &x.items[i]
	dst, err := w.Reserve(len(it.key), len(it.value))
	if errors.Is(err, flashtier.ErrBufferFull) {
		x.flush(t, tier, w)
		dst, err = w.Reserve(len(it.key), len(it.value))
	}
	must(t, err)
	it.addr, err = w.Commit(hashOf(it.key, tier.Seed()), it.key, append(dst, it.value...), it.flags, it.exp, it.cas, 0)
	must(t, err)
}

func (x *fixture) flush(t testing.TB, tier *flashtier.Tier, w *flashtier.Writer) {
	t.Helper()
	b, err := w.Flush()
	must(t, err)
	b.Wait()
	exp := map[flashtier.Addr]uint32{}
	for _, it := range x.items {
		exp[it.addr] = it.exp
	}
	b.Commit(tier.Generation(), func(i int) (uint32, bool) {
		_, a := b.Entry(i)
		return exp[a], true
	})
	b.Release()
}

// look opens the fixture's directory, at the time of its making.
func (x *fixture) look(t testing.TB) *Dir {
	t.Helper()
	d, err := Open(x.dir)
	must(t, err)
	d.Now = testClock
	t.Cleanup(func() { must(t, d.Close()) })
	return d
}

// path is that of a page file.
func (x *fixture) path(id int) string {
	return filepath.Join(x.dir, "pages", flashtier.PageFileName(flashtier.PageID(id)))
}

// flip changes a byte of a file.
func flip(t testing.TB, path string, off int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], off); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	_, err = f.WriteAt(b[:], off)
	must(t, err)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
