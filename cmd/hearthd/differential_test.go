package main_test

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
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
	"future": {
		why:    "a date past 2038 is to come: memcached cuts it to 32 bits, sign included",
		allows: func(_, got []byte) bool { return oneValue.Match(got) },
	},
	"past": {
		why:    "a number of seconds below zero is past, however far: memcached cuts it to 32 bits",
		allows: func(_, got []byte) bool { return string(got) == "END\r\n" },
	},
	"busy": {
		why:    "memcached's crawler also runs by itself at times",
		allows: func(_, got []byte) bool { return string(got) == "BUSY currently processing crawler request\r\n" },
		own:    true,
	},
	"zerobyte": {
		why: "a value with a zero byte is no number: to memcached it ends there",
		allows: func(_, got []byte) bool {
			return string(got) == "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
		},
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
	oneValue     = regexp.MustCompile(`^VALUE \S+ 0 1\r\nx\r\nEND\r\n$`)
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

// In the flash settings RAM is the least that -I 1m allows, so that demote has
// little to write.
var settings = []setting{
	{name: "ram", args: []string{"-m", "64", "-I", "1m"}},
	{name: "flash", args: []string{"-m", "16", "-I", "1m"}, flash: "ext_page_size=4,ext_wbuf_size=1,hot_percent=0"},
	{name: "hot", args: []string{"-m", "32", "-I", "1m"}, flash: "ext_page_size=4,ext_wbuf_size=1,hot_percent=30,ext_io=pread"},
	{name: "direct", args: []string{"-m", "16", "-I", "1m", "-t", "1"}, flash: "ext_page_size=4,ext_wbuf_size=1,ext_io=pread+direct"},
}

func (set setting) start(t testing.TB) *running {
	t.Helper()
	if set.flash == "" {
		return startServer(t, hearthdPath(t), set.args...)
	}
	path := "ext_path=" + filepath.Join(t.TempDir(), "flash") + ":1g"
	s := startServer(t, hearthdPath(t), append([]string{"-o", set.flash + "," + path}, set.args...)...)
	s.flash = true
	return s
}

// demote has all values move to flash, by their age. It does nothing where there is
// no flash tier.
func (s *running) demote(t testing.TB) {
	t.Helper()
	if !s.flash {
		return
	}
	c := s.dial(t)
	defer c.Close()
	set := func(age uint32) {
		if got, err := ask(c, fmt.Sprintf("extstore item_age %d\r\nversion\r\n", age)); !strings.HasPrefix(got, "OK") {
			t.Fatalf("%s: extstore item_age: %q, %v", s.name, got, err)
		}
	}
	set(1)
	defer set(math.MaxUint32)
	var stats map[string]string
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if stats = s.stats(t, ""); stats["hearth_flash_items"] == stats["curr_items"] {
			return
		}
	}
	t.Fatalf("%s: of %s items only %s are on flash", s.name, stats["curr_items"], stats["hearth_flash_items"])
}

// TestGeneratedHearthd sends the same random streams to memcached and to
// hearthd, in every setting.
func TestGeneratedHearthd(t *testing.T) {
	t.Parallel()
	memcached := memcachedPath(t)
	for _, set := range settings {
		t.Run(set.name, func(t *testing.T) {
			t.Parallel()
			hearthdPath(t)
			for _, seed := range seeds() { // at once, as they mostly wait
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					t.Parallel()
					sameReplies(t, newGenerator(seed, set.flash != ""), seed,
						func() *running { return startServer(t, memcached, memcachedArgs...) },
						func() *running { return set.start(t) })
				})
			}
		})
	}
}

// counters are the statistics that two servers which answered the same must
// agree on.
var counters = []string{
	"cmd_get", "cmd_set", "cmd_flush", "cmd_touch", "get_hits", "get_misses", "delete_hits", "delete_misses",
	"incr_hits", "incr_misses", "decr_hits", "decr_misses", "cas_hits", "cas_misses", "cas_badval",
	"touch_hits", "touch_misses", "store_too_large",
}

