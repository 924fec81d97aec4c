package loadgen

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// figure is one measured quantity of a round.
type figure struct {
	name  string
	ratio bool // whether A/B is worth printing
	of    func(r Round) float64
	show  string // format
}

var figures = []figure{
	{"keys/s", true, func(r Round) float64 { return r.KeysRate }, "%.0f"},
	{"CPU us/key", true, func(r Round) float64 { return r.server().CPUPerKey }, "%.2f"},
	{"p50 us", true, func(r Round) float64 { return r.latency().P50 }, "%.0f"},
	{"p90 us", true, func(r Round) float64 { return r.latency().P90 }, "%.0f"},
	{"p99 us", true, func(r Round) float64 { return r.latency().P99 }, "%.0f"},
	{"p99.9 us", true, func(r Round) float64 { return r.latency().P999 }, "%.0f"},
	{"max us", true, func(r Round) float64 { return r.latency().Max }, "%.0f"},
	{"missed %", false, func(r Round) float64 { return r.missed() }, "%.2f"},
	{"wrong", false, func(r Round) float64 { return r.bad() }, "%.0f"},
	{"refused", false, func(r Round) float64 { return float64(r.Refused) }, "%.0f"},
	{"lost", false, func(r Round) float64 { return float64(r.Lost) }, "%.0f"},
	{"RSS MiB", true, func(r Round) float64 { return mebi(r.server().RSS) }, "%.0f"},
	{"peak MiB", true, func(r Round) float64 { return mebi(r.server().PeakRSS) }, "%.0f"},
}

// server is what the round says of the server; zero without a pid.
func (r Round) server() ServerUsage {
	switch {
	case r.Back != nil && r.Back.Server != nil && r.Server != nil:
		// Memory after the ReadBack, CPU of the work alone.
		usage := *r.Back.Server
		usage.CPUPerKey, usage.CPUSeconds = r.Server.CPUPerKey, r.Server.CPUSeconds
		return usage
	case r.Server != nil:
		return *r.Server
	}
	return ServerUsage{}
}

// missed is the share of gets' keys that were not found. Ratios say little when
// it differs between the sides: a miss is cheap.
func (r Round) missed() float64 {
	return 100 * float64(r.Misses) / float64(max(1, r.Hits+r.Misses+r.Wrong+r.Stale))
}

// bad is the number of wrong and stale values, of the work and the ReadBack.
func (r Round) bad() float64 {
	n := r.Wrong + r.Stale
	if r.Back != nil {
		n += r.Back.Wrong + r.Back.Stale
	}
	return float64(n)
}

// Line is the round in one line.
func (r Round) Line() string {
	var b strings.Builder
	for _, f := range figures {
		fmt.Fprintf(&b, "%s "+f.show+"  ", f.name, f.of(r))
	}
	return strings.TrimSpace(b.String())
}

// Examples are descriptions of wrong and stale values, if there were any.
func (c *Comparison) Examples() (all []string) {
	for side, rounds := range c.Rounds {
		for _, r := range rounds {
			for _, e := range r.examples() {
				all = append(all, c.Sides[side].Name+": "+e)
			}
		}
	}
	return all
}

func (r Round) examples() []string {
	if r.Back == nil {
		return r.Result.Examples
	}
	return slices.Concat(r.Result.Examples, r.Back.Examples)
}

// PrintTable writes comparisons as one markdown table: the medians of each
// side, and the median and range of the rounds' ratios. A round's two runs are
// next to each other in time, so their ratio is steadier than the medians'.
// Comparisons without a whole round are left out.
func PrintTable(out io.Writer, comparisons []*Comparison) error {
	whole := slices.DeleteFunc(slices.Clone(comparisons), func(c *Comparison) bool {
		return min(len(c.Rounds[0]), len(c.Rounds[1])) == 0
	})
	if len(whole) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString("| case | server |")
	for _, f := range figures {
		fmt.Fprintf(&b, " %s |", f.name)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---:|", len(figures)) + "\n")
	for _, c := range whole {
		c.printRows(&b)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func (c *Comparison) printRows(b *strings.Builder) {
	for side, s := range c.Sides {
		fmt.Fprintf(b, "| %s | %s |", c.Case.Name, s.Name)
		for _, f := range figures {
			fmt.Fprintf(b, " "+f.show+" |", median(c.values(side, f)))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(b, "| %s | ratio |", c.Case.Name)
	for _, f := range figures {
		fmt.Fprintf(b, " %s |", c.ratio(f))
	}
	b.WriteString("\n")
}

func (c *Comparison) values(side int, f figure) (values []float64) {
	for _, r := range c.Rounds[side] {
		values = append(values, f.of(r))
	}
	return values
}

// ratio is "median (least-most)" of A/B over the rounds, or nothing.
func (c *Comparison) ratio(f figure) string {
	a, b := c.values(0, f), c.values(1, f)
	var ratios []float64
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			ratios = append(ratios, a[i]/b[i])
		}
	}
	if !f.ratio || len(ratios) == 0 {
		return ""
	}
	return fmt.Sprintf("**%.2f** (%.2f-%.2f)", median(ratios), slices.Min(ratios), slices.Max(ratios))
}

// median of values; of an even number, the mean of the middle two.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
