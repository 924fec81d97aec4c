package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hearthcache/hearth/tools/loadgen"
)

const (
	setShare   = 0.8 // of the requests; the others are gets
	loadConns  = 8
	loadDepth  = 8
	statsEvery = 50 * time.Millisecond
	// slowest is the least share of the sets asked for that must have been
	// answered, for the round to be one of that rate.
	slowest = 0.9
)

var (
	errSlow    = errors.New("the server did not keep up with the sets")
	errReclaim = errors.New("pages were reclaimed: -flash is too small to tell what may be missing")
)

// large is one large round.
type large struct {
	options
	out    io.Writer
	setup  setup
	target target
	ledger *loadgen.Ledger
	last   map[string]uint64 // the statistics that came last before the kill
	slow   bool              // the sets did not come at the rate asked for
}

// largeRound runs one against the real binary.
func largeRound(ctx context.Context, o options, binary, dir string) error {
	r := newLarge(o, dir, os.Stdout)
	r.target = newProcess(binary, &r.setup, strings.Fields(o.extra))
	err := r.run(ctx)
	r.target.signal(syscall.SIGKILL)
	return o.cleanUp(dir, errors.Join(err, r.target.wait(ctx)))
}

func newLarge(o options, dir string, out io.Writer) *large {
	return &large{
		options: o, out: out, ledger: loadgen.NewLedger(uint64(o.items)),
		setup: setup{dir: dir, memory: o.memory, flash: o.flash, page: min(64, o.flash/8), threads: 1, engine: "auto", sync: 1000},
	}
}

func (r *large) line(name, format string, args ...any) {
	fmt.Fprintf(r.out, "%-12s %s\n", name, fmt.Sprintf(format, args...))
}

// run loads, kills, and looks at what is back.
func (r *large) run(ctx context.Context) error {
	addr, err := r.start(ctx)
	if err != nil {
		return err
	}
	if _, err := r.work(ctx, addr, loadgen.Work{Kind: loadgen.Load}); err != nil {
		return err
	}
	if r.last, err = askStats(addr); err != nil {
		return err
	}
	r.line("loaded", "%d values of %d bytes, %d of them on flash", r.items, r.value, r.last["hearth_flash_items"])
	if err := r.killUnderSets(ctx, addr); err != nil {
		return err
	}
	pages := newPages(r.items)
	if err := pages.scan(r.pagesDir()); err != nil {
		return err
	}
	began := time.Now()
	if addr, err = r.start(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	if r.last, err = askStats(addr); err != nil {
		return err
	}
	r.line("restart", "%d items are back, first answer after %v", r.last["hearth_recovered_items"], round(took))
	r.ledger.ForgetFound()
	result, err := r.work(ctx, addr, loadgen.Work{Kind: loadgen.Read, Dist: loadgen.Shuffle, HasDist: true, Multiget: 20})
	if err != nil {
		return err
	}
	r.line("read", "%d keys: %d hits, %d misses", result.Keys, result.Hits, result.Misses)
	return r.judge(result, pages.against(r.ledger))
}

func (r *large) pagesDir() string { return filepath.Join(r.setup.dir, "flash", "pages") }

func (r *large) start(ctx context.Context) (string, error) {
	if err := r.target.start(); err != nil {
		return "", err
	}
	limited, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return r.target.ready(limited)
}

func (r *large) work(ctx context.Context, addr string, w loadgen.Work) (*loadgen.Result, error) {
	w.Keys, w.ValueSize, w.Ledger = uint64(r.items), loadgen.Span{Min: r.value, Max: r.value}, r.ledger
	w.Clients, w.Depth, w.Seed = loadConns, loadDepth, r.seed
	return loadgen.Run(ctx, addr, w)
}

// killUnderSets kills the server while sets come at the rate asked for.
func (r *large) killUnderSets(ctx context.Context, addr string) error {
	type outcome struct {
		result *loadgen.Result
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		result, err := r.work(ctx, addr, loadgen.Work{
			Kind: loadgen.Mixed, SetRatio: setShare, Rate: r.sets / setShare, Duration: 10 * r.before,
		})
		done <- outcome{result, err}
	}()
	until := time.Now().Add(r.before + time.Duration(rand.New(rand.NewPCG(r.seed, 2)).Int64N(int64(r.before)/2)))
	for time.Now().Before(until) && len(done) == 0 {
		stats, err := askStats(addr)
		if err != nil {
			return err
		}
		r.last = stats
		time.Sleep(min(statsEvery, time.Until(until)))
	}
	r.target.signal(syscall.SIGKILL)
	if err := r.target.wait(ctx); err != nil {
		return err
	}
	ran := <-done
	if ran.result == nil || ran.err == nil {
		return fmt.Errorf("the sets ended before the kill: %w", ran.err)
	}
	n := ran.result
	r.line("killed", "after %.1f s with %d sets (%.0f a second) and %d gets: stale %d, wrong %d, refused %d",
		n.Seconds, n.Stored, float64(n.Stored)/n.Seconds, n.Keys-n.Stored, n.Stale, n.Wrong, n.Refused)
	r.line("before it", "%d items on flash, %d demoted, %d pages reclaimed, journal %d entries and %d folds, %d buffers on their way to the catalog",
		r.last["hearth_flash_items"], r.last["hearth_demoted"], r.last["extstore_page_reclaims"], r.last["hearth_journal_entries"],
		r.last["hearth_journal_folds"], r.last["hearth_catalog_waiting"])
	switch {
	case n.Bad():
		return fmt.Errorf("%w before the kill: %q", errBreach, n.Examples)
	case r.last["extstore_page_reclaims"] > 0:
		return errReclaim
	}
	r.slow = float64(n.Stored) < slowest*r.sets*n.Seconds
	return nil
}

// judge says whether what came back is what must.
func (r *large) judge(result *loadgen.Result, f finding) error {
	r.line("on flash", "%d keys had the value last answered in a page file: %d are back, %d were in %d write buffers not yet in the catalog",
		f.expected, f.back, f.uncommitted, f.buffers)
	r.line("in RAM", "%d keys had it in RAM alone, or a set that was not answered: %d are back", r.items-f.expected, result.Hits-uint64(f.back))
	r.line("stale", "%d", result.Stale)
	r.line("wrong", "%d", result.Wrong)
	r.line("lost", "%d", f.lost)
	for _, e := range result.Examples {
		fmt.Fprintln(r.out, e)
	}
	switch {
	case r.plant && result.Stale > 0 && result.Wrong == 0:
		fmt.Fprintln(r.out, "the planted fault was seen")
		return nil
	case r.plant:
		return errUnseen
	case result.Bad() || f.lost > 0:
		return errBreach
	case f.expected == 0:
		return errNothing
	case f.buffers > mostBuffers:
		return fmt.Errorf("%w: %d write buffers had not reached the catalog, at most %d can be on their way", errBreach, f.buffers, mostBuffers)
	case r.slow:
		return errSlow
	}
	return nil
}
