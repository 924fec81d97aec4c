package flashtier

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hearthcache/hearth/ioq"
	"github.com/hearthcache/hearth/ioq/ioqtest"
)

const (
	testPage   = 1 << 20
	testBuffer = 128 << 10
	testClock  = 1_700_000_000
)

// seeded gives a source of randomness and prints its seed if the test fails.
func seeded(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 1))
}

// testHash stands for the cache's hash of a key.
func testHash(key []byte) uint64 { return uint64(checksum(key)) << 7 }

func testOptions(t testing.TB, q ioq.Queue, pages int) Options {
	return Options{
		Dir: t.TempDir(), Size: int64(pages) * testPage, PageSize: testPage, BufferSize: testBuffer,
		Queue: q, Now: func() uint32 { return testClock }, Hash: testHash,
		FS: vfs.NewCrashableMem(), JournalBytes: minJournal,
	}
}

func open(t testing.TB, o Options) *Tier {
	t.Helper()
	tier, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tier.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return tier
}

// newTier is a tier of so many pages on a simulated disk.
func newTier(t testing.TB, pages int, d ioqtest.DiskOptions) (*Tier, *ioqtest.Disk) {
	t.Helper()
	disk := ioqtest.NewDisk(t, d)
	return open(t, testOptions(t, disk, pages)), disk
}

// item is what a test wrote, and must read.
type item struct {
	key, value []byte
	flags, exp uint32
	cas        uint64
	state      uint8
	addr       Addr
}

// newItem makes item n, whose every byte follows from n and size.
func newItem(n, size int) item {
	v := make([]byte, 0, size+8)
	for x := rand.NewPCG(uint64(n), uint64(size)); len(v) < size; {
		v = le.AppendUint64(v, x.Uint64())
	}
	v = v[:size]
	return item{
		key: fmt.Appendf(nil, "key-%d", n), value: v, flags: uint32(n) * 3,
		exp: testClock + 1000 + uint32(n), cas: uint64(n) << 33, state: uint8(n % 8),
	}
}

// put commits it to w's buffer.
func put(w *Writer, it *item) error {
	dst, err := w.Reserve(len(it.key), len(it.value))
	if err != nil {
		return err
	}
	it.addr, err = w.Commit(testHash(it.key), it.key, append(dst, it.value...), it.flags, it.exp, it.cas, it.state)
	return err
}

// flush writes w's buffer, steps a manual disk, and gives the outcome.
func flush(w *Writer, d *ioqtest.Disk) error {
	b, err := w.Flush()
	if b == nil || err != nil {
		return err
	}
	if d != nil {
		d.Drain()
	}
	defer b.Release()
	return b.Err()
}

// fill writes items from number n on until the tier gives an error other than a
// full buffer, or count are written. It gives those that exist.
func fill(w *Writer, d *ioqtest.Disk, n, count, size int) (items []item, err error) {
	var batch []item
	settle := func() {
		if e := flush(w, d); e == nil {
			items = append(items, batch...)
		} else {
			err = e
		}
		batch = nil
	}
	for i := n; i < n+count; {
		it := newItem(i, size)
		switch e := put(w, &it); {
		case e == nil:
			batch = append(batch, it)
			i++
		case errors.Is(e, ErrBufferFull):
			settle()
		default:
			return items, e
		}
	}
	settle()
	return items, err
}

// mustFill is fill without errors.
func mustFill(t testing.TB, w *Writer, d *ioqtest.Disk, n, count, size int) []item {
	t.Helper()
	items, err := fill(w, d, n, count, size)
	if err != nil {
		t.Fatalf("fill: %v", err)
	}
	return items
}

// get reads it and fails the test if a wrong record comes back.
func get(t testing.TB, tier *Tier, d *ioqtest.Disk, it item) error {
	t.Helper()
	r, err := tier.StartRead(it.addr, nil, 0)
	if err != nil {
		return err
	}
	if d != nil {
		d.Drain()
	}
	r.Wait()
	defer r.Release()
	rec, err := r.Finish(it.key)
	if err != nil {
		return err
	}
	check(t, it, rec)
	return nil
}

func check(t testing.TB, it item, rec Record) {
	t.Helper()
	if !bytes.Equal(rec.Key, it.key) || !bytes.Equal(rec.Value, it.value) || rec.Flags != it.flags ||
		rec.Exptime != it.exp || rec.CAS != it.cas || rec.State != it.state || rec.Addr != it.addr {
		t.Fatalf("wrong record at %v for %s: key %q, %d bytes, %+v", it.addr, it.key, rec.Key, len(rec.Value), rec)
	}
}

// mustGet reads all items.
func mustGet(t testing.TB, tier *Tier, d *ioqtest.Disk, items []item) {
	t.Helper()
	for _, it := range items {
		if err := get(t, tier, d, it); err != nil {
			t.Fatalf("%s at %v: %v", it.key, it.addr, err)
		}
	}
}

// victim picks a page and takes it from the catalog.
func victim(tier *Tier) (PageID, bool) {
	v, ok := tier.Pick(false)
	return v.ID, ok && tier.Forget(v.ID)
}

// reclaim frees the next victim and gives its entries.
func reclaim(t testing.TB, tier *Tier) (entries map[Addr]uint64, err error) {
	t.Helper()
	id, ok := victim(tier)
	if !ok {
		t.Fatal("no victim")
	}
	entries = map[Addr]uint64{}
	err = tier.Entries(id, func(hash uint64, a Addr) { entries[a] = hash })
	tier.Free(id)
	return entries, err
}
