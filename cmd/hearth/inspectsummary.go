package main

import (
	"errors"

	"github.com/hearthcache/hearth/tools/pageinspect"
	"github.com/spf13/cobra"
)

func newInspectSummaryCommand() *cobra.Command {
	return dirCommand("summary DIR", "Pages, items, bytes live and dead, versions, ages, sizes and times to live", 1,
		func(cmd *cobra.Command, d *pageinspect.Dir, _ []string) error {
			tally, err := d.Tally(cmd.Context(), newProgress(cmd.ErrOrStderr()))
			return errors.Join(d.PrintSummary(cmd.OutOrStdout(), tally), err)
		})
}
