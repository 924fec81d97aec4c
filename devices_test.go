package hearth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/ioq/ioqtest"
)

// deviceOptions are those of a small cache over n devices below dir, of 16 pages
// each.
func deviceOptions(dir string, n int) Options {
	o := Options{Memory: 16 << 20, MaxItem: 64 << 10, PageSize: 1 << 20, WriteBuffer: 256 << 10, HotPercent: -1}
	for i := range n {
		o.Devices = append(o.Devices, Device{Dir: filepath.Join(dir, fmt.Sprint("device", i)), Size: 16 << 20})
	}
	return o
}

// reopened closes the model's cache and opens it anew with o.
func (m *model) reopen(o Options) {
	m.t.Helper()
	err := m.c.Close()
	if err != nil {
		m.t.Fatal(err)
	}
	if m.c, err = Open("", quiet(o)); err != nil {
		m.t.Fatal(err)
	}
}

// TestDevicesRestart closes and opens a cache over three devices, in any order:
// everything is back.
func TestDevicesRestart(t *testing.T) {
	t.Parallel()
	o := deviceOptions(t.TempDir(), 3)
	o.PageSize, o.Devices[0].Size, o.Devices[1].Size, o.Devices[2].Size = 2<<20, 64<<20, 32<<20, 32<<20
	c, err := Open("", quiet(o))
	if err != nil {
		t.Fatal(err)
	}
	m := &model{t: t, c: c, rng: seeded(t), items: map[string]*Item{}, room: true}
	for range 3 {
		for range 6000 {
			m.step()
		}
		m.rng.Shuffle(3, func(i, j int) { o.Devices[i], o.Devices[j] = o.Devices[j], o.Devices[i] })
		m.reopen(o)
		if st := m.c.Stats(); st.Recovery.Mode != "clean" || st.Recovered != int64(len(m.items)) {
			t.Errorf("%s, %d of %d items", st.Recovery.Mode, st.Recovered, len(m.items))
		}
		for key := range m.items {
			m.get(key)
		}
	}
	if err := m.c.Close(); err != nil {
		t.Error(err)
	}
}

// TestDevicesComeAndGo leaves devices out of runs, and has them back later: what
// is found is never old, and a device that missed nothing has kept its items. One
// device of each run is there in the next: without, there is nothing to tell that
// the others are old.
func TestDevicesComeAndGo(t *testing.T) {
	t.Parallel()
	all := deviceOptions(t.TempDir(), 3)
	c, err := Open("", quiet(all))
	if err != nil {
		t.Fatal(err)
	}
	m := &model{t: t, c: c, rng: seeded(t), items: map[string]*Item{}}
	last := all.Devices
	for round := range 12 {
		for range 2000 {
			m.step()
		}
		o := all
		o.Devices = slices.Clone(all.Devices)
		m.rng.Shuffle(3, func(i, j int) { o.Devices[i], o.Devices[j] = o.Devices[j], o.Devices[i] })
		stays := slices.Index(o.Devices, last[m.rng.IntN(len(last))])
		o.Devices = o.Devices[min(stays, m.rng.IntN(3)):max(stays+1, m.rng.IntN(3)+1)]
		m.reopen(o)
		st := m.c.Stats()
		t.Logf("round %d: %d devices, %s, %d of %d items", round, len(o.Devices), st.Recovery.Mode, st.Recovered, len(m.items))
		if st.Recovered == 0 {
			t.Errorf("round %d: %d devices after %d, and nothing is left", round, len(o.Devices), len(last))
		}
		last = o.Devices
		for key := range m.items {
			m.get(key)
		}
	}
	if err := m.c.Close(); err != nil {
		t.Error(err)
	}
}

// onDevice strikes calls on files below dir.
func onDevice(dir string, of ioqtest.Injector) ioqtest.Injector {
	return func(c ioqtest.Call) ioqtest.Fault {
		if !strings.HasPrefix(c.Path, dir+"/") {
			return ioqtest.Fault{}
		}
		return of(c)
	}
}

