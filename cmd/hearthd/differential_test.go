package main_test

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"regexp"
	"testing"
	"time"
)

var (
	seedFlag     = flag.Uint64("seed", 0, "seed of the generated streams; 0 is 1 and then a new one")
	requestsFlag = flag.Int("requests", 3000, "requests in a generated stream")
)

// memcachedArgs is how the peer runs: nothing that the tests store is evicted.
var memcachedArgs = []string{"-m", "64", "-I", "1m"}

// exception is a way in which a reply may differ from the one recorded.
type exception struct {
	why    string
	allows func(want, got []byte) bool // another reply
	closes bool                        // no reply, the connection closed
	// own says that memcached itself does not always answer as recorded:
	// hearthd has to.
	own bool
}

// exceptions lists all there are. A transcript marks a step with "? name".
var exceptions = map[string]exception{
	"version": {
		why:    "each server tells its own",
		allows: func(_, got []byte) bool { return versionLine.Match(got) },
	},
	"longline": {
		why: "a line over 2048 bytes, but for retrievals, closes the connection: " +
			"memcached does so only where its reads happen to split the line",
		closes: true,
	},
	"length32": {
		why: "a length over 32 bits is refused: memcached cuts it to 32 bits " +
			"and takes what follows for commands",
		allows: func(_, got []byte) bool { return badLength.Match(got) },
	},
	"inplace": {
		why: "a shorter number is written over the old one, spaces after it, " +
			"unless some thread of memcached's happens to look at the item",
		allows: func(want, got []byte) bool { return bytes.Equal(trimNumbers(want), trimNumbers(got)) },
		own:    true,
	},
}

var (
	versionLine  = regexp.MustCompile(`^VERSION \S+\r\n$`)
	badLength    = regexp.MustCompile(`^CLIENT_ERROR bad command line format\r\nERROR\r\n$`)
	paddedNumber = regexp.MustCompile(`(VALUE \S+ \d+ )\d+((?: \d+)?\r\n\d+) *\r\n`)
)

// trimNumbers takes the spaces after values that are numbers, and the lengths
// that count them, out of a reply.
func trimNumbers(reply []byte) []byte {
	return paddedNumber.ReplaceAll(reply, []byte("$1#$2\r\n"))
}

// setting is a way to run hearthd in which every reply must be the same.
type setting struct {
	name  string
	args  []string
	flash string // options beside ext_path, empty for no flash tier
}

var settings = []setting{
	{name: "ram", args: []string{"-m", "64"}},
}

func (set setting) start(t testing.TB) *running {
	t.Helper()
	return startServer(t, hearthdPath(t), set.args...)
}

func (s *running) demote(t testing.TB) {}

// TestGeneratedHearthd sends the same random streams to memcached and to
// hearthd, in every setting.
func TestGeneratedHearthd(t *testing.T) {
	t.Parallel()
	memcached := memcachedPath(t)
	for _, set := range settings {
		t.Run(set.name, func(t *testing.T) {
			t.Parallel()
			hearthdPath(t)
			for _, seed := range seeds() {
				sameReplies(t, seed, set.flash != "",
					func() *running { return startServer(t, memcached, memcachedArgs...) },
					func() *running { return set.start(t) })
			}
		})
	}
}

// TestGeneratedMemcached holds the streams themselves to be repeatable: two
// memcacheds answer the same.
func TestGeneratedMemcached(t *testing.T) {
	t.Parallel()
	memcached := memcachedPath(t)
	start := func() *running { return startServer(t, memcached, memcachedArgs...) }
	for _, seed := range seeds() {
		sameReplies(t, seed, false, start, start)
	}
}

// seeds are one that is always the same and one that never is, or the one asked
// for.
func seeds() []uint64 {
	if *seedFlag != 0 {
		return []uint64{*seedFlag}
	}
	return []uint64{1, uint64(time.Now().UnixNano())}
}

// sameReplies fails the test where two servers answer a stream differently,
// with the shortest script found that shows it.
func sameReplies(t *testing.T, seed uint64, flash bool, startFirst, startOther func() *running) {
	t.Helper()
	t.Logf("seed %d", seed)
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0)), flash: flash}
	run := func(reqs []request) *difference {
		first, other := newStream(t, startFirst()), newStream(t, startOther())
		d := compareStreams(t, first, other, reqs, seed)
		first.close()
		other.close()
		first.s.stop(t)
		other.s.stop(t)
		return d
	}
	reqs := g.stream(*requestsFlag)
	d := run(reqs)
	if d == nil {
		return
	}
	t.Errorf("seed %d: after %d requests replies differ\n%s%s", seed, d.batch,
		script(reqs[d.batch:d.upTo]), d.describe("memcached", "the other"))
	small := shrink(reqs[:d.upTo], 15*time.Second, run)
	if d = run(small); d == nil {
		t.Fatal("it does not happen every time")
	}
	t.Fatalf("shrunk to\n%s%s", script(small), d.describe("memcached", "the other"))
}
