package main

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/hearthcache/hearth/tools/certify"
	"github.com/spf13/cobra"
)

var errNotCertified = errors.New("the server does not keep to the protocol")

func newCertifyCommand() *cobra.Command {
	o, asJSON, list := certify.Options{}, false, false
	cmd := &cobra.Command{
		Use:   "certify HOST:PORT",
		Short: "Hold a memcached-speaking server to the protocol, byte by byte",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if list {
				return listChecks(cmd.OutOrStdout(), o.Groups)
			}
			if len(args) == 0 {
				return errors.New("certify: which server?")
			}
			o.Addr = args[0]
			return runCertify(cmd, o, asJSON)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.Groups, "group", nil, "groups of checks to run: text, meta, binary, flash (default all)")
	f.BoolVar(&list, "list", false, "name the checks and run none")
	f.BoolVar(&asJSON, "json", false, "print the report as JSON")
	f.BoolVar(&o.Flush, "flush", false, "run also what changes what others see, flush_all first of all: the server is EMPTY afterwards")
	f.DurationVar(&o.Timeout, "timeout", 0, "give up on a reply after this time (default 5s)")
	f.Int64Var(&o.Fill, "fill", 0, "bytes to set, at most, to push values out to flash; -1 sets none (default twice the server's memory)")
	f.DurationVar(&o.FlashWait, "flash-wait", 0, "wait so long at most for values to reach flash (default 30s)")
	return cmd
}

func listChecks(out io.Writer, groups []string) error {
	checks, err := certify.List(groups)
	if err != nil {
		return err
	}
	for _, c := range checks {
		if err := certify.PrintResult(out, c); err != nil {
			return err
		}
	}
	return nil
}

func runCertify(cmd *cobra.Command, o certify.Options, asJSON bool) error {
	out := cmd.OutOrStdout()
	if !asJSON {
		o.Each = func(r certify.Result) { _ = certify.PrintResult(out, r) }
	}
	report, err := certify.Run(cmd.Context(), o)
	switch {
	case err != nil:
		return err
	case asJSON:
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report)
	default:
		err = report.PrintSummary(out)
	}
	if err == nil && report.Failed() {
		return errNotCertified
	}
	return err
}