// TestDeviceFails has every read of one of two devices fail: it is taken out with
// its items, which are misses from then on; all of the other's are still there;
// and when it comes back healed after a restart, it brings nothing old.
func TestDeviceFails(t *testing.T) {
	t.Parallel()
	disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
	o := deviceOptions(t.TempDir(), 2)
	o.Queue = disk
	c, err := Open("", quiet(o))
	if err != nil {
		t.Fatal(err)
	}
	m := &model{t: t, c: c, rng: seeded(t), items: map[string]*Item{}}
	for i := range 3000 {
		m.set(fmt.Sprint("key-", i), 5000)
	}
	m.reopen(o) // all is on flash
	if list := m.c.Devices(); list[0].Flash.ObjectsUsed < 1000 || list[1].Flash.ObjectsUsed < 1000 {
		t.Fatalf("%d and %d items", list[0].Flash.ObjectsUsed, list[1].Flash.ObjectsUsed)
	}
	bad := m.c.Devices()[0]
	disk.Inject(onDevice(bad.Dir, ioqtest.From(0, ioqtest.Is(ioqtest.Read), ioqtest.Fault{Err: syscall.EIO})))
	ctx := context.Background()
	for i := 0; m.c.Devices()[0].State != DeviceOut; i++ {
		if i > 30_000 {
			t.Fatalf("not out: %+v", m.c.Devices()[0])
		}
		m.c.Get(ctx, fmt.Sprint("key-", i%3000)) // one that is missed is looked for again below
		if i%3000 == 2999 {
			time.Sleep(tick) // of the clock that looks for it
		}
	}
	left := 0
	for i := range 3000 {
		if _, err := m.c.Get(ctx, fmt.Sprint("key-", i)); err == nil {
			left++
		}
	}
	if good := m.c.Devices()[1].Flash.ObjectsUsed; int64(left) != good {
		t.Errorf("%d items are left, the other device has %d", left, good)
	}
	for i := range 1000 { // which the device that is out would not know of
		m.set(fmt.Sprint("key-", i), 3000)
	}
	disk.Inject(nil)
	m.reopen(o)
	if d := m.c.Devices()[0]; d.Recovery.Mode != flashtier.ModeCold || d.State != DeviceIn {
		t.Errorf("the device is back as %s, %s", d.State, d.Recovery.Mode)
	}
	for key := range m.items {
		m.get(key)
	}
	if err := m.c.Close(); err != nil {
		t.Error(err)
	}
}

// set stores a value of n bytes.
func (m *model) set(key string, n int) {
	m.t.Helper()
	it := Item{Key: key, Value: []byte(strings.Repeat(string(rune('a'+m.rng.IntN(26))), n))}
	if err := m.c.Set(context.Background(), it); err != nil {
		m.t.Fatal(err)
	}
	m.items[key] = &it
}

// TestDevicesSpread fills two devices, the larger one more, and a bucket's own
// device before those of bucket default.
func TestDevicesSpread(t *testing.T) {
	t.Parallel()
	o := deviceOptions(t.TempDir(), 3)
	o.Devices[1].Size, o.Devices[2].Size, o.Devices[2].Bucket = 32<<20, 8<<20, "compact"
	m := &model{t: t, c: openTest(t, o), rng: seeded(t), items: map[string]*Item{}}
	for i := range 6000 {
		m.set(fmt.Sprint("key-", i), 5000)
	}
	list := m.c.Devices()
	a, b := list[0].Flash.BytesWritten, list[1].Flash.BytesWritten
	if ratio := float64(b) / float64(a); ratio < 1.2 || ratio > 2.4 {
		t.Errorf("%d and %d bytes went to devices of sizes 1 and 2", a, b)
	}
	if list[2].Flash.BytesWritten != 0 {
		t.Errorf("%d bytes went to the device of bucket compact", list[2].Flash.BytesWritten)
	}
	// Written by hand, more than the compact device holds: the rest falls back.
	w := m.c.flash.NewWriter(flashtier.BucketCompact)
	for i := range 16 << 20 / 50_000 {
		for {
			dst, err := w.Reserve(4, 50_000)
			if err == nil {
				if _, err := w.Commit(uint64(i), []byte("key!"), dst[:50_000], 0, 0, 0, 0); err != nil {
					t.Fatal(err)
				}
				break
			}
			if !errors.Is(err, flashtier.ErrBufferFull) {
				t.Fatal(err)
			}
			b, _ := w.Flush()
			b.Release()
		}
	}
	list = m.c.Devices()
	// All of it, but for a page that is kept back, and what a buffer has left over.
	if n := list[2].Flash.BytesWritten; n < 6<<20 {
		t.Errorf("%d bytes went to the device of bucket compact", n)
	}
	if a2, b2 := list[0].Flash.BytesWritten, list[1].Flash.BytesWritten; a2+b2 == a+b {
		t.Error("nothing fell back to the devices of bucket default")
	}
}

// TestDeviceFull has the disk of one of two devices full in the middle of a page:
// nothing is lost as long as the other has room, and it is used again once there is
// room on its disk.
func TestDeviceFull(t *testing.T) {
	t.Parallel()
	disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
	o := deviceOptions(t.TempDir(), 2)
	o.Queue, o.Backpressure = disk, time.Minute
	o.Devices[0].Size, o.Devices[1].Size = 64<<20, 64<<20
	c, err := Open("", quiet(o))
	if err != nil {
		t.Fatal(err)
	}
	m := &model{t: t, c: c, rng: seeded(t), items: map[string]*Item{}, room: true}
	fill := func(from, to int) (first, second uint64) {
		before := c.Devices()
		for i := from; i < to; i++ {
			m.set(fmt.Sprint("key-", i), 5000)
		}
		after := c.Devices()
		return after[0].Flash.BytesWritten - before[0].Flash.BytesWritten, after[1].Flash.BytesWritten - before[1].Flash.BytesWritten
	}
	if a, b := fill(0, 4000); a == 0 || b == 0 {
		t.Fatalf("%d and %d bytes were written", a, b)
	}
	disk.Inject(onDevice(c.Devices()[0].Dir, ioqtest.From(0, ioqtest.Is(ioqtest.Write), ioqtest.Fault{Err: syscall.ENOSPC, Torn: true})))
	if a, b := fill(4000, 9000); a > 1<<20 || b < 8<<20 || !c.Devices()[0].Flash.DeviceOut {
		t.Errorf("%d and %d bytes were written while the first device was full", a, b)
	}
	disk.Inject(nil)
	c.flash.TryDevice()
	if a, b := fill(9000, 12000); a == 0 || b == 0 || c.Devices()[0].Flash.DeviceOut {
		t.Errorf("%d and %d bytes were written when there was room again", a, b)
	}
	for key := range m.items {
		m.get(key)
	}
	if m.miss > 0 {
		t.Errorf("%d values are lost", m.miss)
	}
	m.reopen(o)
	for key := range m.items {
		m.get(key)
	}
	if m.miss > 0 {
		t.Errorf("after a restart %d values are lost", m.miss)
	}
	if err := m.c.Close(); err != nil {
		t.Error(err)
	}
}

