package main_test

import (
	"bytes"
	"regexp"
	"testing"
)

// memcachedArgs is how the peer runs: nothing that the tests store is evicted.
var memcachedArgs = []string{"-m", "64", "-I", "1m"}

// exception is a way in which a reply may differ from the one recorded.
type exception struct {
	why string
	// own says that memcached itself does not always answer as recorded:
	// hearthd has to.
	own    bool
	allows func(want, got []byte) bool
}

// exceptions lists all there are. A transcript marks a step with "? name".
var exceptions = map[string]exception{
	"version": {
		why:    "each server tells its own",
		allows: func(_, got []byte) bool { return versionLine.Match(got) },
	},
	"inplace": {
		why: "a shorter number is written over the old one, spaces after it, " +
			"unless some thread of memcached's happens to look at the item",
		own:    true,
		allows: func(want, got []byte) bool { return bytes.Equal(trimNumbers(want), trimNumbers(got)) },
	},
}

var (
	versionLine  = regexp.MustCompile(`^VERSION \S+\r\n$`)
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
