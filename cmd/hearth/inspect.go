package main

import (
	"errors"
	"fmt"

	"github.com/hearthcache/hearth/tools/pageinspect"
	"github.com/spf13/cobra"
)

func newInspectCommand() *cobra.Command {
	summary := newInspectSummaryCommand()
	cmd := &cobra.Command{
		Use:   "inspect DIR",
		Short: "Look into the directory of a flash tier: a server's that has stopped, a copy, or a running one's",
		Long: "Look into the directory of a flash tier: a server's that has stopped, a copy, or a running one's. " +
			"Only repair --accept-stale changes anything. Without a subcommand it is summary.",
		Args: cobra.ExactArgs(1),
		RunE: summary.RunE,
	}
	cmd.AddCommand(
		summary,
		newInspectVerifyCommand(), newInspectPagesCommand(), newInspectPageCommand(),
		newInspectRecordsCommand(), newInspectGetCommand(), newInspectExportCommand(), newInspectMapCommand(),
		newInspectHexdumpCommand(), newInspectRepairCommand(),
	)
	return cmd
}

// dirCommand is a command about one directory, which look is given.
func dirCommand(use, short string, args int, look func(cmd *cobra.Command, d *pageinspect.Dir, args []string) error) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.ExactArgs(args),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := pageinspect.Open(args[0])
			if err != nil {
				return err
			}
			for _, line := range d.Warnings() {
				fmt.Fprintln(cmd.ErrOrStderr(), "note:", line)
			}
			return errors.Join(look(cmd, d, args[1:]), d.Close())
		},
	}
}
