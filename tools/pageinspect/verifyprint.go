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
	fmt.Fprintf(w, "checked %s of %s in %d of %d pages: %d records and %d index frames are sound, %d of the records are alive\n",
		size(r.BytesChecked), size(r.Bytes), r.PagesChecked, r.Pages, r.Records, r.Indexes, r.Live)
	fmt.Fprintf(w, "catalog names %d of them; the journal has %d entries more\n", r.Named, r.Entries)
	if n := r.Pages - r.PagesChecked; n > 0 {
		fmt.Fprintf(w, "not checked: %d pages that are free or cannot be read\n", n)
	}
	if s := r.Duration.Seconds(); s > 0 && r.BytesChecked > 0 {
		fmt.Fprintf(w, "%.1f s, %s/s\n", s, size(int64(float64(r.BytesChecked)/s)))
	}
	switch n := len(r.Faults); n {
	case 0:
		fmt.Fprintln(w, "no fault")
	case 1:
		fmt.Fprintln(w, "1 fault")
	default:
		fmt.Fprintf(w, "%d faults\n", n)
	}
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
