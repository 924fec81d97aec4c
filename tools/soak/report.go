package soak

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// mostStalls bounds the stalls that Print shows; all are in the JSON.
const mostStalls = 20

// Print writes the report for people.
func (r *Report) Print(out io.Writer) error {
	e := &errWriter{out: out}
	e.printf("%d keys, filled after %.0f s, judged from %.0f s on, ended at %.0f s\n",
		r.Keys, r.Filled.Seconds(), r.Judged.Seconds(), r.Filled.Seconds()+r.Result.Seconds)
	e.err = errors.Join(e.err, r.Result.Print(out))
	e.printf("\nafter warm-up%24s %14s %14s %9s %9s\n", "first", "last", "most", "apart", "trend")
	for _, l := range r.Levels {
		e.printf("%-32s %10.6g %14.6g %14.6g %7.2f %% %+7.2f %%\n", l.Name, l.First, l.Last, l.Most, 100*l.Spread, 100*l.Trend)
	}
	if len(r.Stalls) > 0 {
		e.printf("\nstalls\n")
	}
	for _, s := range r.gravest(mostStalls) {
		e.printf("%s\n", s.String())
	}
	e.printf("\n")
	for _, v := range r.Verdicts {
		e.printf("%s  %s: %s\n", map[bool]string{true: "ok  ", false: "FAIL"}[v.OK], v.Name, v.Text)
	}
	return e.err
}

// gravest is up to n stalls: those that count, then those that the machine did not
// make, each from the worst on.
func (r *Report) gravest(n int) []Stall {
	rank := func(s *Stall) int { return map[bool]int{true: 1}[s.Machine()] - map[bool]int{true: 2}[s.Counts()] }
	sorted := slices.SortedFunc(slices.Values(r.Stalls), func(a, b Stall) int {
		return cmp.Or(cmp.Compare(rank(&a), rank(&b)), cmp.Compare(b.Worst, a.Worst))
	})
	return sorted[:min(n, len(sorted))]
}

// errWriter keeps the first error.
type errWriter struct {
	out io.Writer
	err error
}

func (e *errWriter) printf(format string, args ...any) {
	if e.err == nil {
		_, e.err = fmt.Fprintf(e.out, format, args...)
	}
}

// WriteFiles puts report.json, samples.csv and the graphs of what the server told
// into the folder dir, which it makes. extension is svg or png.
func (r *Report) WriteFiles(dir, extension string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	err := writeFile(filepath.Join(dir, "report.json"), func(out io.Writer) error {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	})
	err = errors.Join(err, writeFile(filepath.Join(dir, "samples.csv"), r.writeCSV))
	for i := range graphs {
		if graphs[i].empty(r.Samples) {
			continue
		}
		name := filepath.Join(dir, graphs[i].name+"."+extension)
		err = errors.Join(err, writeFile(name, func(out io.Writer) error {
			return graphs[i].draw(out, r, extension)
		}))
	}
	return err
}

func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// writeCSV writes a line for each sample; what a sample lacks is empty.
func (r *Report) writeCSV(out io.Writer) error {
	w, names := csv.NewWriter(out), columns(r.Samples)
	w.Write(append([]string{"seconds", "filled"}, names...))
	for _, s := range r.Samples {
		line := []string{strconv.FormatFloat(s.At.Seconds(), 'f', 3, 64), strconv.FormatBool(s.Filled)}
		for _, name := range names {
			text := ""
			if v, has := s.Values[name]; has {
				text = strconv.FormatFloat(v, 'f', -1, 64)
			}
			line = append(line, text)
		}
		w.Write(line)
	}
	w.Flush()
	return w.Error()
}

// columns are the names that the samples have, in order.
func columns(samples []Sample) []string {
	names := map[string]bool{}
	for _, s := range samples {
		for name := range s.Values {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
