package certify

import (
	"context"
	"crypto/tls"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Options say how a server is certified. Only Addr has no default.
type Options struct {
	Addr    string         // host:port, or the path of a Unix socket
	Groups  []string       // of Groups; empty is all
	Names   *regexp.Regexp // only checks that it finds in their name; nil is all
	Timeout time.Duration  // of each connect and of each reply; 5 s if 0

	// Flush allows checks that change what others see, flush_all above all:
	// the server is empty afterwards.
	Flush bool

	// Fill is how many bytes are set, at most, to have the server move what
	// it got before to flash; 0 is twice the server's memory, negative is
	// none: then FlashWait alone has to do.
	Fill int64
	// FlashWait is how long to wait at most, once filled, until the values
	// are on flash; 30 s if 0.
	FlashWait time.Duration

	TLS            *tls.Config // nil is a plain connection
	User, Password string      // sent on every connection unless User is empty

	// Each is called with every result, once its group is done; nil is not.
	Each func(Result)
}

func (o *Options) setDefaults() error {
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	if o.FlashWait <= 0 {
		o.FlashWait = 30 * time.Second
	}
	if len(o.Groups) == 0 {
		o.Groups = groups
	}
	for _, g := range o.Groups {
		if !slices.Contains(groups, g) {
			return fmt.Errorf("certify: no group %q", g)
		}
	}
	return nil
}

// Verdict is what became of a check.
type Verdict string

// The verdicts.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	NotSupported Verdict = "not supported" // the server does not have what the check is of, or may not be asked for it
)

// Result is the outcome of one check.
type Result struct {
	Group   string   `json:"group"`
	Name    string   `json:"name"`
	Verdict Verdict  `json:"verdict"`
	Why     string   `json:"why,omitempty"`     // of what is not supported, and of a failure that needs words
	Failure *Failure `json:"failure,omitempty"` // of a check that failed
}

// Failure shows where a check failed. Bytes are escaped as in Go; braces stand
// for what may vary.
type Failure struct {
	Line     int    `json:"line"` // of the group's script
	Sent     string `json:"sent"`
	Expected string `json:"expected"`
	Received string `json:"received"`

	// Difference is the place of the first byte that is wrong, from 1, or
	// why no more came.
	Difference string `json:"difference"`
}

// Report is the outcome of a run.
type Report struct {
	Addr    string   `json:"addr"`
	Version string   `json:"version"` // what the server says it is
	Results []Result `json:"results"`
}

// Failed tells whether any check did.
func (r *Report) Failed() bool {
	return slices.ContainsFunc(r.Results, func(res Result) bool { return res.Verdict == Fail })
}

// Run certifies a server. Its keys have a prefix of their own and are deleted
// afterwards. An error says that the server could not be asked; what it answers
// wrongly is in the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	server, err := examine(ctx, &o)
	if err != nil {
		return nil, fmt.Errorf("certify: %w", err)
	}
	r := &runner{opt: &o, server: server, prefix: newPrefix()}
	report := &Report{Addr: o.Addr, Version: server.version}
	for _, group := range o.Groups {
		checks, err := o.load(group)
		if err != nil {
			return nil, err
		}
		tame, wild := split(checks)
		for _, part := range [][]*check{tame, wild} {
			results, err := r.group(ctx, part)
			report.Results = append(report.Results, results...)
			if err != nil {
				return report, fmt.Errorf("certify: %w", err)
			}
		}
	}
	return report, nil
}

// split keeps those checks for later that would disturb others which wait.
func split(checks []*check) (tame, wild []*check) {
	for _, c := range checks {
		if c.needs == "flush" {
			wild = append(wild, c)
		} else {
			tame = append(tame, c)
		}
	}
	return tame, wild
}

// load reads the checks of a group that o asks for.
func (o *Options) load(group string) ([]*check, error) {
	checks, err := load(group)
	if err != nil {
		return nil, fmt.Errorf("certify: %w", err)
	}
	return slices.DeleteFunc(checks, func(c *check) bool {
		return o.Names != nil && !o.Names.MatchString(c.name)
	}), nil
}

// List names the checks that Run would run, without a verdict.
func List(o Options) ([]Result, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	var list []Result
	for _, group := range o.Groups {
		checks, err := o.load(group)
		if err != nil {
			return nil, err
		}
		for _, c := range checks {
			list = append(list, Result{Group: c.group, Name: c.name})
		}
	}
	return list, nil
}
