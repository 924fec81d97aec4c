package hearth

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hearthcache/hearth/flashtier"
)

// TestPageSizeStays: pages keep the size that they have where none is asked for,
// however large flash and items may be by now.
func TestPageSizeStays(t *testing.T) {
	const mib, n = 1 << 20, 200
	for name, devices := range map[string]int{"one device": 0, "two devices": 2} {
		t.Run(name, func(t *testing.T) {
			dir, first, second := t.TempDir(), t.TempDir(), t.TempDir()
			reopen := func(size int64, o Options) (*Cache, error) {
				o.Memory, o.FlashSize = 64*mib, size
				if devices > 0 {
					o.FlashSize, o.Devices = 0, []Device{{Dir: first, Size: size}, {Dir: second, Size: size}}
				}
				return Open(dir, quiet(o))
			}
			c, err := reopen(64*mib, Options{MaxItem: 64 << 10})
			if err != nil {
				t.Fatal(err)
			}
			for i := range n {
				if err := c.Set(t.Context(), Item{Key: fmt.Sprint(i), Value: make([]byte, 10_000)}); err != nil {
					t.Fatal(err)
				}
			}
			page := c.opts.PageSize
			for _, next := range []struct {
				size int64
				item int
			}{{1024 * mib, 64 << 10}, {64 * mib, 1 << 20}, {4096 * mib, 8 << 20}, {64 * mib, 64 << 10}} {
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
				if c, err = reopen(next.size, Options{MaxItem: next.item}); err != nil {
					t.Fatal(err)
				}
				if c.opts.PageSize != page || c.Stats().Recovery.Items != n {
					t.Errorf("%+v: pages of %d bytes, %d before; %d items", next, c.opts.PageSize, page, c.Stats().Recovery.Items)
				}
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := reopen(64*mib, Options{PageSize: 2 * page}); !errors.Is(err, flashtier.ErrOptions) {
				t.Errorf("another size that is asked for: %v", err)
			}
		})
	}
}
