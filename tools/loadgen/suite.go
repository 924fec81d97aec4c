package loadgen

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrNoCase is returned for a name that no case of the suite has.
var ErrNoCase = errors.New("no such case")

// setup is a state of the servers that several cases share.
type setup struct {
	prepared Case // Flags, Prepare and Settle
	cases    []Case
}

// suite has the comparisons of docs/performance.md.
//
// The cases that read flash need both servers to have all of the data, or the
// one with more misses looks faster. memcached keeps 640,000 values of 1 KiB if
// -m holds their headers (64 MB), if it is told to write early (ext_item_age=0)
// and if they do not come too fast.
func suite() []setup {
	small := Work{Kind: Load, Keys: 1_000_000, ValueSize: Span{100, 100}, Depth: 16}
	large := Work{Kind: Load, Keys: 640_000, ValueSize: Span{1024, 1024}, Rate: 25_000}
	burst := Work{Kind: Load, Keys: 1_000_000, ValueSize: Span{1024, 1024}}
	return []setup{
		{Case{Flags: "-m 1024", Prepare: &small}, []Case{
			{Name: "ram-d1", Work: reads(small, 50, 1, 1)},
			{Name: "ram-d16", Work: reads(small, 50, 16, 1)},
		}},
		{Case{Flags: "-m 80 -o ext_path={dir}/ext:4g,ext_item_age=0", Prepare: &large, Settle: 5 * time.Second}, []Case{
			{Name: "flash-d1", Work: reads(large, 25, 1, 1)},
			{Name: "flash-d16", Work: reads(large, 8, 16, 1)},
			{Name: "flash-mget50", Work: reads(large, 8, 1, 50)},
		}},
		{Case{}, []Case{
			{Name: "burst", Flags: "-m 256 -o ext_path={dir}/ext:4g", Work: burst, ReadBack: true, Fresh: true},
		}},
	}
}

// reads gets the keys that load has set, uniformly, for five seconds.
func reads(load Work, clients, depth, multiget int) Work {
	return Work{
		Kind: Read, Keys: load.Keys, ValueSize: load.ValueSize, Duration: 5 * time.Second,
		Clients: clients, Depth: depth, Multiget: multiget,
	}
}

// CaseNames are the names of the suite's cases.
func CaseNames() (names []string) {
	for _, s := range suite() {
		for _, c := range s.cases {
			names = append(names, c.Name)
		}
	}
	return names
}

// RunSuite compares the sides by the named cases, or by all. On an error it
// returns the comparisons made so far.
func RunSuite(ctx context.Context, sides [2]Side, names []string, rounds int, progress Progress, said func(side, round int, r Round)) (all []*Comparison, err error) {
	for _, name := range names {
		if !slices.Contains(CaseNames(), name) {
			return nil, fmt.Errorf("%w: %s; there are %s", ErrNoCase, name, strings.Join(CaseNames(), ", "))
		}
	}
	b := &bench{sides: sides, rounds: rounds, progress: progress, said: said}
	for _, s := range suite() {
		done, err := b.runSetup(ctx, s, names)
		all = append(all, done...)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// runSetup runs the wanted cases of s on the same two servers.
func (b *bench) runSetup(ctx context.Context, s setup, names []string) (done []*Comparison, err error) {
	defer b.stop()
	for _, c := range s.cases {
		if len(names) > 0 && !slices.Contains(names, c.Name) {
			continue
		}
		if !c.Fresh && b.servers[0] == nil {
			if err := b.start(ctx, s.prepared); err != nil {
				return done, err
			}
		}
		compared, err := b.compare(ctx, c)
		if err != nil {
			return done, err
		}
		done = append(done, compared)
	}
	return done, nil
}