// compareCounters compares some counters of memcached with another server's.
func compareCounters(t testing.TB, first, other *stream, names []string) {
	t.Helper()
	a, b := first.s.stats(t, ""), other.s.stats(t, "")
	if other.s.flash {
		t.Logf("hits in RAM %s, hot %s, flash %s", b["hearth_hits_ram"], b["hearth_hits_hot"], b["hearth_hits_flash"])
		if b["hearth_hits_flash"] == "0" {
			t.Error("nothing was read from flash")
		}
	}
	for _, name := range names {
		want, err := strconv.Atoi(a[name])
		if err != nil {
			t.Errorf("memcached: STAT %s %q", name, a[name])
		}
		if name == "cmd_set" && other.s.name != "memcached" {
			want -= first.badChunks // memcached counts those it does not store for that
		}
		if got := strconv.Itoa(want); b[name] != got {
			t.Errorf("STAT %s is %s, memcached's is %s, that makes %s", name, b[name], a[name], got)
		}
	}
}

// TestStatsNames wants every statistic and every setting that memcached tells
// told by hearthd too, under the same name.
func TestStatsNames(t *testing.T) {
	t.Parallel()
	memcached := startServer(t, memcachedPath(t), memcachedArgs...)
	ours := settings[0].start(t)
	for _, sub := range []string{"", "settings"} {
		have := ours.stats(t, sub)
		for name := range memcached.stats(t, sub) {
			if _, ok := have[name]; !ok && untold[name] == "" {
				t.Errorf("stats %s: no %s", sub, name)
			}
		}
	}
}

// untold are memcached's statistics and settings that hearthd does not have,
// and why.
var untold = map[string]string{}

func init() {
	for why, names := range map[string]string{
		"there are no slabs": `slabs_moved slab_reassign_busy_items slab_reassign_busy_deletes
			slab_reassign_evictions_nomem slab_global_page_pool slab_reassign_inline_reclaim
			slab_reassign_running slab_reassign_rescues slab_reassign_chunk_rescues`,
		"there are no LRU queues": `moves_to_cold moves_within_lru moves_to_warm
			lru_maintainer_juggles direct_reclaims lru_bumps_dropped`,
		"buffers are another server's": `read_buf_bytes_free read_buf_count read_buf_oom response_obj_bytes response_obj_oom response_obj_count`,
		"memcached's own matters":      "libevent malloc_fails reserved_fds unexpected_napi_ids round_robin_fallback num_threads_per_udp",
	} {
		for _, name := range strings.Fields(names) {
			untold[name] = why
		}
	}
}

// TestGeneratedMemcached holds the streams themselves to be repeatable: two
// memcacheds answer the same.
func TestGeneratedMemcached(t *testing.T) {
	t.Parallel()
	memcached := memcachedPath(t)
	start := func() *running { return startServer(t, memcached, memcachedArgs...) }
	for _, seed := range seeds() {
		sameReplies(t, newGenerator(seed, false), seed, start, start)
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

// requests is how many a generated stream has.
func requests() int {
	if raceDetector() {
		return *requestsFlag / 3
	}
	return *requestsFlag
}

// sameReplies fails the test where two servers answer a stream of text
// differently.
func sameReplies(t *testing.T, g *generator, seed uint64, startFirst, startOther func() *running) {
	t.Helper()
	t.Logf("seed %d", seed)
	sameStreams(t, g.stream(requests()), seed, startFirst, startOther,
		func(s *running) speaker { return newStream(t, s) },
		func(first, other *stream) {
			if !g.meta {
				compareCounters(t, first, other, counters)
			}
		})
}

// sameStreams fails the test where two servers answer reqs differently, with the
// shortest script found that shows it. After all of them compareAfter looks at
// what was said.
func sameStreams(t *testing.T, reqs []request, seed uint64, startFirst, startOther func() *running,
	open func(*running) speaker, compareAfter func(first, other *stream)) {
	t.Helper()
	run := func(some []request) *difference {
		first, other := open(startFirst()), open(startOther())
		d := compareStreams(t, first, other, some, seed)
		if d == nil && len(some) == len(reqs) {
			compareAfter(first.record(), other.record())
		}
		for _, s := range []speaker{first, other} {
			s.close()
			s.record().s.stop(t)
		}
		return d
	}
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
