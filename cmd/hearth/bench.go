package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/hearthcache/hearth/tools/loadgen"
	"github.com/spf13/cobra"
)

var errBadValues = errors.New("the server returned values that it must not return")

func newBenchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Put load on memcached-speaking servers and check every byte they return",
	}
	cmd.AddCommand(
		newRunCommand(loadgen.Load, "Set every key once"),
		newRunCommand(loadgen.Read, "Get keys that load or mixed has set"),
		newRunCommand(loadgen.Mixed, "Get and set, and check that nothing stale is returned"),
		newCompareCommand(),
		newSuiteCommand(),
		newSoakCommand(),
		newTraceCommand(),
	)
	return cmd
}

// newRunCommand is bench load, read or mixed.
func newRunCommand(kind loadgen.Kind, short string) *cobra.Command {
	work := loadgen.Work{Kind: kind}
	asJSON := false
	cmd := &cobra.Command{
		Use:   kind.String() + " ADDR",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			work.Progress = loadgen.PrintProgress(os.Stderr)
			result, err := loadgen.Run(cmd.Context(), args[0], work)
			return errors.Join(printResult(cmd.OutOrStdout(), result, asJSON), err)
		},
	}
	addWorkFlags(cmd.Flags(), &work)
	cmd.Flags().IntVar(&work.PID, "pid", 0, "server's process, to account its CPU and memory")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

func printResult(out io.Writer, result *loadgen.Result, asJSON bool) error {
	if result == nil {
		return nil
	}
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(result); err != nil {
			return err
		}
	} else if err := result.Print(out); err != nil {
		return err
	}
	if result.Bad() {
		return errBadValues
	}
	return nil
}
