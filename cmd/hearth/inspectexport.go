package main

import (
	"fmt"

	"github.com/hearthcache/hearth/tools/pageinspect"
	"github.com/spf13/cobra"
)

func newInspectExportCommand() *cobra.Command {
	format, acceptStale := "commands", false
	cmd := dirCommand("export DIR", "Write all items that are alive: as commands that nc replays into any server, or as JSON", 1,
		func(cmd *cobra.Command, d *pageinspect.Dir, _ []string) error {
			export := d.ExportCommands
			switch format {
			case "commands":
			case "json":
				export = d.ExportJSON
			default:
				return fmt.Errorf("format %q is neither commands nor json", format)
			}
			x, err := export(cmd.Context(), cmd.OutOrStdout(), newProgress(cmd.ErrOrStderr()), acceptStale)
			told := cmd.ErrOrStderr()
			fmt.Fprintf(told, "%d items, %d bytes of values\n", x.Records, x.Bytes)
			if x.Binary > 0 {
				fmt.Fprintf(told, "note: %d of them have binary keys and go as meta commands\n", x.Binary)
			}
			if x.Older > 0 {
				fmt.Fprintf(told, "note: %d records were left out, because their key has a newer one\n", x.Older)
			}
			return err
		})
	cmd.Flags().StringVar(&format, "format", format, "commands (of memcached's text protocol) or json (a line an item, values in base64)")
	cmd.Flags().BoolVar(&acceptStale, "accept-stale", false, "without a catalog, take the newest record of each key for alive, though it may have been deleted")
	complete(cmd, "format", "commands", "json")
	return cmd
}
