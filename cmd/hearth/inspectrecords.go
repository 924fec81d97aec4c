package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/hearthcache/hearth/tools/pageinspect"
	"github.com/spf13/cobra"
)

// recordsFlags are what inspect records is told.
type recordsFlags struct {
	key, prefix, glob, states, format string
	minSize, maxSize                  int64
	expiresWithin                     time.Duration
	hexKeys, values                   bool
	limit                             uint64
}

var errEnough = errors.New("enough")

func newInspectRecordsCommand() *cobra.Command {
	var o recordsFlags
	cmd := dirCommand("records DIR", "List records, filtered by key, size, expiry and state", 1,
		func(cmd *cobra.Command, d *pageinspect.Dir, _ []string) error { return o.list(cmd, d) })
	f := cmd.Flags()
	f.StringVar(&o.key, "key", "", "only this key; @ and hexadecimal digits for a binary one")
	f.StringVar(&o.prefix, "prefix", "", "only keys that begin so; @ and hexadecimal digits for a binary one")
	f.StringVar(&o.glob, "glob", "", "only keys that match, with *, ? and [a-z]")
	f.StringVar(&o.states, "state", "", "only these states, divided by commas: live, expired, flushed, dead, older (left of earlier lives of a page), unknown (default all but older)")
	f.Var((*bytesFlag)(&o.minSize), "min-size", "only values of so many bytes or more; k, m and g work")
	f.Var((*bytesFlag)(&o.maxSize), "max-size", "only values of so many bytes or less; k, m and g work")
	f.DurationVar(&o.expiresWithin, "expires-within", 0, "only what expires in this time from now")
	f.StringVar(&o.format, "format", "text", "text, json (a line a record) or csv")
	f.BoolVar(&o.values, "values", false, "with the values, in base64: of json only")
	f.Uint64Var(&o.limit, "limit", 0, "stop after so many")
	addHexFlag(cmd, &o.hexKeys)
	return cmd
}

func (o *recordsFlags) list(cmd *cobra.Command, d *pageinspect.Dir) error {
	filter, err := o.filter(d.Now)
	if err != nil {
		return err
	}
	l := pageinspect.Lister{Text: o.format == "text", CSV: o.format == "csv", HexKeys: o.hexKeys, Values: o.values}
	if !l.Text && !l.CSV && o.format != "json" {
		return fmt.Errorf("format %q is none of text, json and csv", o.format)
	}
	l.Begin(cmd.OutOrStdout())
	n := uint64(0)
	err = d.Records(cmd.Context(), filter, nil, func(f *pageinspect.Found) error {
		if n++; o.limit > 0 && n > o.limit {
			return errEnough
		}
		return l.Write(f)
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return errors.Join(l.End(), err)
}

func (o *recordsFlags) filter(now uint32) (x pageinspect.Filter, err error) {
	x.Glob, x.MinSize, x.MaxSize = o.glob, o.minSize, o.maxSize
	if o.expiresWithin > 0 {
		x.ExpiresBefore = now + uint32(o.expiresWithin/time.Second) + 1
	}
	var errs []error
	parse := func(to *[]byte, text string) {
		if text == "" {
			return
		}
		key, err := pageinspect.ParseKey(text)
		*to = key
		errs = append(errs, err)
	}
	parse(&x.Key, o.key)
	parse(&x.Prefix, o.prefix)
	x.States, err = pageinspect.ParseStates(o.states)
	if x.States == nil {
		x.States = []pageinspect.State{
			pageinspect.Live, pageinspect.Expired, pageinspect.Flushed, pageinspect.Dead, pageinspect.Unknown,
		}
	}
	return x, errors.Join(append(errs, err, x.Validate())...)
}
