package main

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hearthcache/hearth/tools/oracle"
)

// binaries are the directories with a hearthd for each set of build tags.
var binaries = struct {
	sync.Mutex
	dirs map[string]string
}{dirs: map[string]string{}}

func TestMain(m *testing.M) {
	status := m.Run()
	for _, dir := range binaries.dirs {
		os.RemoveAll(dir)
	}
	os.Exit(status)
}

// built gives the hearthd that o asks for, built once for all tests.
func built(t *testing.T, o options) string {
	t.Helper()
	binaries.Lock()
	defer binaries.Unlock()
	if dir := binaries.dirs[o.tags]; dir != "" {
		return filepath.Join(dir, "hearthd")
	}
	dir, err := os.MkdirTemp("", "crashtest-")
	if err != nil {
		t.Fatal(err)
	}
	binaries.dirs[o.tags] = dir
	binary, err := build(t.Context(), o, dir)
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// testOptions are those of a short run, with its seed in the test's log.
func testOptions(t *testing.T, args ...string) options {
	t.Helper()
	o, err := parse(args)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("seed %d", o.seed)
	return o
}

// runFake runs the test against a server that lies, and gives what it printed.
func runFake(t *testing.T, l lies, args ...string) (*run, string, error) {
	t.Helper()
	o := testOptions(t, append([]string{"-load", "60ms", "-conns", "4"}, args...)...)
	var out bytes.Buffer
	r := newRun(o, func(s *setup) target { return newFakeServer(l, o.seed) }, &out)
	r.profile = func(r *rand.Rand, n int) setup {
		s := profiles[o.profile](r, n)
		s.keys, s.rounds, s.flushEvery = 400, 100, 2000
		if l.expired {
			s.keys, s.flushEvery = 5000, 1e9 // so that some values are left alone for a second
		}
		return s
	}
	r.slack = 200 * time.Millisecond // the server has a better clock than hearthd
	err := r.all(context.Background(), t.TempDir())
	r.report()
	if err == nil {
		err = r.judge()
	}
	return r, out.String(), err
}

// TestHonest: a server that only loses values at a kill passes.
func TestHonest(t *testing.T) {
	for _, profile := range []string{"tight", "room"} {
		r, out, err := runFake(t, lies{}, "-rounds", "15", "-profile", profile, "-lossless")
		if n := r.totals.counts; err != nil || n.Values < 500 || r.totals.rounds != 15 {
			t.Errorf("%s: %v\n%s", profile, err, out)
		}
	}
}

// TestLies: each lie is found, and called what it is.
func TestLies(t *testing.T) {
	for _, row := range []struct {
		name string
		lies lies
		want func(oracle.Counts) uint64
	}{
		{"overwritten", lies{overwritten: true}, oracle.Counts.Stale},
		{"deleted", lies{deleted: true}, oracle.Counts.Stale},
		{"flushed", lies{flushed: true}, oracle.Counts.Stale},
		{"expired", lies{expired: true}, oracle.Counts.Stale},
		{"cut short", lies{cutShort: true}, oracle.Counts.Stale},
		{"recounted", lies{recounted: true}, oracle.Counts.Stale},
		{"cas used again", lies{reusedCAS: true}, oracle.Counts.Wrong},
		{"forgotten", lies{forgets: true}, oracle.Counts.Lost},
		{"older", lies{older: true}, oracle.Counts.Stale},
		{"spoilt", lies{spoilt: true}, oracle.Counts.Wrong},
		{"swapped", lies{swapped: true}, oracle.Counts.Wrong},
		{"flags", lies{flags: true}, oracle.Counts.Wrong},
	} {
		t.Run(strings.ReplaceAll(row.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			profile := "tight"
			if row.lies.forgets {
				profile = "room"
			}
			r, out, err := runFake(t, row.lies, "-rounds", "2000", "-profile", profile, "-lossless")
			if n := r.totals.counts; !errors.Is(err, errBreach) || row.want(n) == 0 {
				t.Errorf("%v, not the breach wanted\n%s", err, out)
			}
		})
	}
}

// TestFailures: a server that does not answer as it should is no success.
func TestFailures(t *testing.T) {
	for _, row := range []struct {
		name string
		lies lies
		args []string
		want error
	}{
		{"ends by itself", lies{crashes: true}, nil, errEnded},
		{"closes a connection", lies{hangsUp: true}, nil, nil},
		{"nonsense", lies{nonsense: true}, nil, errReply},
		{"cold", lies{}, []string{"-min-warm", "2"}, errCold},
		{"no planted fault", lies{}, []string{"-plant"}, errUnseen},
	} {
		t.Run(strings.ReplaceAll(row.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			_, out, err := runFake(t, row.lies, append(row.args, "-rounds", "15", "-profile", "tight")...)
			if err == nil || row.want != nil && !errors.Is(err, row.want) {
				t.Errorf("%v, want %v\n%s", err, row.want, out)
			}
		})
	}
}

// TestPlanted: with -plant a stale value is the success.
func TestPlanted(t *testing.T) {
	_, out, err := runFake(t, lies{overwritten: true}, "-rounds", "200", "-profile", "tight", "-plant")
	if err != nil || !strings.Contains(out, "the planted fault was seen") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestHearthd is a short crash test of the real binary.
func TestHearthd(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs hearthd")
	}
	t.Parallel()
	dir := t.TempDir()
	o := testOptions(t, "-rounds", "6", "-load", "900ms", "-conns", "4")
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	binary := built(t, o)
	var out bytes.Buffer
	r := newRun(o, func(s *setup) target { return newProcess(binary, s, nil) }, &out)
	r.profile = func(r *rand.Rand, n int) setup {
		s := profiles[o.profile](r, n) // tight, then room
		s.memory, s.keys, s.rounds = 12, 10_000, 3
		return s
	}
	err := r.all(ctx, dir)
	r.report()
	if err == nil {
		err = r.judge()
	}
	t.Logf("%s", &out)
	if err != nil {
		t.Error(err)
		logs, _ := filepath.Glob(filepath.Join(dir, "setup*", "hearthd.log"))
		for _, name := range logs {
			text, _ := os.ReadFile(name)
			t.Logf("%s:\n%s", name, text[max(0, len(text)-4096):])
		}
	}
}
