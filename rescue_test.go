package hearth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/ioq"
)

// rescueOptions are a cache with 16 pages of 1 MiB.
func rescueOptions() Options {
	return quiet(Options{
		Memory: 24 << 20, MaxItem: 64 << 10, FlashSize: 16 << 20, PageSize: 1 << 20, HotPercent: -1,
		IOEngine: "pread", WriteBuffer: 256 << 10, Reclaim: Reclaim{FreePages: 1, RescuePercent: 1000},
	})
}

func rescueItem(i int) Item {
	return Item{Key: fmt.Sprint("key-", i), Value: bytes.Repeat([]byte{byte(i), byte(i >> 8), 7}, 1000), Flags: uint32(i)}
}

// rescued is a cache under test, with a reclaimer of the test's own. That of the cache
// itself is held.
type rescued struct {
	t       *testing.T
	dir     string
	opts    Options
	c       *Cache
	r       *reclaimer
	release func()
}

func openRescued(t *testing.T, dir string, o Options) *rescued {
	t.Helper()
	c, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return &rescued{t: t, dir: dir, opts: o, c: c, r: c.newReclaimer(), release: holdReclaim(c)}
}

// holdReclaim keeps reclaimLoop from freeing pages, as it would once a second, until
// release is called: it has an answer that nobody takes. Nor does it free one for a
// demoter, which would wait.
func holdReclaim(c *Cache) (release func()) {
	want := pageWanted{flashtier.BucketDefault, make(chan bool)}
	c.reclaimer.asked <- want
	return func() { <-want.reply }
}

func (x *rescued) close() {
	x.t.Helper()
	x.release()
	if err := x.c.Close(); err != nil {
		x.t.Fatal(err)
	}
}

// toFlash sets items from to n-1 and moves all that is in RAM to flash.
func (x *rescued) toFlash(from, n int, expires time.Time) {
	x.t.Helper()
	for i := from; i < n; i++ {
		it := rescueItem(i)
		it.Expires = expires
		if err := x.c.Set(context.Background(), it); err != nil {
			x.t.Fatal(err)
		}
	}
	d := x.c.newDemoter()
	for x.c.mem.SealActive(0, x.c.Now()) || d.step(0) {
	}
	d.drain()
	if err := x.c.flash.CommitAll(); err != nil {
		x.t.Fatal(err)
	}
}

// get tells whether the cache has item i, which must be as it was set.
func (x *rescued) get(i int) bool {
	x.t.Helper()
	want := rescueItem(i)
	it, err := x.c.Get(context.Background(), want.Key)
	switch {
	case errors.Is(err, ErrNotFound):
		return false
	case err != nil:
		x.t.Fatal(err)
	case !bytes.Equal(it.Value, want.Value) || it.Flags != want.Flags:
		x.t.Fatalf("%s: %d bytes %.10q, flags %d", want.Key, len(it.Value), it.Value, it.Flags)
	}
	return true
}

// page tells where item i is.
func (x *rescued) page(i int) flashtier.PageID {
	it, _ := x.c.mem.Peek(x.c.mem.Hash([]byte(rescueItem(i).Key)))
	return flashtier.PageID(it.Loc.Units() * 8 / uint64(x.opts.PageSize))
}

// on lists the items below n that are on page id.
func (x *rescued) on(id flashtier.PageID, n int) (list []int) {
	for i := range n {
		if x.page(i) == id {
			list = append(list, i)
		}
	}
	return list
}

// TestRescue reclaims a page of which a third was read: that is there afterwards,
// and after a restart, and the rest is not.
func TestRescue(t *testing.T) {
	x := openRescued(t, t.TempDir(), rescueOptions())
	const n = 1000
	x.toFlash(0, n, time.Time{})
	for i := 0; i < n; i += 3 {
		x.get(i)
	}
	first := x.on(0, n)
	if !x.r.step(false) {
		t.Fatal("no page was reclaimed")
	}
	check := func(when string) {
		t.Helper()
		for _, i := range first {
			if there := x.get(i); there != (i%3 == 0) {
				t.Fatalf("%s: item %d is there: %v", when, i, there)
			}
		}
	}
	check("after the reclaim")
	if s := x.c.Stats(); s.Rescue.Records != uint64(len(first)+2)/3 || s.Rescue.Skipped != s.FlashEvicted || s.Rescue.Lost != 0 || s.Rescue.Cold != 0 ||
		int(s.FlashEvicted) != len(first)-int(s.Rescue.Records) || s.Rescue.Bytes == 0 || s.Rescue.Read == 0 {
		t.Errorf("%d records on the page, %+v, %d evicted", len(first), s.Rescue, s.FlashEvicted)
	}
	if b := x.c.Pages()[x.page(first[0])].Bucket; b != flashtier.BucketCompact || first[0]%3 != 0 {
		t.Errorf("rescued to bucket %d", b)
	}
	x.close()
	x = openRescued(t, x.dir, x.opts)
	check("after a restart")
	x.close()
}

