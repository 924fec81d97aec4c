package hearth

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/hearthcache/hearth/flashtier"
)

// openTiered is a cache over one device of 16 pages and those given, in which
// nothing is rescued for having been read. All items below n are on flash, every
// third of the first page was read.
func openTiered(t *testing.T, n int, lower ...Device) (x *rescued, first []int) {
	t.Helper()
	dir, o := t.TempDir(), rescueOptions()
	o.FlashSize, o.Reclaim.RescuePercent = 0, -1
	o.Devices = []Device{{Dir: filepath.Join(dir, "first"), Size: 16 << 20}}
	for _, d := range lower {
		d.Dir = filepath.Join(dir, d.Bucket)
		o.Devices = append(o.Devices, d)
	}
	x = openRescued(t, "", o)
	x.toFlash(0, n, time.Time{})
	first = x.on(0, n)
	for i := 0; i < len(first); i += 3 {
		x.get(first[i])
	}
	return x, first
}

// buckets counts the items of the list by the bucket of the page they are on. Those
// that are nowhere are under flashtier.BucketChunked.
func (x *rescued) buckets(list []int) map[uint8]int {
	x.t.Helper()
	n := map[uint8]int{}
	pages := x.c.Pages()
	for _, i := range list {
		page := x.page(i)
		if !x.get(i) {
			n[flashtier.BucketChunked]++
			continue
		}
		n[pages[page].Bucket]++
	}
	return n
}

// TestLowerTiers reclaims a page: what was not read goes to the device of bucket
// coldcompact, all else to the one of bucket old, and what there is no device for
// is lost. It is there after a restart, too.
func TestLowerTiers(t *testing.T) {
	const n = 700
	cold, old := Device{Size: 16 << 20, Bucket: "coldcompact"}, Device{Size: 16 << 20, Bucket: "old"}
	for name, test := range map[string]struct {
		lower        []Device
		read, unread uint8
	}{
		"neither": {nil, flashtier.BucketChunked, flashtier.BucketChunked},
		"cold":    {[]Device{cold}, flashtier.BucketChunked, flashtier.BucketColdCompact},
		"old":     {[]Device{old}, flashtier.BucketOld, flashtier.BucketOld},
		"both":    {[]Device{old, cold}, flashtier.BucketOld, flashtier.BucketColdCompact},
	} {
		t.Run(name, func(t *testing.T) {
			x, first := openTiered(t, n, test.lower...)
			if !x.r.step(false) {
				t.Fatal("no page was reclaimed")
			}
			var read, unread []int
			for k, i := range first {
				if k%3 == 0 {
					read = append(read, i)
				} else {
					unread = append(unread, i)
				}
			}
			s := x.c.Stats()
			want := map[uint8]uint64{}
			want[test.read] += uint64(len(read))
			want[test.unread] += uint64(len(unread))
			if s.Rescue.Cold != want[flashtier.BucketColdCompact] || s.Rescue.Old != want[flashtier.BucketOld] || s.FlashEvicted != want[flashtier.BucketChunked] {
				t.Errorf("%d items read, %d not: %+v, %d evicted", len(read), len(unread), s.Rescue, s.FlashEvicted)
			}
			for range 2 {
				if got := x.buckets(read); got[test.read] != len(read) {
					t.Errorf("of %d items read, by bucket: %v", len(read), got)
				}
				if got := x.buckets(unread); got[test.unread] != len(unread) {
					t.Errorf("of %d items not read, by bucket: %v", len(unread), got)
				}
				x.close()
				x = openRescued(t, "", x.opts)
			}
			x.close()
		})
	}
}

// TestLowerTierGives reclaims pages of the device of bucket coldcompact, which go to
// the one of bucket old, and pages of that, which go nowhere.
func TestLowerTierGives(t *testing.T) {
	x, first := openTiered(t, 700, Device{Size: 8 << 20, Bucket: "coldcompact"}, Device{Size: 8 << 20, Bucket: "old"})
	unread := first[1:3]
	x.r.step(false)
	for _, step := range []struct{ from, to uint8 }{
		{flashtier.BucketColdCompact, flashtier.BucketOld}, {flashtier.BucketOld, flashtier.BucketChunked},
	} {
		if got := x.buckets(unread); got[step.from] != len(unread) {
			t.Fatalf("want bucket %d: %v", step.from, got)
		}
		x.close() // no page is being filled after that
		x = openRescued(t, "", x.opts)
		for x.r.stepOf(false, func(d *device) bool { return d.bucket == step.from }) {
		}
		if got := x.buckets(unread); got[step.to] != len(unread) {
			t.Errorf("from bucket %d, want %d: %v", step.from, step.to, got)
		}
	}
	x.close()
}

// TestLowerTierFull reclaims all there is: the device of bucket old takes what it
// has pages for, the rest is lost, and nothing is written to the first device again.
func TestLowerTierFull(t *testing.T) {
	const n = 4000
	x, _ := openTiered(t, n, Device{Size: 4 << 20, Bucket: "old"})
	defer x.close()
	written := x.c.Devices()[0].Flash.BytesWritten
	for x.r.stepOf(false, func(d *device) bool { return d.tier() == 0 }) {
	}
	s := x.c.Stats()
	if s.Rescue.Old < 700 || s.FlashEvicted < 700 || x.c.Devices()[1].Flash.PagesFree != 0 {
		t.Errorf("%+v, %d evicted, %+v", s.Rescue, s.FlashEvicted, x.c.Devices()[1].Flash)
	}
	if now := x.c.Devices()[0].Flash.BytesWritten; now != written {
		t.Errorf("%d bytes were written to the first device", now-written)
	}
	there := 0
	for i := range n {
		if x.get(i) {
			there++
		}
	}
	if there < int(s.Rescue.Old) {
		t.Errorf("%d of %d items are there", there, s.Rescue.Old)
	}
}
