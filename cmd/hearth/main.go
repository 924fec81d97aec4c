// Command hearth is the operator's tool: it measures, inspects and repairs what
// hearthd serves.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	err := newCommand().ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hearth:", err)
		os.Exit(1)
	}
}

func newCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "hearth",
		Short:         "Measure, inspect and repair a Hearth cache",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(newBenchCommand(), newCertifyCommand(), newInspectCommand(),
		newStatsCommand(), newTopCommand(), newDumpCommand(), newLoadCommand(), newManCommand())
	return cmd
}
