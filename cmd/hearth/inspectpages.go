package main

import (
	"errors"

	"github.com/hearthcache/hearth/tools/pageinspect"
	"github.com/spf13/cobra"
)

func newInspectPagesCommand() *cobra.Command {
	return dirCommand("pages DIR", "A line a page: its condition, version and age, and what of its records is alive", 1,
		func(cmd *cobra.Command, d *pageinspect.Dir, _ []string) error {
			tally, err := d.Tally(cmd.Context(), newProgress(cmd.ErrOrStderr()))
			return errors.Join(d.PrintPages(cmd.OutOrStdout(), tally), err)
		})
}

func newInspectPageCommand() *cobra.Command {
	hexKeys := false
	cmd := dirCommand("page DIR N", "What is in page N: header, records, index frames and trailer, with their places", 2,
		func(cmd *cobra.Command, d *pageinspect.Dir, args []string) error {
			p, err := d.Page(args[0])
			if err != nil {
				return err
			}
			return d.PrintPage(cmd.Context(), cmd.OutOrStdout(), p, hexKeys)
		})
	addHexFlag(cmd, &hexKeys)
	return cmd
}

func addHexFlag(cmd *cobra.Command, hexKeys *bool) {
	cmd.Flags().BoolVar(hexKeys, "hex", false, "show keys as @ and hexadecimal digits, as commands take them, too")
}