// TestDevicesRefused gives devices that cannot be worked with.
func TestDevicesRefused(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(o *Options){
		"holds fewer than 4 pages":    func(o *Options) { o.Devices[1].Size = 3 << 20 },
		"is given twice":              func(o *Options) { o.Devices[1].Dir = o.Devices[0].Dir + "/." },
		"no bucket is called \"hot\"": func(o *Options) { o.Devices[1].Bucket = "hot" },
		"no device is of bucket":      func(o *Options) { o.Devices[0].Bucket, o.Devices[1].Bucket = "old", "compact" },
		"is not that of all devices":  func(o *Options) { o.FlashSize = 1 << 20 },
		"not within 0 and":            func(o *Options) { o.Devices[1].Size = 8 << 40 },
		"needs a directory":           func(o *Options) { o.Devices[1].Dir = "" },
		"not a directory":             func(o *Options) { o.Devices[1].Dir = file },
	} {
		o := deviceOptions(dir, 2)
		change(&o)
		if c, err := Open("", quiet(o)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
			if err == nil {
				c.Close()
			}
		}
	}
	o := deviceOptions(dir, 2)
	o.Devices[1].Dir, o.SkipMissing = file, true
	c, err := Open("", quiet(o))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if list := c.Devices(); len(list) != 2 || list[0].State != DeviceIn || list[1].State != DeviceAbsent || list[1].Dir != file {
		t.Errorf("%+v", list)
	}
}

// TestPlan goes through what a start may find, also one after a start, or a device
// being taken out, that was stopped at any step.
func TestPlan(t *testing.T) {
	const old, before, last = 10 << 32, 20 << 32, 30 << 32
	run := func(id uint64) flashtier.Run { return flashtier.Run{ID: id, Known: true, Seed: 7} }
	pending := func(id, before uint64) flashtier.Run {
		return flashtier.Run{ID: id, Before: before, Pending: true, Known: true, Seed: 7}
	}
	other := flashtier.Run{ID: last, Known: true, Seed: 8}
	for name, test := range map[string]struct {
		runs []flashtier.Run
		cold string // c for each that starts cold
	}{
		"all new":                        {[]flashtier.Run{{}, {}}, "--"},
		"all there":                      {[]flashtier.Run{run(last), run(last)}, "--"},
		"one new":                        {[]flashtier.Run{{}, run(last)}, "--"},
		"one left out":                   {[]flashtier.Run{run(before), run(last), run(last)}, "c--"},
		"one left out, later than none":  {[]flashtier.Run{run(last), run(before)}, "-c"},
		"stopped before all were opened": {[]flashtier.Run{pending(last, before), run(before)}, "--"},
		"... one of them left out":       {[]flashtier.Run{pending(last, before), run(before), run(old)}, "--c"},
		"... with only that one there":   {[]flashtier.Run{pending(last, before), run(old)}, "-c"},
		"stopped when all were opened":   {[]flashtier.Run{pending(last, before), pending(last, before)}, "--"},
		"stopped when some were certain": {[]flashtier.Run{pending(last, before), run(last)}, "--"},
		"... one of them left out then":  {[]flashtier.Run{pending(last, before), run(last), run(before)}, "--c"},
		"first start stopped":            {[]flashtier.Run{pending(last, 0), {}}, "--"},
		"another cache's":                {[]flashtier.Run{run(last + 1<<32), other}, "-c"},
	} {
		for i := range test.runs {
			test.runs[i].Identity = uint64(i + 1)
		}
		next, cold := plan(test.runs, 1)
		got := ""
		for _, why := range cold {
			got += map[bool]string{true: "-", false: "c"}[why == ""]
		}
		if got != test.cold || next.ID>>32 <= last>>32 && test.runs[0].Known {
			t.Errorf("%s: %s, want %s; next is %+v", name, got, test.cold, next)
		}
	}
	if _, cold := plan([]flashtier.Run{run(last), run(last)}, 1); cold[0] != "" || cold[1] == "" {
		t.Errorf("a copy: %q", cold)
	}
}
