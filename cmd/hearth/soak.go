package main

import (
	"errors"
	"os"

	"github.com/hearthcache/hearth/tools/loadgen"
	"github.com/hearthcache/hearth/tools/soak"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var errNotSteady = errors.New("the server did not stay as it was")

// soaking is what the flags of bench soak say.
type soaking struct {
	soak.Options
	dir, graphs string
}

func newSoakCommand() *cobra.Command {
	s := &soaking{Options: soak.Defaults()}
	cmd := &cobra.Command{
		Use:   "soak ADDR|COMMAND",
		Short: "Keep a server busy for long, and check that it stays as it was",
		Long: `Fills the server with more than it has room for, then gets, sets, deletes and touches
on a timetable, looks at the server each second, and says at the end whether memory
stayed flat, no value was wrong, stale or outlived its time, and no request stalled
while flash was reclaimed. The exit status is 0 if all of that is so.

The server is one that runs, as HOST:PORT (then give --pid to have its memory seen),
or a command line that is given to sh, with {port} and {dir} (a new directory)
replaced, such as
  hearth bench soak 'hearthd -p {port} -l 127.0.0.1 -U 0 -m 256 -o ext_path={dir}:4g' --for 1h --out soak

--out gets report.json, samples.csv with all of the server's statistics by the second,
and the graphs. Requests are not sent as fast as replies come, but at --rate, which
should leave the machine idle for a good part: latency counts from when a request was
due, so on a machine that is too busy all of it is late.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return s.run(cmd, args[0]) },
	}
	s.addFlags(cmd.Flags())
	complete(cmd, "graphs", "svg", "png")
	return cmd
}

func (s *soaking) addFlags(f *pflag.FlagSet) {
	w := &s.Work
	f.DurationVar(&s.For, "for", s.For, "how long, once the server is filled")
	f.DurationVar(&s.WarmUp, "warm-up", 0, "of that, not judged (default a sixth)")
	f.StringVar(&s.dir, "out", "", "folder for the report, the samples and the graphs (default none)")
	f.StringVar(&s.graphs, "graphs", "svg", "what the graphs are: svg or png")
	f.IntVar(&w.PID, "pid", 0, "the server's process, to see its memory")
	f.Float64Var(&s.Over, "over", s.Over, "bytes of all keys' values, as a multiple of the server's flash")
	f.Uint64Var(&w.Keys, "keys", 0, "number of keys (default by --over)")
	f.Var((*spanFlag)(&w.KeySize), "key-size", "bytes of a key: N or N-N (default 16)")
	f.Var((*spanFlag)(&w.ValueSize), "value", "bytes of a value: N or N-N, log-uniform by key")
	f.Float64Var(&w.Rate, "rate", w.Rate, "requests a second")
	f.Float64Var(&s.FillRate, "fill-rate", 0, "sets a second of the first fill (default twice --rate)")
	f.Float64Var(&w.SetRatio, "set", w.SetRatio, "share of sets")
	f.Float64Var(&w.DeleteRatio, "delete", w.DeleteRatio, "share of deletes")
	f.Float64Var(&w.TouchRatio, "touch", w.TouchRatio, "share of touches")
	f.Float64Var(&w.ExpireShare, "expire", w.ExpireShare, "share of the keys that expire")
	f.Var((*spanFlag)(&w.ExpireTTL), "ttl", "seconds after which: N or N-N, log-uniform by key")
	f.IntVar(&w.Clients, "clients", w.Clients, "connections")
	f.Uint64Var(&w.Seed, "seed", 1, "of the order of keys")
	f.DurationVar(&s.Stall, "stall", s.Stall, "how late a reply makes a stall")
	f.Float64Var(&s.Spread, "spread", s.Spread, "how far memory may be apart after warm-up")
}

func (s *soaking) run(cmd *cobra.Command, target string) error {
	server, err := loadgen.StartServer(cmd.Context(), target, "")
	if err != nil {
		return err
	}
	defer server.Stop()
	if s.Work.PID == 0 {
		s.Work.PID = server.PID
	}
	s.Work.Progress = loadgen.PrintProgress(os.Stderr)
	report, err := soak.Run(cmd.Context(), server.Addr, s.Options)
	if report == nil {
		return err
	}
	err = errors.Join(err, report.Print(cmd.OutOrStdout()))
	if s.dir != "" {
		err = errors.Join(err, report.WriteFiles(s.dir, s.graphs))
	}
	if report.Failed() {
		err = errors.Join(err, errNotSteady)
	}
	return err
}
