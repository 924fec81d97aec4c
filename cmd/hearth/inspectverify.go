package main

import (
	"encoding/json"
	"errors"

	"github.com/hearthcache/hearth/tools/pageinspect"
	"github.com/spf13/cobra"
)

var errFaults = errors.New("there are faults")

func newInspectVerifyCommand() *cobra.Command {
	asJSON := false
	cmd := dirCommand("verify DIR", "Check every checksum, and that pages, catalog and journal agree; faults give a non-zero exit status", 1,
		func(cmd *cobra.Command, d *pageinspect.Dir, _ []string) error {
			report, err := d.Verify(cmd.Context(), newProgress(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(report)
			} else {
				err = report.Print(cmd.OutOrStdout())
			}
			if err == nil && len(report.Faults) > 0 {
				err = errFaults
			}
			return err
		})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return cmd
}
