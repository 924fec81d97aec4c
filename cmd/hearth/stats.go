package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/hearthcache/hearth/protocol/client"
	"github.com/spf13/cobra"
)

// statistics is what the flags of stats say.
type statistics struct {
	access
	asJSON bool
	every  time.Duration // 0: once
}

func newStatsCommand() *cobra.Command {
	s := &statistics{}
	cmd := &cobra.Command{
		Use:   "stats ADDR [GROUP]",
		Short: "Print the statistics of a server, Hearth or memcached",
		Long: `Prints what the server answers to stats, or to stats GROUP: settings, items, slabs,
sizes, conns and, of hearthd, extstore. With --watch it asks again and again, and
says of each number that changed by how much it did a second.`,
		Example: `  hearth stats 127.0.0.1:11211
  hearth stats 127.0.0.1:11211 settings --json
  hearth stats 127.0.0.1:11211 --watch=5s`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error { return s.run(cmd, args[0], append(args, "")[1]) },
	}
	f := cmd.Flags()
	f.BoolVar(&s.asJSON, "json", false, "print one JSON object a line")
	f.DurationVar(&s.every, "watch", 0, "ask again after this time, until interrupted (default 1s if it has no time)")
	f.Lookup("watch").NoOptDefVal = "1s"
	s.addFlags(f)
	cmd.ValidArgsFunction = completeStats
	return cmd
}

func completeStats(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 1 {
		return []string{"settings", "items", "slabs", "sizes", "conns", "extstore"}, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

func (s *statistics) run(cmd *cobra.Command, addr, group string) error {
	c, err := s.dial(addr, client.Options{Connections: 1})
	if err != nil {
		return err
	}
	defer c.Close()
	var before map[string]string
	for {
		now, err := c.Stats(cmd.Context(), group)
		if err != nil {
			return err
		}
		if err := s.print(cmd.OutOrStdout(), before, now); err != nil {
			return err
		}
		if s.every <= 0 || !pause(cmd.Context(), s.every) {
			return nil
		}
		before = now
	}
}

// pause waits, and tells whether ctx has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (s *statistics) print(out io.Writer, before, now map[string]string) error {
	if s.asJSON {
		return json.NewEncoder(out).Encode(jsonStats(now))
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(now)) {
		fmt.Fprintf(w, "%s\t%s%s\n", name, now[name], s.change(before[name], now[name]))
	}
	if s.every > 0 {
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// change is by how much a number changed a second; empty if it did not.
func (s *statistics) change(before, now string) string {
	old, errOld := strconv.ParseFloat(before, 64)
	recent, err := strconv.ParseFloat(now, 64)
	if errOld != nil || err != nil || old == recent {
		return ""
	}
	return fmt.Sprintf("\t%+.1f/s", (recent-old)/s.every.Seconds())
}

// jsonStats has numbers as such, digit by digit as the server wrote them.
func jsonStats(stats map[string]string) map[string]any {
	object := make(map[string]any, len(stats))
	for name, text := range stats {
		if number := json.Number(text); json.Valid([]byte(text)) && (text[0] == '-' || text[0] >= '0' && text[0] <= '9') {
			object[name] = number
		} else {
			object[name] = text
		}
	}
	return object
}
