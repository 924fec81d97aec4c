package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hearthcache/hearth/tools/oracle"
)

// totals are what a run has counted.
type totals struct {
	rounds, early            int // early: killed while starting
	endings                  [endings]int
	counts                   oracle.Counts
	refused                  int64
	starts, stops            int
	startTime, stopTime      time.Duration
	longestStart, longestEnd time.Duration
	before, after            [endings]ratio
	stats                    map[string]uint64
}

// ratio is a number of gets and how many of them were hits.
type ratio struct {
	gets, hits int64
	ending     ending
}

func (r ratio) share() float64 {
	if r.gets == 0 {
		return 0
	}
	return float64(r.hits) / float64(r.gets)
}

func (t *totals) add(c oracle.Counts, refused int64) {
	t.counts.Ops += c.Ops
	t.counts.Values += c.Values
	t.counts.Misses += c.Misses
	t.counts.CameBack += c.CameBack
	for i, n := range c.Breaches {
		t.counts.Breaches[i] += n
	}
	t.refused += refused
}

func (t *totals) started(d time.Duration) {
	t.starts++
	t.startTime += d
	t.longestStart = max(t.longestStart, d)
}

func (t *totals) stopped(d time.Duration) {
	t.stops++
	t.stopTime += d
	t.longestEnd = max(t.longestEnd, d)
}

// warmth notes the hits of the sample after a restart, and the share that gets
// of the same kind had just before it.
func (t *totals) warmth(after, before ratio) {
	if before.gets < 50 {
		return // says nothing
	}
	e := before.ending
	t.after[e].gets += after.gets
	t.after[e].hits += after.hits
	// Weighed by the sample, so that both shares are of the same rounds.
	t.before[e].gets += after.gets
	t.before[e].hits += int64(before.share() * float64(after.gets))
}

// warm is the share of hits after the endings to that before them.
func (t *totals) warm(of ...ending) (warm float64, after ratio) {
	var before ratio
	for _, e := range of {
		after.gets, after.hits = after.gets+t.after[e].gets, after.hits+t.after[e].hits
		before.gets, before.hits = before.gets+t.before[e].gets, before.hits+t.before[e].hits
	}
	if before.hits == 0 {
		return 0, after
	}
	return after.share() / before.share(), after
}

func (r *run) breached() bool {
	c := r.totals.counts
	return c.Stale()+c.Wrong()+c.Lost() > 0
}

func (r *run) progress(b *bench) {
	if !r.verbose && r.totals.rounds%10 != 0 {
		return
	}
	sum := r.totals
	sum.add(b.load.oracle.Counts(), 0)
	n := sum.counts
	fmt.Fprintf(r.out, "round %d of %d, %.0fs: last %v; %d operations, %d values checked, stale %d, wrong %d\n",
		sum.rounds, r.rounds, time.Since(r.started).Seconds(), b.load.last.ending, n.Ops, n.Values, n.Stale(), n.Wrong())
}

// report prints what the run has found.
func (r *run) report() {
	t, n := &r.totals, r.totals.counts
	line := func(name, format string, args ...any) {
		fmt.Fprintf(r.out, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	var ends []string
	for e, count := range t.endings {
		ends = append(ends, fmt.Sprintf("%d %v", count, ending(e)))
	}
	line("rounds", "%d in %.0fs with seed %d: %s; %d times killed while starting as well",
		t.rounds, time.Since(r.started).Seconds(), r.seed, strings.Join(ends, ", "), t.early)
	line("operations", "%d, %d refused for want of memory", n.Ops, t.refused)
	line("values", "%d checked, %d misses, %d came back after a miss", n.Values, n.Misses, n.CameBack)
	if t.starts > 0 && t.stops > 0 {
		line("time", "to the first answer %v, at most %v; to stop %v, at most %v",
			round(t.startTime/time.Duration(t.starts)), round(t.longestStart), round(t.stopTime/time.Duration(t.stops)), round(t.longestEnd))
	}
	for _, kind := range []struct {
		name string
		of   []ending
	}{{"after a kill", []ending{killed, both, idleKilled}}, {"after a stop", []ending{terminated, idle}}} {
		warm, after := t.warm(kind.of...)
		line(kind.name, "%d hits of %d, warm ratio %.3f", after.hits, after.gets, warm)
	}
	var stats []string
	for _, name := range watched {
		stats = append(stats, fmt.Sprintf("%s %d", name, t.stats[name]))
	}
	line("server", "%s", strings.Join(stats, ", "))
	line("stale", "%d (%d of them deleted or flushed, %d expired)", n.Stale(), n.Breaches[oracle.Resurrected], n.Breaches[oracle.Expired])
	line("wrong", "%d", n.Wrong())
	line("lost", "%d", n.Lost())
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

var (
	errBreach  = errors.New("values that were not possible")
	errCold    = errors.New("not as warm as demanded after a kill")
	errUnseen  = errors.New("the planted fault was not seen")
	errNothing = errors.New("the test did not do what it is for: no value came from flash, or no page was reclaimed")
)

// judge says whether the run was good.
func (r *run) judge() error {
	t, n := &r.totals, r.totals.counts
	warm, _ := t.warm(killed, both, idleKilled)
	switch {
	case r.plant && n.Stale() > 0 && n.Wrong() == 0:
		fmt.Fprintln(r.out, "the planted fault was seen")
		return nil
	case r.plant:
		return errUnseen
	case r.breached():
		return errBreach
	case warm < r.minWarm:
		return fmt.Errorf("%w: %.3f, not %.3f", errCold, warm, r.minWarm)
	case r.rounds >= 50 && r.options.profile != "room" && (t.stats["hearth_hits_flash"] == 0 || t.stats["extstore_page_reclaims"] == 0):
		return errNothing
	}
	return nil
}
