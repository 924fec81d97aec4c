package certify

import (
	"fmt"
	"io"
	"strings"
)

// PrintResult writes a check's line, and for one that failed what was expected
// and what came.
func PrintResult(out io.Writer, r Result) error {
	verdict := string(r.Verdict)
	if r.Verdict == Fail {
		verdict = "FAIL"
	}
	if r.Why != "" {
		verdict += ": " + r.Why
	}
	line := strings.TrimRight(fmt.Sprintf("%-7s %-62s %s", r.Group, r.Name, verdict), " ") + "\n"
	if f := r.Failure; r.Verdict == Fail {
		line += fmt.Sprintf("    %s.txt:%d, %s\n    sent      %s\n    expected  %s\n    received  %s\n",
			r.Group, f.Line, f.Difference, f.Sent, f.Expected, f.Received)
	}
	_, err := io.WriteString(out, line)
	return err
}

// PrintSummary writes how many checks of each group had which verdict.
func (r *Report) PrintSummary(out io.Writer) error {
	counts := map[string]map[Verdict]int{}
	for _, res := range r.Results {
		for _, group := range []string{res.Group, "all"} {
			if counts[group] == nil {
				counts[group] = map[Verdict]int{}
			}
			counts[group][res.Verdict]++
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s, %s\n%-8s %6s %6s %14s\n", r.Addr, r.Version, "group", "pass", "fail", "not supported")
	for _, group := range append(Groups(), "all") {
		if c := counts[group]; c != nil {
			fmt.Fprintf(&b, "%-8s %6d %6d %14d\n", group, c[Pass], c[Fail], c[NotSupported])
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
