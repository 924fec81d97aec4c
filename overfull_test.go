package hearth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestRecoverOverfull starts with less memory than the index of all items needs:
// refused on request, and otherwise with the newest. What was left out is changed
// in part, and never seen again, however much memory a later start has.
func TestRecoverOverfull(t *testing.T) {
	ofAmounts(t)
	t.Parallel()
	const n = 600_000
	dir, ctx := t.TempDir(), context.Background()
	opts := Options{Memory: 64 << 20, MaxItem: 16 << 10, FlashSize: 128 << 20, PageSize: 4 << 20}
	c, err := Open(dir, quiet(opts))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := c.Set(ctx, Item{Key: fmt.Sprint(i), Value: []byte("old")}); err != nil {
			t.Fatal(err)
		}
	}
	reopen := func(memory int64) {
		t.Helper()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		opts.Memory = memory
		if c, err = Open(dir, quiet(opts)); err != nil {
			t.Fatal(err)
		}
	}
	reopen(64 << 20)
	if got := c.Stats().Recovered; got != n {
		t.Fatalf("%d of %d items are back with room for all", got, n)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}

	opts.Memory, opts.Recover = 16<<20, "refuse"
	if _, err := Open(dir, quiet(opts)); !errors.Is(err, ErrOptions) || strings.Contains(err.Error(), "\n") ||
		!strings.Contains(err.Error(), "the index of 600000 items on flash needs Memory of ") {
		t.Errorf("refused with %v", err)
	}
	full := opts.withDefaults()
	opts.Memory = full.mebibytesFor(n) << 20
	if c, err = Open(dir, quiet(opts)); err != nil {
		t.Fatalf("with the memory that was asked for: %v", err)
	}
	opts.Recover = ""
	reopen(16 << 20)
	s := c.Stats()
	most := c.opts.tierOptions(0).MostItems()
	if s.Recovered > most || s.Recovered < most*3/4 || s.Recovered+s.Recovery.LeftOut != n || s.Mem.Evictions != 0 {
		t.Errorf("%d of %d items are back, with room for %d; %d left out, %d evicted", s.Recovered, n, most, s.Recovery.LeftOut, s.Mem.Evictions)
	}
	has := func(i int) string {
		it, err := c.Get(ctx, fmt.Sprint(i))
		if err != nil && !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		return string(it.Value)
	}
	back := map[int]bool{}
	for i := 0; i < n; i += 1000 {
		back[i] = has(i) != ""
	}
	if back[0] || !back[n-1000] {
		t.Errorf("the oldest is back: %v, the newest: %v", back[0], back[n-1000])
	}
	for i := 0; i < n; i += 2000 {
		if err := c.Set(ctx, Item{Key: fmt.Sprint(i), Value: []byte("new")}); err != nil {
			t.Fatal(err)
		}
		if i%4000 == 0 {
			if err := c.Delete(ctx, fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	reopen(64 << 20)
	for i, was := range back {
		switch got := has(i); {
		case i%4000 == 0 && got != "", i%4000 == 2000 && got != "new" && got != "", i%2000 != 0 && !was && got != "":
			t.Errorf("%d is %q; it was back: %v", i, got, was)
		case i%2000 != 0 && was && got != "old":
			t.Errorf("%d is lost", i)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
