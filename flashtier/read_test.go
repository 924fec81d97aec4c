package flashtier

import (
	"bytes"
	"errors"
	"testing"

	"github.com/hearthcache/hearth/ioq/ioqtest"
)

// TestOlderLife puts the older value of a key under its present address, as a
// device does that loses a write: the value has a sound CRC and the right key, and
// must not be read.
func TestOlderLife(t *testing.T) {
	tier, disk := newTier(t, 2, ioqtest.DiskOptions{})
	w := tier.NewWriter(BucketDefault)
	older := fillAll(t, tier, w, disk, 0)[0]
	path := tier.path(0)
	before := disk.Image(path)
	if _, err := reclaim(t, tier); err != nil {
		t.Fatal(err)
	}
	if err := get(t, tier, disk, older); !errors.Is(err, ErrGone) {
		t.Errorf("address in a free page: %v", err)
	}
	now := newItem(0, 9000)
	now.value[0]++
	if err := put(w, &now); err != nil {
		t.Fatal(err)
	}
	if err := get(t, tier, disk, older); !errors.Is(err, ErrGone) {
		t.Errorf("address in a page not written yet: %v", err)
	}
	if err := flush(w, disk); err != nil {
		t.Fatal(err)
	}
	if now.addr != older.addr {
		t.Fatalf("the test wants one address, has %v and %v", older.addr, now.addr)
	}
	mustGet(t, tier, disk, []item{now})
	disk.Overwrite(path, blockSize, before[blockSize:2*blockSize+9000])
	if err := get(t, tier, disk, now); !errors.Is(err, ErrVersion) {
		t.Errorf("record of the older life: %v", err)
	}
	if s := tier.Stats(); s.ReadVersion != 1 || s.PagesRetired != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestOtherKey(t *testing.T) {
	tier, disk := newTier(t, 2, ioqtest.DiskOptions{})
	it := mustFill(t, tier.NewWriter(BucketDefault), disk, 0, 1, 100)[0]
	for _, key := range []string{"key-1", "key-", "key-00", ""} {
		asked := it
		asked.key = []byte(key)
		if err := get(t, tier, disk, asked); !errors.Is(err, ErrKey) {
			t.Errorf("%q: %v", key, err)
		}
	}
	r, err := tier.StartRead(it.addr, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if rec, err := r.Finish(nil); err != nil || !bytes.Equal(rec.Key, it.key) {
		t.Errorf("any key: %q, %v", rec.Key, err)
	}
	if s := tier.Stats(); s.ReadKey != 4 || s.ReadCRC != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestMovedRecord puts a sound record where another is: the same key, the same
// life, the wrong place.
func TestMovedRecord(t *testing.T) {
	tier, disk := newTier(t, 3, ioqtest.DiskOptions{})
	w := tier.NewWriter(BucketDefault)
	older, other, now := newItem(0, 1000), newItem(1, 1000), newItem(0, 1000)
	now.value[0]++
	for _, it := range []*item{&older, &other, &now} {
		if err := put(w, it); err != nil {
			t.Fatal(err)
		}
	}
	if err := flush(w, disk); err != nil {
		t.Fatal(err)
	}
	mustGet(t, tier, disk, []item{older, other, now})
	_, from, _ := tier.locate(older.addr)
	p, to, _ := tier.locate(now.addr)
	disk.Overwrite(tier.path(p.id), to, disk.Image(tier.path(p.id))[from:from+1040])
	if err := get(t, tier, disk, now); !errors.Is(err, ErrCRC) {
		t.Errorf("moved within the page: %v", err)
	}
	image := disk.Image(tier.path(p.id))
	life := tier.life(p)
	life.Base += tier.pageUnits
	if _, _, err := DecodeRecord(image[from:], life, from); !errors.Is(err, ErrCRC) {
		t.Errorf("moved to another page: %v", err)
	}
}

func TestAddressesOfNothing(t *testing.T) {
	tier, disk := newTier(t, 2, ioqtest.DiskOptions{})
	it := mustFill(t, tier.NewWriter(BucketDefault), disk, 0, 1, 100)[0]
	p, _, _ := tier.locate(it.addr)
	rows := map[string]Addr{
		"the header":           NewAddr(0, 0),
		"past what is written": NewAddr(uint64(p.end.Load())/unit, 0),
		"a page never used":    NewAddr(tier.pageUnits+blockSize/unit, 0),
		"no page":              NewAddr(2*tier.pageUnits, 0),
		"the far end":          NewAddr(1<<40-1, 255),
	}
	for name, a := range rows {
		if r, err := tier.StartRead(a, nil, 0); !errors.Is(err, ErrGone) {
			t.Errorf("%s: %v, %v", name, r, err)
		}
		tier.Dead(a)
		tier.Version(a)
	}
	for class := range 256 { // within the record, of any size: never a record, never a panic
		r, err := tier.StartRead(NewAddr(it.addr.Place()+1, uint8(class)), nil, 0)
		if errors.Is(err, ErrBusy) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if rec, err := r.Finish(nil); err == nil {
			t.Errorf("class %d: %+v", class, rec)
		}
		r.Release()
		tier.pages[p.id].faults.Store(0)
	}
}

// TestClassTooSmall reads a record with an address whose class is too small.
func TestClassTooSmall(t *testing.T) {
	tier, disk := newTier(t, 2, ioqtest.DiskOptions{})
	it := mustFill(t, tier.NewWriter(BucketDefault), disk, 0, 1, 1000)[0]
	it.addr = NewAddr(it.addr.Place(), it.addr.Class()-1)
	if err := get(t, tier, disk, it); !errors.Is(err, ErrCRC) {
		t.Errorf("%v", err)
	}
}

// bell is a Notifier that remembers its tags.
type bell chan uint64

func (b bell) Notify(tag uint64) { b <- tag }

func TestNotifier(t *testing.T) {
	tier, disk := newTier(t, 2, ioqtest.DiskOptions{})
	it := mustFill(t, tier.NewWriter(BucketDefault), disk, 0, 1, 100)[0]
	disk.Hold()
	rung := make(bell, 1)
	r, err := tier.StartRead(it.addr, rung, 77)
	if err != nil {
		t.Fatal(err)
	}
	if r.Ready() {
		t.Error("ready before the disk is")
	}
	if r.Version() != tier.Version(it.addr) {
		t.Errorf("version %d, page has %d", r.Version(), tier.Version(it.addr))
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("Release in flight is not noticed")
			}
		}()
		r.Release()
	}()
	disk.Drain()
	if tag := <-rung; tag != 77 || !r.Ready() {
		t.Errorf("tag %d, ready %v", tag, r.Ready())
	}
	r.Release()
	disk.Release()
}