// TestRescueBound gives a rescue less than there is to rescue: what was read most
// comes first.
func TestRescueBound(t *testing.T) {
	o := rescueOptions()
	o.Reclaim.MaxFrag = 0.25
	x := openRescued(t, t.TempDir(), o)
	defer x.close()
	const n = 700
	x.toFlash(0, n, time.Time{})
	for i := range n {
		if x.get(i); i%10 == 0 {
			x.get(i)
			x.get(i)
		}
	}
	first := x.on(0, n)
	x.r.step(false)
	often, once := 0, 0
	for _, i := range first {
		switch there := x.get(i); {
		case there && i%10 == 0:
			often++
		case there:
			once++
		case i%10 == 0:
			t.Errorf("item %d was read most and is gone", i)
		}
	}
	if s := x.c.Stats().Rescue; once == 0 || s.Bytes > uint64(o.PageSize)/4 || s.Bytes < uint64(o.PageSize)/5 {
		t.Errorf("of %d records %d and %d were rescued, %+v", len(first), often, once, s)
	}
}

// TestRescueUnread rescues what was not read to pages of its own, but not of a page
// that is too full, nor while too few pages are free.
func TestRescueUnread(t *testing.T) {
	for name, tc := range map[string]struct {
		reclaim Reclaim
		dead    int // of ten
		want    bool
	}{
		"dropped":   {Reclaim{FreePages: 1, RescuePercent: 1000}, 5, false},
		"rescued":   {Reclaim{FreePages: 1, RescuePercent: 1000, RescueUnread: true}, 5, true},
		"full page": {Reclaim{FreePages: 1, RescuePercent: 1000, RescueUnread: true}, 0, false},
		"too few":   {Reclaim{FreePages: 1, RescuePercent: 1000, RescueUnread: true, DropUnder: 16}, 5, false},
		"no credit": {Reclaim{FreePages: 1, RescuePercent: -1, RescueUnread: true}, 5, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := rescueOptions()
			o.Reclaim = tc.reclaim
			x := openRescued(t, t.TempDir(), o)
			defer x.close()
			const n = 700
			x.toFlash(0, n, time.Time{})
			first := x.on(0, n)
			var live []int
			for _, i := range first {
				if i%10 >= tc.dead {
					live = append(live, i)
				} else if err := x.c.Delete(context.Background(), rescueItem(i).Key); err != nil {
					t.Fatal(err)
				}
			}
			x.r.step(false)
			for _, i := range live {
				if x.get(i) != tc.want {
					t.Fatalf("item %d is there: %v", i, !tc.want)
				}
			}
			s := x.c.Stats().Rescue
			if tc.want && (s.Cold != uint64(len(live)) || x.c.Pages()[x.page(live[0])].Bucket != flashtier.BucketColdCompact) {
				t.Errorf("%d records, %+v", len(live), s)
			}
		})
	}
}

// TestRescueOfBadRecords spoils a record: it is not moved, and counted.
func TestRescueOfBadRecords(t *testing.T) {
	x := openRescued(t, t.TempDir(), rescueOptions())
	defer x.close()
	const n = 700
	x.toFlash(0, n, time.Time{})
	first := x.on(0, n)
	for _, i := range first[:100] {
		x.get(i)
	}
	it, _ := x.c.mem.Peek(x.c.mem.Hash([]byte(rescueItem(first[50]).Key)))
	f, err := os.OpenFile(x.dir+"/pages/00000000.page", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("spoilt"), int64(it.Loc.Units()*8)+100); err != nil {
		t.Fatal(err)
	}
	x.r.step(false)
	for k, i := range first[:100] {
		if there := x.get(i); there != (k != 50) {
			t.Errorf("item %d is there: %v", i, there)
		}
	}
	if s := x.c.Stats().Rescue; s.Lost != 1 || s.Records != 99 {
		t.Errorf("%+v", s)
	}
}

