package hearth

import (
	"context"
	"errors"
	"os/exec"
	"testing"
	"time"

	"github.com/hearthcache/hearth/flashtier"
)

// twinned is a cache in which items of one page have just been moved to another,
// and the old page is still in the catalog. With two devices the new page is on the
// other one.
type twinned struct {
	*rescued
	devices bool
	parent  string // of the devices
	v       flashtier.Victim
	moved   []int
}

// twinnedOptions are those of a cache below dir, over one device or two.
func twinnedOptions(dir string, devices bool) Options {
	o := rescueOptions()
	if devices {
		o.FlashSize, o.Devices = 0, deviceOptions(dir, 2).Devices
		o.Devices[1].Bucket = "compact"
	}
	return o
}

func openTwinned(t *testing.T, devices bool) *twinned {
	t.Helper()
	x := &twinned{parent: t.TempDir(), devices: devices}
	x.rescued = openRescued(t, x.parent, twinnedOptions(x.parent, devices))
	const n = 700
	x.toFlash(0, n, time.Now().Add(time.Hour))
	for _, i := range x.on(0, n) {
		if i%5 > 0 && x.get(i) { // as much as may be moved
			x.moved = append(x.moved, i)
		}
	}
	var ok bool
	if x.v, ok = x.c.flash.PickOf(false, anyDevice); !ok || x.v.ID != 0 {
		t.Fatalf("%+v, %v", x.v, ok)
	}
	x.r.rescue(x.v)
	for _, i := range x.moved { // of the last buffer only; before it, the old ones are dead
		if x.page(i) == 0 {
			t.Fatalf("item %d was not moved", i)
		}
	}
	return x
}

// change deletes, sets and touches items from first on, of those that were moved
// last.
func (x *twinned) change(first int) (list []int) {
	x.t.Helper()
	ctx := context.Background()
	list = x.moved[len(x.moved)-6+first:][:3]
	set := rescueItem(list[1])
	set.Value = []byte("newer")
	_ = x.c.Delete(ctx, rescueItem(list[0]).Key) // it may be lost already
	err := x.c.Set(ctx, set)
	if e := x.c.Touch(ctx, rescueItem(list[2]).Key, time.Now().Add(time.Second)); !errors.Is(e, ErrNotFound) {
		err = errors.Join(err, e)
	}
	if err != nil {
		x.t.Error(err)
	}
	return list
}

// killed opens what a kill at this moment would leave, three seconds later, and
// checks that of what was changed nothing is back. It gives how many of the other
// items that were moved are there.
func (x *twinned) killed(changed []int) (there int) {
	x.t.Helper()
	dir := x.t.TempDir()
	if out, err := exec.Command("cp", "-r", x.parent+"/.", dir).CombinedOutput(); err != nil {
		x.t.Fatalf("%v: %s", err, out)
	}
	o := twinnedOptions(dir, x.devices)
	o.Clock = func() time.Time { return time.Now().Add(3 * time.Second) }
	y := openRescued(x.t, dir, o)
	defer y.close()
	was := map[int]bool{}
	for _, i := range changed {
		was[i] = true
		if it, err := y.c.Get(context.Background(), rescueItem(i).Key); err == nil {
			x.t.Errorf("item %d, which was changed, is back with %.8q", i, it.Value)
		}
	}
	for _, i := range x.moved {
		if !was[i] && y.get(i) {
			there++
		}
	}
	return there
}

// TestTwinsOnTwoDevices changes items that are named on two devices: both have to
// know. What was not changed is there, wherever it is found.
func TestTwinsOnTwoDevices(t *testing.T) {
	x := openTwinned(t, true)
	defer x.close()
	list := x.change(0)
	if there := x.killed(list); there != len(x.moved)-len(list) {
		t.Errorf("%d items of %d are there", there, len(x.moved)-len(list))
	}
}

// TestTwinsWithoutTheirDevice takes out the device that items were moved to, before
// their old page has left the catalog.
func TestTwinsWithoutTheirDevice(t *testing.T) {
	x := openTwinned(t, true)
	defer x.close()
	list := x.change(0)
	x.c.remove(x.c.flash.all[1])
	x.killed(append(list, x.change(3)...))
}

// TestRescueToDeviceTakenOut moves nothing to a device that was taken out while the
// records were on their way.
func TestRescueToDeviceTakenOut(t *testing.T) {
	dir, q := t.TempDir(), hook(t)
	o := twinnedOptions(dir, true)
	o.Queue = q
	x := &twinned{rescued: openRescued(t, dir, o), devices: true, parent: dir}
	defer x.close()
	x.toFlash(0, 700, time.Now().Add(time.Hour))
	for _, i := range x.on(0, 700) {
		if x.get(i) {
			x.moved = append(x.moved, i)
		}
	}
	v, _ := x.c.flash.PickOf(false, anyDevice)
	x.r.use(flashtier.BucketCompact)
	x.r.budget(v)
	it, _ := x.c.mem.Peek(x.c.mem.Hash([]byte(rescueItem(x.moved[0]).Key)))
	a := addrOf(it.Loc, it.Class)
	rec := &flashtier.Record{Key: []byte(rescueItem(x.moved[0]).Key), Value: rescueItem(x.moved[0]).Value, CAS: it.CAS}
	x.r.move(&candidate{hash: x.c.mem.Hash(rec.Key), addr: a}, rec)
	x.c.remove(x.c.flash.all[1])
	x.r.ship()
	if now, _ := x.c.mem.Peek(x.c.mem.Hash(rec.Key)); now.Loc != it.Loc {
		t.Errorf("the item was moved to %v", now.Loc)
	}
}

// TestTwinsOfPageThatStays has the old page stay in the catalog, as if that could not
// be written, while other pages are freed, also the one that the items were moved to.
func TestTwinsOfPageThatStays(t *testing.T) {
	x := openTwinned(t, false)
	defer x.close()
	for _, i := range x.on(1, 700)[10:] { // which makes it the next to go
		if err := x.c.Delete(context.Background(), rescueItem(i).Key); err != nil {
			t.Fatal(err)
		}
	}
	if x.r.step(false); x.c.Pages()[1].State != flashtier.PageFree {
		t.Fatalf("%+v", x.c.Pages())
	}
	list := x.change(0)
	x.killed(list)
	target := x.page(x.moved[len(x.moved)-1])
	if _, err := x.r.w.Reserve(100, 240<<10); err != nil { // which ends the page
		t.Fatal(err)
	}
	await(t, "page that can be freed", func() bool {
		v, ok := x.c.flash.PickOf(false, anyDevice)
		return ok && v.ID == target
	})
	if !x.c.flash.Forget(target) {
		t.Fatal("the page stays")
	}
	x.r.evict(flashtier.Victim{ID: target, Retired: true}, nil)
	x.killed(append(list, x.change(3)...))
}
