package hearth

import (
	"bytes"
	"log/slog"
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
