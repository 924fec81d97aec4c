package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hearthcache/hearth/tools/loadgen"
)

// TestScan finds the write buffers of a golden page, and of one with a bad record
// that there is a gap.
func TestScan(t *testing.T) {
	image, err := os.ReadFile(filepath.Join("..", "..", "testdata", "pages", "v1", "sealed.page"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "00000001.page"), image, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "00000002.page"), make([]byte, 8192), 0o600); err != nil {
		t.Fatal(err)
	}
	p := newPages(10)
	if err := p.scan(dir); err != nil || p.extents != 3 {
		t.Errorf("%d extents, %v", p.extents, err)
	}
}

// knownKeys is a known with answers for each key.
type knownKeys []struct {
	answered uint64
	sure     bool
	found    uint64
}

func (k knownKeys) Answered(key uint64) (uint64, bool) { return k[key].answered, k[key].sure }
func (k knownKeys) Found(key uint64) uint64            { return k[key].found }

// TestAgainst tells a write buffer that never reached the catalog from one of
// which something is missing.
func TestAgainst(t *testing.T) {
	p := &pages{extents: 3, newest: []onPage{
		{version: 5, extent: 1}, {version: 5, extent: 1}, {version: 5, extent: 1}, {version: 5, extent: 1},
		{version: 5, extent: 2}, {version: 5, extent: 2}, {version: 5, extent: 2},
		{version: 5, extent: 3}, {version: 5, extent: 3}, {}, {},
	}}
	k := knownKeys{
		{5, true, 5}, {5, true, 5}, {6, true, 0}, {5, false, 0}, // all that must be
		{5, true, 0}, {5, true, 0}, {6, true, 6}, // none
		{5, true, 5}, {5, true, 0}, {5, true, 0}, {0, true, 0}, // one of two
	}
	want := finding{expected: 6, back: 3, buffers: 1, uncommitted: 2, lost: 1}
	if got := p.against(k); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// largeArgs are a large round that is small.
var largeArgs = []string{"-sets", "4000", "-items", "30000", "-memory", "16", "-flash", "256", "-before", "700ms"}

// TestLarge does such a round with the real binary, and with one that forgets
// deaths.
func TestLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs hearthd")
	}
	for _, plant := range []string{"-plant=false", "-plant"} {
		t.Run(plant, func(t *testing.T) {
			t.Parallel()
			o := testOptions(t, append(largeArgs, plant)...)
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			var out bytes.Buffer
			r := newLarge(o, t.TempDir(), &out)
			r.target = newProcess(built(t, o), &r.setup, nil)
			err := r.run(ctx)
			r.target.signal(syscall.SIGKILL)
			if err := errors.Join(err, r.target.wait(ctx)); err != nil && !errors.Is(err, errSlow) {
				t.Errorf("%v\n%s", err, &out)
			}
		})
	}
}

// TestLargeJudge wants the round to fail for each thing that may be wrong.
func TestLargeJudge(t *testing.T) {
	good := finding{expected: 10, back: 8, buffers: 1, uncommitted: 2}
	for name, row := range map[string]struct {
		result loadgen.Result
		f      finding
		plant  bool
		slow   bool
		want   error
	}{
		"good":      {f: good},
		"stale":     {result: loadgen.Result{Stale: 1}, f: good, want: errBreach},
		"wrong":     {result: loadgen.Result{Wrong: 1}, f: good, want: errBreach},
		"lost":      {f: finding{expected: 10, back: 9, lost: 1}, want: errBreach},
		"too many":  {f: finding{expected: 100, back: 1, buffers: mostBuffers + 1, uncommitted: 99}, want: errBreach},
		"nothing":   {want: errNothing},
		"unplanted": {f: good, plant: true, want: errUnseen},
		"slow":      {f: good, slow: true, want: errSlow},
		"planted":   {result: loadgen.Result{Stale: 1}, f: good, plant: true},
	} {
		var out strings.Builder
		r := newLarge(options{items: 100, flash: 256, plant: row.plant}, "", &out)
		r.slow = row.slow
		if err := r.judge(&row.result, row.f); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
	}
}