// TestLowTTL puts what expires soon on pages of its own. Once that is over they are
// freed without a read of them, and nothing is left in the index.
func TestLowTTL(t *testing.T) {
	var now atomic.Int64
	now.Store(time.Now().Unix())
	o, q := rescueOptions(), hook(t)
	o.Queue, o.Reclaim.LowTTL = q, time.Minute
	o.Clock = func() time.Time { return time.Unix(now.Load(), 0) }
	x := openRescued(t, t.TempDir(), o)
	defer x.close()
	soon := time.Unix(now.Load()+30, 0)
	for i := range 1400 {
		it := rescueItem(i)
		if i%2 == 0 {
			it.Expires = soon
		} else {
			it.Expires = soon.Add(time.Hour)
		}
		if err := x.c.Set(context.Background(), it); err != nil {
			t.Fatal(err)
		}
	}
	x.toFlash(0, 0, time.Time{})
	low := 0
	for i := range 1400 {
		bucket := x.c.Pages()[x.page(i)].Bucket
		if want := i%2 == 0; want != (bucket == flashtier.BucketLowTTL) {
			t.Fatalf("item %d is in bucket %d", i, bucket)
		}
	}
	for _, p := range x.c.Pages() {
		if p.State == flashtier.PageSealed && p.Bucket == flashtier.BucketLowTTL {
			low++
		}
	}
	items := x.c.Stats().Mem.IndexItems
	var reads atomic.Int64
	q.hook = func(op *ioq.Op) {
		if op.Kind == ioq.Read {
			reads.Add(1)
		}
	}
	now.Add(31)
	x.c.advance(uint32(now.Load()))
	for x.r.step(true) {
	}
	await(t, "pages that have expired", func() bool { return x.c.Stats().Flash.PageReclaims >= uint64(low) })
	s := x.c.Stats()
	if gone := items - s.Mem.IndexItems; low < 2 || reads.Load() > 0 || s.FlashEvicted > 0 || gone < int64(low)*300 {
		t.Errorf("%d pages, %d reads, %d items of %d dropped, %d evicted", low, reads.Load(), gone, items, s.FlashEvicted)
	}
	q.hook = nil
	for i := 1; i < 1400; i += 2 {
		if !x.get(i) {
			t.Fatalf("item %d went with them", i)
		}
	}
}

// hooked is a queue that tells of every operation before it is submitted.
type hooked struct {
	ioq.Queue
	hook func(op *ioq.Op)
}

func (q *hooked) Submit(ops ...*ioq.Op) {
	for _, op := range ops {
		if q.hook != nil {
			q.hook(op)
		}
		q.Queue.Submit(op)
	}
}

func hook(t *testing.T) *hooked {
	q, err := ioq.New(ioq.Options{Engine: "pread", Threads: 2, Depth: 32})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return &hooked{Queue: q}
}

// TestRescueCrash changes items at every step of a rescue, and takes a copy of what
// a kill at that moment would leave. In each of them what was changed is gone, or
// has its new expiry time, and what was not is there.
func TestRescueCrash(t *testing.T) {
	now := time.Now()
	o, q := rescueOptions(), hook(t)
	o.Queue = q
	o.Clock = func() time.Time { return now }
	x := openRescued(t, t.TempDir(), o)
	const n = 700
	late := now.Add(time.Hour)
	x.toFlash(0, n, late)
	var first []int // of the first page, those that were read: no more than may be rescued
	for _, i := range x.on(0, n) {
		if i%3 > 0 && x.get(i) {
			first = append(first, i)
		}
	}
	ctx := context.Background()
	changed := map[int]string{} // what became of items
	var copies []string
	var wants []map[int]string
	moment := func() {
		t.Helper()
		k := len(copies)
		set := rescueItem(first[10*k+1])
		set.Value = []byte("newer")
		err := errors.Join(
			x.c.Delete(ctx, rescueItem(first[10*k]).Key), x.c.Set(ctx, set),
			x.c.Touch(ctx, rescueItem(first[10*k+2]).Key, now.Add(10*time.Second)),
		)
		if err != nil {
			t.Error(err)
		}
		changed[first[10*k]], changed[first[10*k+1]], changed[first[10*k+2]] = "deleted", "set", "touched"
		dir := t.TempDir()
		if out, err := exec.Command("cp", "-r", x.dir+"/.", dir).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		copies = append(copies, dir)
		want := map[int]string{}
		for i, how := range changed {
			want[i] = how
		}
		wants = append(wants, want)
	}
	inside := false
	q.hook = func(op *ioq.Op) {
		if !inside {
			inside = true
			moment()
			inside = false
		}
	}
	v, ok := x.c.flash.PickOf(false, anyDevice)
	if !ok || v.ID != 0 {
		t.Fatalf("%+v, %v", v, ok)
	}
	x.r.rescue(v)
	if n := x.c.Stats().Flash.BlobsWaiting; n > 0 {
		t.Errorf("the page may go, and %d blobs of its records are not in the catalog", n)
	}
	q.hook = nil
	moment()
	dies := len(copies)
	x.c.flash.Forget(v.ID)
	moment()
	x.r.parted()
	x.r.evict(v, nil)
	moment()
	x.c.flash.Free(v.ID)
	moment()
	if s := x.c.Stats().Rescue; s.Records < 200 || dies < 8 {
		t.Fatalf("%+v at %d moments", s, dies)
	}
	x.close()
	now = now.Add(20 * time.Second)
	o.Queue = nil
	for k, dir := range copies {
		y := openRescued(t, dir, o)
		for _, i := range first {
			how := wants[k][i]
			_, err := y.c.Get(ctx, rescueItem(i).Key)
			switch {
			case how != "" && err == nil:
				t.Errorf("moment %d: item %d was %s and is back", k, i, how)
			case how == "" && !y.get(i):
				t.Errorf("moment %d: item %d is lost", k, i)
			}
		}
		y.close()
		os.RemoveAll(dir)
	}
}
