package main

import (
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"

	"github.com/hearthcache/hearth/tools/certify"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var errNotCertified = errors.New("the server does not keep to the protocol")

// certification is what the flags of certify say.
type certification struct {
	certify.Options
	access
	names                    string
	list, asJSON, failedOnly bool
}

func newCertifyCommand() *cobra.Command {
	c := &certification{}
	cmd := &cobra.Command{
		Use:   "certify HOST:PORT",
		Short: "Hold a memcached-speaking server to the protocol, byte by byte",
		Long: `Sends requests and compares the bytes of the replies with what memcached 1.6.45
answers: text, meta and binary protocol, and all of them on values that the server
has moved to flash.

Keys have a prefix of their own and are deleted afterwards. To have values moved to
flash, others are set, up to twice the server's memory: what was in RAM moves to
flash as well, or leaves where flash is full. Checks of flush_all and stats reset
run only with --flush. The exit status is 0 if no check failed.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd, args) },
	}
	c.addFlags(cmd.Flags())
	complete(cmd, "group", certify.Groups()...)
	return cmd
}

func (c *certification) addFlags(f *pflag.FlagSet) {
	f.StringSliceVar(&c.Groups, "group", nil, "groups of checks to run: "+strings.Join(certify.Groups(), ", ")+" (default all)")
	f.StringVar(&c.names, "check", "", "run only the checks whose name has this regular expression")
	f.BoolVar(&c.list, "list", false, "name the checks and run none")
	f.BoolVar(&c.failedOnly, "failed", false, "print only the checks that fail, and the summary")
	f.BoolVar(&c.asJSON, "json", false, "print the report as JSON")
	f.BoolVar(&c.Flush, "flush", false, "run also what changes what others see: the server is EMPTY afterwards")
	f.DurationVar(&c.Timeout, "timeout", 0, "give up on a reply after this time (default 5s)")
	f.Int64Var(&c.Fill, "fill", 0, "bytes to set, at most, to push values out to flash; -1 sets none (default twice the server's memory)")
	f.DurationVar(&c.FlashWait, "flash-wait", 0, "once filled, wait so long at most for values to reach flash (default 30s)")
	c.access.addFlags(f)
}

func (c *certification) run(cmd *cobra.Command, args []string) (err error) {
	if c.names != "" {
		if c.Names, err = regexp.Compile(c.names); err != nil {
			return err
		}
	}
	if c.list {
		return c.printList(cmd.OutOrStdout())
	}
	if len(args) == 0 {
		return errors.New("certify: which server?")
	}
	c.Addr = args[0]
	if err := c.secure(); err != nil {
		return err
	}
	return c.certify(cmd)
}

// secure sets what TLS and the login need.
func (c *certification) secure() (err error) {
	if c.TLS, err = c.config(); err != nil {
		return err
	}
	c.User = c.user
	c.Password, err = c.password()
	return err
}

func (c *certification) printList(out io.Writer) error {
	checks, err := certify.List(c.Options)
	for _, check := range checks {
		err = errors.Join(err, certify.PrintResult(out, check))
	}
	return err
}

func (c *certification) certify(cmd *cobra.Command) error {
	out := cmd.OutOrStdout()
	if !c.asJSON {
		c.Each = func(r certify.Result) {
			if r.Verdict == certify.Fail || !c.failedOnly {
				_ = certify.PrintResult(out, r) // the summary tells of an output that is gone
			}
		}
	}
	report, err := certify.Run(cmd.Context(), c.Options)
	switch {
	case err != nil:
		return err
	case c.asJSON:
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
