package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/hearthcache/hearth/tools/pageinspect"
	"github.com/spf13/cobra"
)

var errNotAlive = errors.New("no version of the key is alive; --at names one of them")

func newInspectGetCommand() *cobra.Command {
	var out, at string
	hexKeys := false
	cmd := dirCommand("get DIR KEY", "Where the records of a key are, on standard error, and the value that is alive, on standard output", 2,
		func(cmd *cobra.Command, d *pageinspect.Dir, args []string) error {
			key, err := pageinspect.ParseKey(args[0])
			if err != nil {
				return err
			}
			list, err := d.Get(cmd.Context(), key, hexKeys, newProgress(cmd.ErrOrStderr()))
			if len(list) == 0 {
				return err
			}
			err = errors.Join(err, pageinspect.PrintVersions(cmd.ErrOrStderr(), list))
			value, e := chooseVersion(list, at)
			if e != nil {
				return errors.Join(err, e)
			}
			if out != "" {
				return errors.Join(err, os.WriteFile(out, value, 0o600))
			}
			_, e = cmd.OutOrStdout().Write(value)
			return errors.Join(err, e)
		})
	cmd.Long = cmd.Short + ". The key is its bytes, or @ and their hexadecimal digits."
	cmd.Flags().StringVar(&out, "out", "", "write the value to this file")
	cmd.Flags().StringVar(&at, "at", "", "the value of the version at PAGE:OFFSET, alive or not")
	addHexFlag(cmd, &hexKeys)
	return cmd
}

// chooseVersion is the value of the version at PAGE:OFFSET, or else of that which
// is alive.
func chooseVersion(list []pageinspect.Version, at string) ([]byte, error) {
	for _, v := range list {
		if at == fmt.Sprintf("%d:%d", v.Page, v.Offset) || at == "" && v.Alive() {
			return v.Value, nil
		}
	}
	if at == "" {
		return nil, errNotAlive
	}
	return nil, fmt.Errorf("no version of the key is at %s", at)
}
