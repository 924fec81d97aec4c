package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/hearthcache/hearth/flashtier"
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
			p, err := findPage(d, args[0])
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

func findPage(d *pageinspect.Dir, number string) (*pageinspect.Page, error) {
	id, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("page %q is no number", number)
	}
	return d.Page(flashtier.PageID(id))
}
