package main

import (
	"fmt"
	"io"
	"time"

	"github.com/hearthcache/hearth/protocol/client"
	"github.com/hearthcache/hearth/tools/dump"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// copying is what the flags of dump and load say.
type copying struct {
	access
	dump.Options
	rate    int64
	timeout time.Duration
}

func (c *copying) addFlags(f *pflag.FlagSet) {
	f.Var((*bytesFlag)(&c.rate), "rate", "bytes of keys and values a second, at most; k, m and g work (default no bound)")
	f.Float64Var(&c.ItemsPerSecond, "items", 0, "items a second, at most (default no bound)")
	f.IntVar(&c.InFlight, "in-flight", 128, "requests under way")
	f.DurationVar(&c.timeout, "timeout", 30*time.Second, "give up on a reply after this time")
	c.access.addFlags(f)
}

// connect returns a client of the server at addr, and what to do.
func (c *copying) connect(addr string) (*client.Client, dump.Options, error) {
	o := c.Options
	o.BytesPerSecond = float64(c.rate)
	peer, err := c.dial(addr, client.Options{Timeout: c.timeout, Pipeline: max(c.InFlight, 1)})
	return peer, o, err
}

func newDumpCommand() *cobra.Command {
	c := &copying{}
	cmd := &cobra.Command{
		Use:   "dump ADDR FILE|-",
		Short: "Write all items of a server, Hearth or memcached, to a file",
		Long: `Writes every item that the server has, with its client flags and when it expires, to
FILE, or to the standard output. Other clients see nothing of it: no item counts as
accessed.

A dump to a file that was cut short goes on by the same command: FILE.keys beside it,
the list of what there is, tells where. Items that are stored after it was made are
not in the dump.`,
		Example: `  hearth dump 10.0.0.1:11211 cache.dump --rate 20m
  hearth dump 10.0.0.1:11211 - | hearth load 10.0.0.2:11211 -`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return c.dump(cmd, args[0], args[1]) },
	}
	c.addFlags(cmd.Flags())
	return cmd
}

func (c *copying) dump(cmd *cobra.Command, addr, path string) error {
	source, o, err := c.connect(addr)
	if err != nil {
		return err
	}
	defer source.Close()
	o.Progress = newBar(cmd.ErrOrStderr(), progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("keys"))
	var d *dump.Dumped
	if path == "-" {
		d, err = dump.WriteTo(cmd.Context(), source, cmd.OutOrStdout(), o)
	} else {
		d, err = dump.WriteFile(cmd.Context(), source, path, o)
	}
	if d != nil {
		printDumped(cmd.ErrOrStderr(), d)
	}
	if err != nil && d != nil && path != "-" {
		return fmt.Errorf("%w (the same command goes on with it)", err)
	}
	return err
}

func printDumped(out io.Writer, d *dump.Dumped) {
	if d.From > 0 {
		fmt.Fprintf(out, "went on after %d of %d keys\n", d.From, d.Keys)
	}
	fmt.Fprintf(out, "%d items, %d bytes\n", d.Items, d.Bytes)
	tell(out, d.Gone, "keys had gone when their turn came")
	tell(out, d.Stale, "items left out: stale, or waiting for their value")
	tell(out, d.NoWay, "items left out: no meta command can say their key")
}

func tell(out io.Writer, n uint64, what string) {
	if n > 0 {
		fmt.Fprintf(out, "%d %s\n", n, what)
	}
}

func newLoadCommand() *cobra.Command {
	c := &copying{}
	cmd := &cobra.Command{
		Use:   "load ADDR FILE|-",
		Short: "Store the items of a dump on a server, Hearth or memcached",
		Long: `Stores the items that hearth dump wrote to FILE, or that come on the standard input.
What the server has is newer and is kept, unless --overwrite is given. Items that
have expired meanwhile are left out; but an item that was deleted since the dump was
made comes back.

A load of a file that was cut short goes on by the same command: a note beside it,
FILE.load-ADDR, tells where. To start over, delete that.`,
		Example: `  hearth load 10.0.0.2:11211 cache.dump --items 20000`,
		Args:    cobra.ExactArgs(2),
		RunE:    func(cmd *cobra.Command, args []string) error { return c.load(cmd, args[0], args[1]) },
	}
	c.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&c.Overwrite, "overwrite", false, "store also what the server has")
	return cmd
}

func (c *copying) load(cmd *cobra.Command, addr, path string) error {
	target, o, err := c.connect(addr)
	if err != nil {
		return err
	}
	defer target.Close()
	o.Progress = dump.Progress(newProgress(cmd.ErrOrStderr()))
	var l *dump.Loaded
	if path == "-" {
		l, err = dump.ReadFrom(cmd.Context(), target, cmd.InOrStdin(), o)
	} else {
		l, err = dump.ReadFile(cmd.Context(), target, addr, path, o)
	}
	printLoaded(cmd.ErrOrStderr(), l)
	return err
}

func printLoaded(out io.Writer, l *dump.Loaded) {
	if l.From > 0 {
		fmt.Fprintf(out, "went on at byte %d\n", l.From)
	}
	fmt.Fprintf(out, "%d items stored, %d bytes\n", l.Items, l.Bytes)
	tell(out, l.Kept, "items kept as the server had them")
	tell(out, l.Expired, "items had expired")
	if l.Refused > 0 {
		fmt.Fprintf(out, "%d items refused, the first: %v\n", l.Refused, l.Refusal)
	}
}
