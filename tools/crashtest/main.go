// Crashtest loads a hearthd from several connections, ends it again and again
// with SIGKILL or SIGTERM at a random moment, starts it again on what it left,
// and has package oracle judge every value that it returns. RAM and flash are
// small, so that values move to flash, pages are reclaimed and the journal is
// folded all the time.
//
// With -sets it does one large round instead: that many sets a second over values
// of which most are on flash, one SIGKILL, and then a look at every key and every
// page file.
//
// It exits with 1 if a single value was stale or wrong, or lost where that was
// forbidden, and then keeps the directory with the flash tier and the server's
// log. The seed it prints repeats the choices, though not the timing.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	seed     uint64
	rounds   int
	conns    int
	load     time.Duration // longest of one round
	dir      string
	keep     bool
	hearthd  string // binary; empty: built from ./cmd/hearthd
	tags     string
	race     bool
	extra    string // arguments for hearthd
	profile  string
	lossless bool
	minWarm  float64
	plant    bool
	timeout  time.Duration
	verbose  bool

	sets   float64 // a second, of a large round; 0: many small ones
	items  int
	value  int // bytes
	memory int // MiB
	flash  int // MiB
	before time.Duration
}

func parse(args []string) (o options, err error) {
	set := flag.NewFlagSet("crashtest", flag.ContinueOnError)
	set.Uint64Var(&o.seed, "seed", 0, "seed of all random choices (0: from the clock)")
	set.IntVar(&o.rounds, "rounds", 200, "how often to end the server and start it again")
	set.IntVar(&o.conns, "conns", 6, "connections of load")
	set.DurationVar(&o.load, "load", 1200*time.Millisecond, "longest load of one round")
	set.StringVar(&o.dir, "dir", "", "where to work (default: a new directory under $TMPDIR)")
	set.BoolVar(&o.keep, "keep", false, "keep the directory of a run without breach too")
	set.StringVar(&o.hearthd, "hearthd", "", "binary to test (default: build ./cmd/hearthd)")
	set.StringVar(&o.tags, "tags", "", "build tags of hearthd")
	set.BoolVar(&o.race, "race", false, "build hearthd with the race detector")
	set.StringVar(&o.extra, "args", "", "more arguments for hearthd, separated by spaces")
	set.StringVar(&o.profile, "profile", "mixed", "tight (flash fills up), room (nothing is evicted) or mixed")
	set.BoolVar(&o.lossless, "lossless", true, "with room, a miss after a graceful stop is a breach")
	set.Float64Var(&o.minWarm, "min-warm", envFloat("CRASHTEST_MIN_WARM"), "least share of hits after a kill to hits before it")
	set.BoolVar(&o.plant, "plant", false, "build hearthd with the tag hearth_plant, and expect a stale value")
	set.DurationVar(&o.timeout, "timeout", 20*time.Minute, "give up after this time")
	set.BoolVar(&o.verbose, "v", false, "a line for every round")
	set.Float64Var(&o.sets, "sets", 0, "do one large round, with so many sets a second; what follows is for it")
	set.IntVar(&o.items, "items", 2_300_000, "values to load first")
	set.IntVar(&o.value, "value", 1024, "bytes of a value")
	set.IntVar(&o.memory, "memory", 256, "-m of hearthd")
	set.IntVar(&o.flash, "flash", 8192, "size of its flash tier, in MiB")
	set.DurationVar(&o.before, "before", 10*time.Second, "time from the first of the sets to the kill, up to half as much again")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano())
	}
	if o.plant {
		o.tags = strings.TrimPrefix(o.tags+",hearth_plant", ",")
	}
	if profiles[o.profile] == nil || set.NArg() > 0 || o.rounds < 1 || o.conns < 1 || o.load <= 0 {
		return o, fmt.Errorf("crashtest: bad arguments %q", args)
	}
	return o, nil
}

func envFloat(name string) (x float64) {
	fmt.Sscan(os.Getenv(name), &x)
	return x
}

func main() {
	o, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	if err := crash(ctx, o); err != nil {
		fmt.Fprintf(os.Stderr, "crashtest: %v\n", err)
		os.Exit(1)
	}
}

// crash runs the whole test against the real binary.
func crash(ctx context.Context, o options) error {
	fmt.Printf("crashtest: seed %d\n", o.seed)
	dir, err := workDir(o.dir)
	if err != nil {
		return err
	}
	binary, err := build(ctx, o, dir)
	if err != nil {
		return err
	}
	if o.sets > 0 {
		return largeRound(ctx, o, binary, dir)
	}
	fmt.Printf("%d rounds, profile %s\n", o.rounds, o.profile)
	r := newRun(o, func(s *setup) target { return newProcess(binary, s, strings.Fields(o.extra)) }, os.Stdout)
	err = r.all(ctx, dir)
	r.report()
	if err == nil {
		err = r.judge()
	}
	return o.cleanUp(dir, err)
}

// cleanUp removes the directory, if all was well and it is not to be kept.
func (o *options) cleanUp(dir string, err error) error {
	if err == nil && !o.keep {
		return os.RemoveAll(dir)
	}
	fmt.Printf("kept: %s\n", dir)
	return err
}

func workDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "hearth-crashtest-")
	}
	return dir, os.MkdirAll(dir, 0o755)
}
