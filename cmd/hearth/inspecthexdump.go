package main

import (
	"github.com/hearthcache/hearth/tools/pageinspect"
	"github.com/spf13/cobra"
)

func newInspectHexdumpCommand() *cobra.Command {
	var r pageinspect.Range
	cmd := dirCommand("hexdump DIR N", "The bytes of page N, with what each field says", 2,
		func(cmd *cobra.Command, d *pageinspect.Dir, args []string) error {
			p, err := d.Page(args[0])
			if err != nil {
				return err
			}
			return d.Hexdump(cmd.Context(), cmd.OutOrStdout(), p, r)
		})
	cmd.Flags().Int64Var(&r.From, "from", 0, "begin with what is at this offset")
	cmd.Flags().Int64Var(&r.To, "to", 0, "end with what is before this offset (default the page's end)")
	cmd.Flags().BoolVar(&r.Full, "full", false, "all of long values and index frames")
	return cmd
}
