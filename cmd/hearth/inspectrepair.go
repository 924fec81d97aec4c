package main

import (
	"errors"

	"github.com/hearthcache/hearth/tools/pageinspect"
	"github.com/spf13/cobra"
)

var errRepairHow = errors.New("say --dry-run to see what a repair would do, or --accept-stale to have it done")

func newInspectRepairCommand() *cobra.Command {
	dryRun, acceptStale := false, false
	cmd := &cobra.Command{
		Use:   "repair DIR",
		Short: "Make a new catalog from the pages, where the old one is lost",
		Long: "Make a new catalog from the pages, where the old one is lost. Pages alone do not tell what had died: " +
			"values that had been deleted, overwritten or flushed may return.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dryRun == acceptStale {
				return errRepairHow
			}
			plan, err := pageinspect.PlanRepair(cmd.Context(), args[0], newProgress(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			if err := plan.Print(cmd.OutOrStdout()); err != nil || dryRun {
				return err
			}
			done, err := pageinspect.Repair(args[0])
			if err != nil {
				return err
			}
			return pageinspect.PrintRepaired(cmd.OutOrStdout(), done)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be done, and change nothing")
	cmd.Flags().BoolVar(&acceptStale, "accept-stale", false, "do it; what had been deleted may return")
	return cmd
}
