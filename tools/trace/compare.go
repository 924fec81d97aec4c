package trace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hearthcache/hearth/tools/loadgen"
)

// Contest replays traces against two servers.
type Contest struct {
	Sides [2]loadgen.Side
	Flags string   // for {flags} of both commands
	Speed *float64 // see Dial; nil: the trace's own
	Config
	Said func(side int, r *Result) // after each replay
}

// Pair is the results of one trace, of both sides.
type Pair struct {
	Trace   string
	Results [2]*Result
}

// Run replays each source against new servers of both sides, one after the other.
// On an error it returns the pairs made so far.
func (c *Contest) Run(ctx context.Context, sources []Source) (pairs []Pair, err error) {
	for i, source := range sources {
		var p Pair
		for turn := range c.Sides {
			side := (i + turn) % 2
			r, err := c.replay(ctx, c.Sides[side], source)
			if err != nil {
				return pairs, fmt.Errorf("%s: %w", c.Sides[side].Name, err)
			}
			c.Said(side, r)
			p.Results[side], p.Trace = r, r.Trace
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

func (c *Contest) replay(ctx context.Context, side loadgen.Side, source Source) (r *Result, err error) {
	t, err := source.Open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	server, err := loadgen.StartServer(ctx, side.Command, c.Flags)
	if err != nil {
		return nil, err
	}
	defer server.Stop()
	speed := t.Speed
	if c.Speed != nil {
		speed = *c.Speed
	}
	target, err := Dial(server.Addr, speed, server.PID)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	r, err = Run(ctx, t, target, c.Config)
	if r != nil {
		r.Trace, r.Seed = t.Name, t.Seed
	}
	return r, err
}

// figures are the columns of the table, of one side.
var figures = []struct {
	name string
	of   func(*Result) string
}{
	{"hit ratio", func(r *Result) string { return percent(r.SteadyHit) }},
	{"of bytes", func(r *Result) string { return percent(r.SteadyByteHit) }},
	{"with warm-up", func(r *Result) string { return percent(r.Hit) }},
	{"MB to flash", func(r *Result) string { return fmt.Sprint(r.Usage.FlashWritten / megabyte) }},
	{"items", func(r *Result) string { return fmt.Sprint(r.Usage.Items) }},
	{"RSS MiB", func(r *Result) string { return fmt.Sprint(r.Usage.Memory >> 20) }},
	{"bytes an item", func(r *Result) string { return fmt.Sprintf("%.0f", r.PerItem) }},
	{"requests/s", func(r *Result) string { return fmt.Sprintf("%.0f", r.Rate) }},
	{"refused", func(r *Result) string { return fmt.Sprint(r.All.Refused) }},
	{"wrong", func(r *Result) string { return fmt.Sprint(r.All.Wrong) }},
}

func percent(x float64) string { return fmt.Sprintf("%.2f %%", 100*x) }

// PrintPairs writes the pairs as a markdown table, with the differences between
// the sides' hit ratios, and their mean.
func PrintPairs(out io.Writer, sides [2]loadgen.Side, pairs []Pair) error {
	var b strings.Builder
	b.WriteString("| trace | server |")
	for _, f := range figures {
		fmt.Fprintf(&b, " %s |", f.name)
	}
	b.WriteString(" points ahead |\n|---|---|" + strings.Repeat("---:|", len(figures)+1) + "\n")
	sum := 0.0
	for _, p := range pairs {
		ahead := 100 * (p.Results[0].SteadyHit - p.Results[1].SteadyHit)
		sum += ahead
		for side, r := range p.Results {
			fmt.Fprintf(&b, "| %s | %s |", p.Trace, sides[side].Name)
			for _, f := range figures {
				fmt.Fprintf(&b, " %s |", f.of(r))
			}
			if side == 0 {
				fmt.Fprintf(&b, " **%+.2f** |\n", ahead)
			} else {
				b.WriteString(" |\n")
			}
		}
	}
	if len(pairs) > 1 {
		fmt.Fprintf(&b, "\nOn average %s is %+.2f points ahead.\n", sides[0].Name, sum/float64(len(pairs)))
	}
	_, err := io.WriteString(out, b.String())
	return err
}
