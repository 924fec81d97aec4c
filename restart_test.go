package hearth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestRestart closes and opens the cache again and again under the model: with
// room, everything is back, what was in RAM included, and nothing older.
func TestRestart(t *testing.T) {
	for _, s := range settings {
		if !s.flash {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c, err := Open(dir, quiet(s.opts))
			if err != nil {
				t.Fatal(err)
			}
			m := &model{t: t, c: c, rng: seeded(t), items: map[string]*Item{}, room: s.room}
			var cas uint64
			for round := range 6 {
				for range 4000 {
					m.step()
				}
				if err := m.c.Close(); err != nil {
					t.Fatalf("round %d: close: %v", round, err)
				}
				if m.c, err = Open(dir, quiet(s.opts)); err != nil {
					t.Fatalf("round %d: open: %v", round, err)
				}
				if st := m.c.Stats(); st.Recovery.Mode != "clean" || s.room && st.Recovered != int64(len(m.items)) {
					t.Errorf("round %d: %s, %d of %d items", round, st.Recovery.Mode, st.Recovered, len(m.items))
				}
				if next := m.c.nextCAS(); next <= cas {
					t.Errorf("round %d: CAS %d after %d", round, next, cas)
				}
				for key := range m.items {
					m.get(key)
				}
				cas = m.c.nextCAS()
			}
			if err := m.c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRestartKeeps holds a restart to expiry times, those that were changed on
// flash included, and to flushes, those that are due later included.
func TestRestartKeeps(t *testing.T) {
	now := time.Now()
	opts := Options{
		Memory: 16 << 20, MaxItem: 64 << 10, FlashSize: 256 << 20, PageSize: 4 << 20,
		Clock: func() time.Time { return now },
	}
	dir := t.TempDir()
	ctx := context.Background()
	c, err := Open(dir, quiet(opts))
	if err != nil {
		t.Fatal(err)
	}
	reopen := func() {
		t.Helper()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if c, err = Open(dir, quiet(opts)); err != nil {
			t.Fatal(err)
		}
	}
	present := func(key string, want bool) {
		t.Helper()
		if _, err := c.Get(ctx, key); want != (err == nil) || err != nil && !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v, want it there: %v", key, err, want)
		}
	}
	value := []byte(strings.Repeat("x", 1000))
	set := func(key string, expires time.Time) {
		t.Helper()
		if err := c.Set(ctx, Item{Key: key, Value: value, Expires: expires}); err != nil {
			t.Fatal(err)
		}
	}
	soon, late := now.Add(10*time.Second), now.Add(time.Hour)
	set("soon", soon)
	set("late", late)
	set("longer", soon)
	set("shorter", late)
	reopen() // all of them are on flash now
	if err := errors.Join(c.Touch(ctx, "longer", late), c.Touch(ctx, "shorter", soon)); err != nil {
		t.Fatal(err)
	}
	now = now.Add(20 * time.Second)
	reopen()
	for key, want := range map[string]bool{"soon": false, "late": true, "longer": true, "shorter": false} {
		present(key, want)
	}
	if err := c.FlushAll(uint32(now.Unix()) + 5); err != nil {
		t.Fatal(err)
	}
	reopen()
	present("late", true) // the flush is not due
	now = now.Add(10 * time.Second)
	reopen()
	present("late", false)
	set("after", time.Time{})
	reopen()
	present("after", true)
	if err := c.FlushAll(0); err != nil {
		t.Fatal(err)
	}
	set("again", time.Time{})
	reopen()
	present("after", false)
	present("again", true)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// TestOneOwner refuses a second cache on a directory.
func TestOneOwner(t *testing.T) {
	dir, opts := t.TempDir(), Options{Memory: 16 << 20, FlashSize: 16 << 20, PageSize: 1 << 20, MaxItem: 64 << 10}
	c, err := Open(dir, quiet(opts))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if second, err := Open(dir, quiet(opts)); err == nil || !strings.Contains(fmt.Sprint(err), dir) {
		t.Errorf("second open: %v, %v", second, err)
	}
}
