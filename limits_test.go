package hearth

import (
	"bytes"
	"log/slog"
	"math"
	"strings"
	"testing"
)

// TestTellsLimits: where items as long as MaxItem are refused, or never go to flash,
// the log says so, with the length from which on that is.
func TestTellsLimits(t *testing.T) {
	const mib = 1 << 20
	for _, test := range []struct {
		o     Options
		warns string
	}{
		{Options{Memory: 64 * mib}, ""},
		{Options{Memory: 16 * mib, MaxItem: 8 * mib}, ""},
		{Options{Memory: 64 * mib, FlashSize: 256 * mib, MaxItem: 30 * mib, PageSize: 16 * mib}, "refused"},
		{Options{Memory: 64 * mib, FlashSize: 256 * mib}, ""},
		{Options{Memory: 128 * mib, FlashSize: 256 * mib, MaxItem: 7 * mib, PageSize: 16 * mib}, ""},
		{Options{Memory: 128 * mib, FlashSize: 256 * mib, MaxItem: 8 * mib, PageSize: 16 * mib}, "stay in RAM"},
	} {
		log := new(bytes.Buffer)
		test.o.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		c := openTest(t, test.o)
		if got := log.String(); !strings.Contains(got, test.warns) || (got == "") != (test.warns == "") {
			t.Errorf("memory %d: %q, want %q", test.o.Memory, got, test.warns)
		}
		ch := Change{Verb: Set, Key: []byte("k"), Value: make([]byte, c.opts.MaxItem-1)}
		if st := ch.Start(c, nil, 0); (st == TooLarge) != (test.warns == "refused") {
			t.Errorf("memory %d: an item of MaxItem: %v", test.o.Memory, st)
		}
		if c.flash == nil {
			continue
		}
		emptyRAM(c, c.newDemoter())
		if onFlash := c.mem.LocOf(c.mem.Hash([]byte("k"))).OnFlash(); onFlash != (test.warns == "") {
			t.Errorf("memory %d: an item of MaxItem is on flash: %t", test.o.Memory, onFlash)
		}
	}
}

// TestLargeItemsGoToFlash: by default an item of MaxItem fits a write buffer, where
// half of Memory has room for three of those, and an eighth of flash for a page of two.
func TestLargeItemsGoToFlash(t *testing.T) {
	const mib = 1 << 20
	for _, test := range []struct {
		memory, item, flash int64
		page, buffer        float64 // MiB
		buffers             int64
	}{
		{64, 1, 1024, 32, 1.02, 5},
		{1024, 1, 64 << 10, 64, 4, 5},
		{256, 31, 4096, 64, 31.02, 2},
		{1024, 128, 8192, 256.03, 128.02, 2},
		{512, 128, 8192, 170.66, 85.33, 2},
		{1024, 128, 1024, 128, 64, 4},
	} {
		o := Options{Memory: test.memory * mib, MaxItem: int(test.item * mib), FlashSize: test.flash * mib}.withDefaults()
		if err := o.validate(t.TempDir()); err != nil {
			t.Errorf("%+v: %v", test, err)
		}
		page, buffer := float64(o.PageSize)/mib, float64(o.WriteBuffer)/mib
		if math.Abs(page-test.page) > 0.01 || math.Abs(buffer-test.buffer) > 0.01 || o.writeBuffers() != test.buffers {
			t.Errorf("%+v: pages of %.2f MiB, %d buffers of %.2f", test, page, o.writeBuffers(), buffer)
		}
		if takes := o.flashTakes(); takes > o.Memory*6/10 {
			t.Errorf("%+v: flash takes %d of %d bytes", test, takes, o.Memory)
		}
	}
}
