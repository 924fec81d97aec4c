package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hearthcache/hearth/tools/loadgen"
	"github.com/spf13/cobra"
)

// contest is what bench compare and bench suite have in common.
type contest struct {
	a, b   string
	names  []string
	rounds int
}

func (c *contest) addFlags(cmd *cobra.Command) {
	c.addServers(cmd)
	cmd.Flags().IntVar(&c.rounds, "rounds", 3, "rounds; who is first alternates")
}

func (c *contest) addServers(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.a, "a", "", "first server: a command line with {port} and, if needed, {dir} (a new directory) and {flags}; or HOST:PORT")
	f.StringVar(&c.b, "b", "", "second server, likewise")
	f.StringSliceVar(&c.names, "names", []string{"A", "B"}, "what to call them")
	cmd.MarkFlagRequired("a")
	cmd.MarkFlagRequired("b")
}

func (c *contest) sides() ([2]loadgen.Side, error) {
	if len(c.names) != 2 {
		return [2]loadgen.Side{}, fmt.Errorf("--names %s: want two", strings.Join(c.names, ","))
	}
	return [2]loadgen.Side{{Name: c.names[0], Command: c.a}, {Name: c.names[1], Command: c.b}}, nil
}

func (c *contest) said(side, round int, r loadgen.Round) {
	fmt.Fprintf(os.Stderr, "round %d %s: %s\n", round+1, c.names[side], r.Line())
}

// conclude prints the table, and fails if a server returned bad values.
func conclude(out io.Writer, comparisons []*loadgen.Comparison) error {
	if err := loadgen.PrintTable(out, comparisons); err != nil {
		return err
	}
	var err error
	for _, c := range comparisons {
		for _, e := range c.Examples() {
			fmt.Fprintln(out, "BAD", e)
		}
		if c.Bad() {
			err = errBadValues
		}
	}
	return err
}

func newCompareCommand() *cobra.Command {
	var all contest
	var it comparison
	cmd := &cobra.Command{
		Use:   "compare --a COMMAND --b COMMAND [work]",
		Short: "Do the same work to two servers in turn and print the ratios",
		Long: "Starts both servers (a command is given to sh, {port} is replaced), loads both,\n" +
			"runs the same work against each in turn, and prints each round, the medians and\n" +
			"the ratios A/B. The flags describe the work; --prepare loads the same keys first.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sides, err := all.sides()
			if err != nil {
				return err
			}
			work, err := it.describe()
			if err != nil {
				return err
			}
			c, err := loadgen.Compare(cmd.Context(), sides, work, all.rounds, loadgen.PrintProgress(os.Stderr), all.said)
			if c == nil {
				return err
			}
			return errors.Join(conclude(cmd.OutOrStdout(), []*loadgen.Comparison{c}), err)
		},
	}
	all.addFlags(cmd)
	it.addFlags(cmd)
	return cmd
}

// comparison is bench compare's own flags.
type comparison struct {
	kind        string
	work        loadgen.Work
	prepare     bool
	prepareRate float64
	settle      time.Duration
	flags       string
	readBack    bool
	fresh       bool
}

func (c *comparison) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.kind, "work", "read", "load, read or mixed")
	addWorkFlags(f, &c.work)
	f.BoolVar(&c.prepare, "prepare", false, "load every key before the first round")
	f.Float64Var(&c.prepareRate, "prepare-rate", 0, "keys a second of that load (default: as fast as replies come)")
	f.DurationVar(&c.settle, "settle", 0, "wait after that load")
	f.StringVar(&c.flags, "flags", "", "text for {flags} of both commands")
	f.BoolVar(&c.readBack, "read-back", false, "after each round get every key once, and count the lost")
	f.BoolVar(&c.fresh, "fresh", false, "start new servers in each round")
}

func (c *comparison) describe() (loadgen.Case, error) {
	out := loadgen.Case{
		Name: c.kind, Flags: c.flags, Settle: c.settle,
		Work: c.work, ReadBack: c.readBack, Fresh: c.fresh,
	}
	if c.prepare {
		out.Prepare = &loadgen.Work{
			Kind: loadgen.Load, Keys: c.work.Keys, KeySize: c.work.KeySize, ValueSize: c.work.ValueSize,
			TTL: c.work.TTL, Version: c.work.Version, Depth: 4, Rate: c.prepareRate,
		}
	}
	for _, kind := range []loadgen.Kind{loadgen.Load, loadgen.Read, loadgen.Mixed} {
		if kind.String() == c.kind {
			out.Work.Kind = kind
			return out, nil
		}
	}
	return out, fmt.Errorf("--work %s: want load, read or mixed", c.kind)
}

func newSuiteCommand() *cobra.Command {
	var all contest
	var cases []string
	cmd := &cobra.Command{
		Use:   "suite --a COMMAND --b COMMAND",
		Short: "Compare two servers by named cases and print one markdown table",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sides, err := all.sides()
			if err != nil {
				return err
			}
			done, err := loadgen.RunSuite(cmd.Context(), sides, cases, all.rounds, loadgen.PrintProgress(os.Stderr), all.said)
			return errors.Join(conclude(cmd.OutOrStdout(), done), err)
		},
	}
	all.addFlags(cmd)
	cmd.Flags().StringSliceVar(&cases, "cases", nil, "only these of "+strings.Join(loadgen.CaseNames(), ", "))
	return cmd
}
