package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/hearthcache/hearth/tools/loadgen"
	"github.com/hearthcache/hearth/tools/trace"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// bytesFlag is a number of bytes; k, m and g work.
type bytesFlag int64

func (b *bytesFlag) Set(text string) error {
	digits := strings.TrimRight(strings.ToLower(text), "kmg")
	shift, ok := map[string]uint{"": 0, "k": 10, "m": 20, "g": 30}[strings.ToLower(text[len(digits):])]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !ok || n < 0 || n > 1<<60>>shift {
		return fmt.Errorf("%q: want a number of bytes, with k, m or g", text)
	}
	*b = bytesFlag(n << shift)
	return nil
}

func (b *bytesFlag) String() string {
	if *b == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*b), 10)
}

func (b *bytesFlag) Type() string { return "bytes" }

// sourceFlags are those that describe what is replayed, and how.
type sourceFlags struct {
	source trace.Source
	format string
	config trace.Config
}

func (s *sourceFlags) add(f *pflag.FlagSet) {
	f.Var((*bytesFlag)(&s.source.Scale.WorkingSet), "working-set", "keys and values that a generated trace asks for at a time (default 1g)")
	f.Uint64Var(&s.source.Scale.Keys, "keys", 0, "as a number of keys instead")
	f.Uint64Var(&s.source.Scale.Requests, "requests", 0, "length of a generated trace (default: by the workload, some for each key)")
	f.Uint64Var(&s.source.Scale.Seed, "seed", 1, "of a generated trace")
	f.StringVar(&s.format, "format", "", "of a file: csv or oracle (default: by its name)")
	f.Uint64Var(&s.config.Limit, "limit", 0, "end after so many requests")
	f.Float64Var(&s.config.WarmUp, "warm-up", 1.0/3, "share of the requests to leave out of the hit ratio")
	f.IntVar(&s.config.Batch, "batch", 64, "requests sent at a time")
}

// of is the source that name names: a workload or a file.
func (s *sourceFlags) of(name string) trace.Source {
	source := s.source
	source.Format = trace.Format(s.format)
	if _, err := trace.FindWorkload(name); err == nil {
		source.Workload = name
	} else {
		source.File = name
	}
	return source
}

// replayFlags are bench trace's own.
type replayFlags struct {
	sourceFlags
	library trace.LibraryOptions
	save    string
	speed   float64
	pid     int
	asJSON  bool
}

func newTraceCommand() *cobra.Command {
	var r replayFlags
	cmd := &cobra.Command{
		Use:   "trace WORKLOAD|FILE [ADDR]",
		Short: "Replay a cache's requests against a server or the library and report its hit ratio",
		Long: "Replays a generated workload (" + strings.Join(trace.Workloads(), ", ") + ") or a file: CSV with the columns\n" +
			"time,key,key_size,value_size,op,ttl or Twitter's, or libCacheSim's oracleGeneral, plain, .gz or .zst.\n" +
			"A get that misses is followed by a set. Without ADDR the cache is the library, in this process.",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.run(cmd, args)
		},
	}
	r.add(cmd.Flags())
	f := cmd.Flags()
	f.VarP((*bytesFlag)(&r.library.Memory), "memory", "m", "library: Options.Memory (default 64m)")
	f.Var((*bytesFlag)(&r.library.FlashSize), "flash", "library: Options.FlashSize")
	f.IntVar(&r.library.PageSize, "page-size", 0, "library: Options.PageSize")
	f.StringVar(&r.library.Dir, "dir", "", "library: directory of the flash tier (default: a new one, removed at the end)")
	f.Float64Var(&r.speed, "speed", 0, "server: seconds of the trace in one of the server's; 0 as fast as replies come (default: by the workload)")
	f.IntVar(&r.pid, "pid", 0, "server's process, for its memory (default: as the server says)")
	f.StringVar(&r.save, "save", "", "write the trace to this file instead: .csv or oracleGeneral, plain or .gz")
	f.BoolVar(&r.asJSON, "json", false, "print the result as JSON")
	cmd.AddCommand(newTraceCompareCommand())
	return cmd
}

func (r *replayFlags) run(cmd *cobra.Command, args []string) (err error) {
	source := r.of(args[0])
	from, err := source.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if r.save != "" {
		n, err := trace.Save(r.save, trace.Guess, from)
		fmt.Fprintf(cmd.OutOrStdout(), "%d requests written to %s\n", n, r.save)
		return err
	}
	if !cmd.Flags().Changed("speed") {
		r.speed = from.Speed
	}
	target, err := r.target(args[1:])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	result, err := trace.Run(cmd.Context(), from, target, r.config)
	if err != nil {
		return err
	}
	result.Trace, result.Seed = from.Name, from.Seed
	return r.print(cmd.OutOrStdout(), result)
}

func (r *replayFlags) print(out io.Writer, result *trace.Result) (err error) {
	if r.asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(result)
	} else {
		err = result.Print(out)
	}
	if err == nil && result.Bad() {
		err = errBadValues
	}
	return err
}

func (r *replayFlags) target(addr []string) (trace.Target, error) {
	if len(addr) > 0 {
		return trace.Dial(addr[0], r.speed, r.pid)
	}
	return trace.OpenLibrary(r.library)
}

func newTraceCompareCommand() *cobra.Command {
	var all contest
	var s sourceFlags
	var speed float64
	var flags string
	cmd := &cobra.Command{
		Use:   "compare --a COMMAND --b COMMAND WORKLOAD|FILE...",
		Short: "Replay the same traces against two servers and print one markdown table",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sides, err := all.sides()
			if err != nil {
				return err
			}
			c := trace.Contest{Sides: sides, Flags: flags, Config: s.config, Said: func(side int, r *trace.Result) {
				fmt.Fprintf(os.Stderr, "%s: ", all.names[side])
				r.Print(os.Stderr)
			}}
			if cmd.Flags().Changed("speed") {
				c.Speed = &speed
			}
			var sources []trace.Source
			for _, name := range args {
				sources = append(sources, s.of(name))
			}
			pairs, err := c.Run(cmd.Context(), sources)
			return errors.Join(printPairs(cmd.OutOrStdout(), sides, pairs), err)
		},
	}
	all.addServers(cmd)
	s.add(cmd.Flags())
	cmd.Flags().StringVar(&flags, "flags", "", "text for {flags} of both commands")
	cmd.Flags().Float64Var(&speed, "speed", 0, "seconds of the trace in one of the servers'; 0 as fast as replies come (default: by the workload)")
	return cmd
}

func printPairs(out io.Writer, sides [2]loadgen.Side, pairs []trace.Pair) error {
	err := trace.PrintPairs(out, sides, pairs)
	for _, p := range pairs {
		if p.Results[0].Bad() || p.Results[1].Bad() {
			return errors.Join(err, errBadValues)
		}
	}
	return err
}
