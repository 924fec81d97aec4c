package hearth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/hearthcache/hearth/ioq/ioqtest"
)

// faultOptions are a cache far smaller than what the script writes, on a
// simulated disk.
func faultOptions(disk *ioqtest.Disk) Options {
	return Options{
		Memory: 12 << 20, FlashSize: 128 << 20, PageSize: 1 << 20, WriteBuffer: 256 << 10, MaxItem: 64 << 10,
		Queue: disk, HotPercent: -1, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Backpressure: time.Minute, // on a busy machine a second is too short to fail for
	}
}

// faultScript stores, reads and changes some 20 MB on the disk, with room or
// without as the model knows it, and returns how many values were missed.
func faultScript(t *testing.T, disk *ioqtest.Disk, room bool) (missed int, s Stats) {
	c, err := Open(t.TempDir(), faultOptions(disk))
	if err != nil {
		t.Fatal(err)
	}
	m := &model{t: t, c: c, rng: rand.New(rand.NewPCG(disk.Seed(), 7)), items: map[string]*Item{}, room: room}
	for i := range 2000 {
		it := Item{Key: fmt.Sprint("key-", i), Value: bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 5000)}
		if err := c.Set(context.Background(), it); err != nil {
			t.Fatal(err)
		}
		m.items[it.Key] = &it
	}
	for range 500 {
		m.join(fmt.Sprint("key-", m.rng.IntN(2000)), c.Append, func(old, data []byte) []byte { return append(bytes.Clone(old), data...) })
		m.get(fmt.Sprint("key-", m.rng.IntN(2000)))
	}
	for key := range m.items {
		m.get(key)
	}
	s = c.Stats()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	return m.miss, s
}

// TestWriteFaults has every write fail in turn, and nothing may be lost: what
// flash did not take is still in RAM, and goes elsewhere.
func TestWriteFaults(t *testing.T) {
	t.Parallel()
	step := 1
	if testing.Short() {
		step = 25
	}
	for n := 0; ; n += step {
		disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
		fault := ioqtest.Fault{Err: syscall.ENOSPC, Torn: n%2 == 0}
		disk.Inject(ioqtest.Nth(n, ioqtest.Is(ioqtest.Write), fault))
		missed, _ := faultScript(t, disk, true)
		if missed > 0 {
			t.Errorf("seed %d, write %d failed: %d values lost", disk.Seed(), n, missed)
		}
		if disk.Struck() == 0 {
			if n < 10 {
				t.Fatalf("only %d writes", n)
			}
			return
		}
	}
}

// TestReadFaults has single reads fail or give flipped bits: a miss at most,
// and never a wrong byte.
func TestReadFaults(t *testing.T) {
	t.Parallel()
	step := 3
	if testing.Short() {
		step = 20
	}
	for n := 0; n < 40; n += step {
		for _, fault := range []ioqtest.Fault{{Err: syscall.EIO}, {Flip: true}, {Shift: 4096}} {
			disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
			disk.Inject(ioqtest.Nth(n, ioqtest.Is(ioqtest.Read), fault))
			missed, s := faultScript(t, disk, false)
			if missed > 1 || missed == 0 && s.MissBadRecord > 0 {
				t.Errorf("seed %d, read %d, %+v: %d values missed, %d counted", disk.Seed(), n, fault, missed, s.MissBadRecord)
			}
		}
	}
}

// TestLyingDisk flips bits in, tears and misdirects every seventh write, which
// claims success: what was hit is a miss, all else is right.
func TestLyingDisk(t *testing.T) {
	for _, fault := range []ioqtest.Fault{{Flip: true}, {Torn: true}, {Shift: 4096}} {
		disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
		disk.Inject(func(c ioqtest.Call) ioqtest.Fault {
			if c.Verb == ioqtest.Write && c.N%7 == 0 {
				return fault
			}
			return ioqtest.Fault{}
		})
		missed, s := faultScript(t, disk, false)
		t.Logf("%+v: %d missed, %d bad records", fault, missed, s.MissBadRecord)
		if disk.Struck() == 0 || missed == 0 {
			t.Errorf("seed %d, %+v: %d faults went unseen", disk.Seed(), fault, disk.Struck())
		}
	}
}

