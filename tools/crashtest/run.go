package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/hearthcache/hearth/tools/oracle"
)

// Bounds on what a server may take: to answer after its start, and to stop when
// told to. Each is far above what it takes on a busy machine.
const (
	startLimit = time.Minute
	stopLimit  = time.Minute
)

// breachesShown is how many breaches are printed in full.
const breachesShown = 5

// run is a whole test: rounds on one setup after the other.
type run struct {
	options
	rand    *rand.Rand
	target  func(*setup) target
	profile func(r *rand.Rand, n int) setup
	out     io.Writer
	started time.Time
	showing sync.Mutex
	shown   int
	slack   time.Duration // of the oracle, 0 for its own
	totals  totals
}

func newRun(o options, target func(*setup) target, out io.Writer) *run {
	return &run{
		options: o, rand: rand.New(rand.NewPCG(o.seed, 0)), target: target, profile: profiles[o.profile],
		out: out, started: time.Now(), totals: totals{stats: map[string]uint64{}},
	}
}

// all runs all rounds, but for those after a breach.
func (r *run) all(ctx context.Context, dir string) error {
	for n := 0; r.totals.rounds < r.rounds && !r.breached() && ctx.Err() == nil; n++ {
		s := r.profile(r.rand, n)
		s.dir, s.lossless = filepath.Join(dir, fmt.Sprintf("setup%d", n)), r.lossless
		if err := r.one(ctx, &s); err != nil {
			return fmt.Errorf("round %d, %s: %w", r.totals.rounds+1, s.dir, err)
		}
		if !r.breached() && !r.keep {
			if err := os.RemoveAll(s.dir); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// one runs the rounds of one setup.
func (r *run) one(ctx context.Context, s *setup) error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	fmt.Fprintf(r.out, "setup in %s: %v\n", filepath.Base(s.dir), s)
	b := r.newBench(s)
	defer func() { r.totals.add(b.load.oracle.Counts(), b.load.refused.Load()) }()
	for n := 0; n < s.rounds && r.totals.rounds < r.rounds && ctx.Err() == nil; n++ {
		if err := b.round(ctx); err != nil {
			return err
		}
		r.totals.rounds++
		r.progress(b)
		if b.broken() {
			return b.autopsy(ctx)
		}
		if s.written > 0 && b.load.written.Load() > s.written {
			break
		}
	}
	return nil
}

// bench is one setup at work.
type bench struct {
	*run
	setup   *setup
	target  target
	load    *load
	clients []*client
}

func (r *run) newBench(s *setup) *bench {
	o := oracle.New(oracle.Options{Keys: s.keys, Digits: digits, Run: r.rand.Uint64(), Slack: r.slack, OnBreach: r.show})
	if s.room {
		o.ForbidMisses()
	}
	b := &bench{run: r, setup: s, target: r.target(s), load: &load{oracle: o, keys: newKeyspace(s.keys), setup: s}}
	for range r.conns {
		b.clients = append(b.clients, &client{load: b.load, rand: rand.New(rand.NewPCG(r.rand.Uint64(), 0))})
	}
	return b
}

func (r *run) show(breach oracle.Breach) {
	r.showing.Lock()
	defer r.showing.Unlock()
	if r.shown++; r.shown <= breachesShown {
		fmt.Fprintf(r.out, "%s\n", &breach)
	}
}

func (b *bench) broken() bool {
	c := b.load.oracle.Counts()
	return c.Stale()+c.Wrong()+c.Lost() > 0
}

// round is one run of the server: its start, a look at what is there, load, and
// its end.
func (b *bench) round(ctx context.Context) error {
	addr, err := b.start(ctx)
	if err != nil {
		return err
	}
	err = b.work(ctx, addr)
	if err == nil {
		return nil
	}
	b.pause(time.Second) // a server that ended by itself is noticed a little later
	select {
	case <-b.target.ended():
		err = errors.Join(errEnded, err)
	default:
		b.target.signal(syscall.SIGKILL)
	}
	return errors.Join(err, b.target.wait(ctx))
}

// start starts the server, at times after having killed it while it started.
func (b *bench) start(ctx context.Context) (addr string, err error) {
	for b.rand.IntN(8) == 0 {
		if err := b.target.start(); err != nil {
			return "", err
		}
		b.pause(random(b.rand, 60*time.Millisecond))
		b.target.signal(syscall.SIGKILL)
		if err := b.wait(ctx); err != nil {
			return "", err
		}
		b.load.oracle.Restart(false)
		b.totals.early++
	}
	began := time.Now()
	if err := b.target.start(); err != nil {
		return "", err
	}
	limited, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	addr, err = b.target.ready(limited)
	b.totals.started(time.Since(began))
	return addr, err
}

func (b *bench) wait(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	return b.target.wait(limited)
}

// pause waits, or until the server's run is over.
func (b *bench) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-b.target.ended():
	}
}

// work looks at what is there, loads the server, ends it, and tells the oracle.
func (b *bench) work(ctx context.Context, addr string) error {
	for _, c := range b.clients {
		if err := c.connect(addr); err != nil {
			return err
		}
		defer c.conn.Close()
	}
	if err := b.verify(); err != nil {
		return err
	}
	stop, results := make(chan struct{}), make(chan error, len(b.clients))
	for _, c := range b.clients {
		go func() { results <- c.run(stop) }()
	}
	half := b.loadTime() / 2
	b.pause(half)
	b.load.takeRatio() // what comes after it is compared with the restart
	b.pause(half)
	err := b.readStats(addr)
	if err != nil || len(results) > 0 { // a connection broke while the server was to run
		close(stop)
		return errors.Join(err, b.drain(results))
	}
	return b.end(ctx, stop, results)
}

// loadTime is mostly some hundred milliseconds, at times next to nothing.
func (b *bench) loadTime() time.Duration {
	if b.rand.IntN(6) == 0 {
		return random(b.rand, 30*time.Millisecond)
	}
	return random(b.rand, b.options.load)
}

// verify asks for keys all over, on all connections, before anything is changed.
func (b *bench) verify() error {
	if b.totals.rounds == 0 || b.load.last == nil {
		return nil
	}
	b.load.takeRatio()
	var wg sync.WaitGroup
	errs := make([]error, len(b.clients))
	per := min(b.setup.keys, sampleKeys) / len(b.clients) / sampleAtOnce
	for i, c := range b.clients {
		wg.Go(func() {
			for range max(1, per) {
				if errs[i] == nil {
					errs[i] = c.exchange([]request{b.load.get(c.rand, "gets", sampleAtOnce, true)})
				}
			}
		})
	}
	wg.Wait()
	b.totals.warmth(b.load.takeRatio(), *b.load.last)
	return errors.Join(errs...)
}

// autopsy asks once more for every key, to see how many are concerned.
func (b *bench) autopsy(ctx context.Context) error {
	addr, err := b.start(ctx)
	if err != nil {
		return err
	}
	c := b.clients[0]
	if err = c.connect(addr); err == nil {
		for key := 0; key < b.setup.keys && err == nil; key += sampleAtOnce {
			err = c.exchange([]request{b.load.getAll(key, min(key+sampleAtOnce, b.setup.keys))})
		}
		c.conn.Close()
	}
	b.target.signal(syscall.SIGKILL)
	return errors.Join(err, b.wait(ctx))
}

// The sample that is looked at after a restart.
const (
	sampleKeys   = 3000
	sampleAtOnce = 25
)

// random is a time below most.
func random(r *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(most)))
}
