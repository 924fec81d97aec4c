package main

import (
	"errors"
	"io"
	"os"

	"github.com/hearthcache/hearth/tools/pageinspect"
	"github.com/spf13/cobra"
)

func newInspectMapCommand() *cobra.Command {
	path := ""
	cmd := dirCommand("map DIR", "Draw all pages as an SVG picture, by age: what of them is live, expired, dead and free", 1,
		func(cmd *cobra.Command, d *pageinspect.Dir, _ []string) error {
			tally, err := d.Tally(cmd.Context(), newProgress(cmd.ErrOrStderr()))
			return errors.Join(writeTo(path, cmd.OutOrStdout(), func(w io.Writer) error { return d.Map(w, tally) }), err)
		})
	cmd.Flags().StringVar(&path, "out", "", "write it to this file")
	return cmd
}

// writeTo has write write to the file at path, or to out if there is no path.
func writeTo(path string, out io.Writer, write func(io.Writer) error) error {
	if path == "" {
		return write(out)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
