package pageinspect

import (
	"bufio"
	"fmt"
	"io"
)

// Print writes the report, a line a fault, and last what was checked and how fast.
func (r *Report) Print(out io.Writer) error {
	w := bufio.NewWriter(out)
	for _, f := range r.Faults {
		fmt.Fprintln(w, "fault:", f)
	}
	for _, n := range r.Notes {
		fmt.Fprintln(w, "note:", n)
	}
	fmt.Fprintf(w, "checked %s of %s in %d of %s: %s and %s are sound\n", size(r.BytesChecked), size(r.Bytes),
		r.PagesChecked, plural(r.Pages, "page"), plural(r.Records, "record"), plural(r.Indexes, "index frame"))
	if r.Catalog {
		fmt.Fprintf(w, "the catalog names %d of the records, %d are alive; the journal has %d changes more\n", r.Named, r.Live, r.Entries)
	}
	if n := r.Pages - r.PagesChecked; n > 0 {
		fmt.Fprintf(w, "not checked: %s that are free, or cannot be read\n", plural(n, "page"))
	}
	if s := r.Duration.Seconds(); s > 0 && r.BytesChecked > 0 {
		fmt.Fprintf(w, "%.1f s, %s/s\n", s, size(int64(float64(r.BytesChecked)/s)))
	}
	fmt.Fprintln(w, plural(len(r.Faults), "fault"))
	return w.Flush()
}

// size shows bytes with three digits or so.
func size(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), 0
	for f >= 1024 && unit < 5 {
		f /= 1024
		unit++
	}
	digits := 1
	if f < 10 {
		digits = 2
	}
	return fmt.Sprintf("%.*f %ciB", digits, f, " KMGTP"[unit])
}