// TestDeviceOut fails all writes from some point on: the cache goes on with
// what it has, in RAM and on what flash can still be read.
func TestDeviceOut(t *testing.T) {
	for _, n := range []int{0, 20} {
		disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
		disk.Inject(ioqtest.From(n, ioqtest.Is(ioqtest.Write), ioqtest.Fault{Err: syscall.EIO}))
		missed, s := faultScript(t, disk, false)
		if !s.Flash.DeviceOut || missed == 0 || missed == 2000 {
			t.Errorf("seed %d: out %v, %d missed", disk.Seed(), s.Flash.DeviceOut, missed)
		}
	}
}

// TestStopAfterFullDisk stops a cache whose disk was full a moment ago: what is in
// RAM still goes to flash.
func TestStopAfterFullDisk(t *testing.T) {
	disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
	dir, ctx := t.TempDir(), context.Background()
	c, err := Open(dir, faultOptions(disk))
	if err != nil {
		t.Fatal(err)
	}
	disk.Inject(ioqtest.From(0, ioqtest.Is(ioqtest.Write), ioqtest.Fault{Err: syscall.ENOSPC}))
	key := func(i int) string { return fmt.Sprint("key-", i) }
	for i := range 2000 {
		if err := c.Set(ctx, Item{Key: key(i), Value: bytes.Repeat([]byte{byte(i)}, 10_000)}); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "device that is out", func() bool { return c.Stats().Flash.DeviceOut })
	disk.Inject(nil)
	list := func() (there []string) {
		for i := range 2000 {
			if _, err := c.Get(ctx, key(i)); err == nil {
				there = append(there, key(i))
			}
		}
		return there
	}
	there := list()
	for settled := 0; settled < 10; settled++ { // the last sets still have room made for them
		time.Sleep(5 * time.Millisecond)
		if now := list(); len(now) != len(there) {
			there, settled = now, 0
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err = Open(dir, faultOptions(disk)); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, key := range there {
		if _, err := c.Get(ctx, key); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	if len(there) < 100 || len(there) == 2000 {
		t.Errorf("%d values were there before the stop", len(there))
	}
}

// TestBackpressure has flash take nothing for a while: changes wait, fail only
// after the limit, and lose nothing that was stored.
func TestBackpressure(t *testing.T) {
	disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
	opts := faultOptions(disk)
	opts.Backpressure = 300 * time.Millisecond
	c := openTest(t, opts)
	ctx := context.Background()
	value := make([]byte, 10_000)
	disk.Hold()
	stored := 0
	var err error
	for ; err == nil; stored++ {
		err = c.Set(ctx, Item{Key: fmt.Sprint("key-", stored), Value: value})
	}
	stored--
	if s := c.Stats(); !errors.Is(err, ErrNoRoom) || s.BackpressureUs < 300_000 || s.Mem.Evictions > 0 {
		t.Fatalf("after %d values: %v, waited %d us, %d evictions", stored, err, s.BackpressureUs, s.Mem.Evictions)
	}
	waiting := make(chan error)
	go func() { waiting <- c.Set(ctx, Item{Key: "waiter", Value: value}) }()
	disk.Release()
	if err := <-waiting; err != nil {
		t.Errorf("a set that waited for room: %v", err)
	}
	for i := range stored {
		if _, err := c.Get(ctx, fmt.Sprint("key-", i)); err != nil {
			t.Fatalf("key %d of %d: %v", i, stored, err)
		}
	}
}

// TestCancelledWait gives up waiting for room, and for a read, when its context
// ends; the operation is still brought to its end.
func TestCancelledWait(t *testing.T) {
	disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
	c := openTest(t, faultOptions(disk))
	ctx := context.Background()
	value := make([]byte, 10_000)
	for i := range 1500 {
		if err := c.Set(ctx, Item{Key: fmt.Sprint("key-", i), Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	disk.Hold()
	cancelled, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := c.Get(cancelled, "key-0"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("get: %v", err)
	}
	if err := c.Append(cancelled, "key-1", []byte("x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("append: %v", err)
	}
	disk.Release()
	if _, err := c.Get(ctx, "key-0"); err != nil {
		t.Errorf("get after the disk went on: %v", err)
	}
}
