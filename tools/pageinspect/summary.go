package pageinspect

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hearthcache/hearth/flashtier"
)

// PrintSummary writes what tally and the catalog say of the whole directory.
func (d *Dir) PrintSummary(out io.Writer, tally []PageTally) error {
	w := bufio.NewWriter(out)
	d.printCatalog(w)
	d.printPages(w, tally)
	d.printRecords(w, tally)
	d.printAges(w, tally)
	var sum PageTally
	for i := range tally {
		for b, n := range tally[i].Sizes {
			sum.Sizes[b] += n
		}
		for b, n := range tally[i].TTLs {
			sum.TTLs[b] += n
		}
	}
	histogram(w, "size of records, with key and header", sum.Sizes[:], func(b int) string { return "up to " + size(1<<b) })
	histogram(w, "time to live", sum.TTLs[:], spanName)
	return w.Flush()
}

func (d *Dir) printCatalog(w io.Writer) {
	mode, why, err := flashtier.Diagnose(d.Path)
	switch {
	case d.Running:
		fmt.Fprintln(w, "server        running")
	case err != nil:
		fmt.Fprintf(w, "next start    refused: %s\n", reason(err))
	case why != "":
		fmt.Fprintf(w, "next start    %s: %s\n", mode, why)
	default:
		fmt.Fprintf(w, "next start    %s\n", mode)
	}
	if c := d.Catalog; c != nil {
		fmt.Fprintf(w, "catalog       %016x, %d batches, incarnation %d, %d flushes\n",
			c.Meta.Identity, c.Meta.Batches, c.Meta.Incarnation, d.generation)
		if c.Meta.FlushAt != 0 {
			fmt.Fprintf(w, "              all goes at %s\n", when(c.Meta.FlushAt))
		}
	} else {
		fmt.Fprintf(w, "catalog       none: %s\n", reason(d.CatalogErr))
	}
	if j := d.Journal; j != nil {
		fmt.Fprintf(w, "journal       %d entries so far, room for %d, %d not in the catalog\n", j.Head, j.Room, d.entries())
	} else {
		fmt.Fprintf(w, "journal       none: %s\n", reason(d.JournalErr))
	}
}

func (d *Dir) printPages(w io.Writer, tally []PageTally) {
	count, buckets := map[Condition]int{}, map[uint32]int{}
	low, high := ^uint32(0), uint32(0)
	for i := range tally {
		t := &tally[i]
		count[t.Condition]++
		if t.Condition == Sealed || t.Condition == Unsealed {
			buckets[t.Header.Bucket]++
			low, high = min(low, t.Header.Version), max(high, t.Header.Version)
		}
	}
	var parts []string
	for _, c := range []Condition{Sealed, Unsealed, Free, Unwritten, Missing, Broken} {
		if count[c] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[c], c))
		}
	}
	fmt.Fprintf(w, "pages         %s, %s: %s\n", plural(len(tally), "file"), size(d.bytes()), strings.Join(parts, ", "))
	if len(d.Aside) > 0 {
		fmt.Fprintf(w, "              %d more lie aside\n", len(d.Aside))
	}
	parts = nil
	for _, b := range slices.Sorted(maps.Keys(buckets)) {
		parts = append(parts, fmt.Sprintf("%d %s", buckets[b], flashtier.BucketName(b)))
	}
	if high > 0 {
		fmt.Fprintf(w, "buckets       %s\nversions      %d to %d\n", strings.Join(parts, ", "), low, high)
	}
}

func (d *Dir) printRecords(w io.Writer, tally []PageTally) {
	var sum [states]Count
	var bad Count
	for i := range tally {
		for s := range states {
			sum[s].plus(tally[i].By[s])
		}
		bad.plus(tally[i].Bad)
	}
	for s, c := range sum {
		if c.Records > 0 {
			fmt.Fprintf(w, "%-13s %s, %s\n", State(s), plural(c.Records, "record"), size(c.Bytes))
		}
	}
	if bad.Records > 0 {
		fmt.Fprintf(w, "bad           %s, %s: see verify\n", plural(bad.Records, "place"), size(bad.Bytes))
	}
}

func (d *Dir) printAges(w io.Writer, tally []PageTally) {
	var ages [len(spans) + 1]int64
	for i := range tally {
		t := &tally[i]
		if t.Condition == Sealed || t.Condition == Unsealed {
			ages[spanOf(d.Now-min(d.Now, uint32(t.Header.Created)))]++
		}
	}
	histogram(w, "age of pages", ages[:], spanName)
}

// spanName is the name of what spanOf and ttlSpan give.
func spanName(i int) string {
	switch i {
	case len(spans):
		return "over " + span(spans[i-1])
	case len(spans) + 1:
		return "never expire"
	}
	return "under " + span(spans[i])
}

// histogram writes a line for each power of two that has any.
func histogram(w io.Writer, title string, counts []int64, label func(bits int) string) {
	most := int64(0)
	for _, n := range counts {
		most = max(most, n)
	}
	if most == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for b, n := range counts {
		if n > 0 {
			fmt.Fprintf(w, "  %-18s %10d %s\n", label(b), n, strings.Repeat("#", int(1+n*39/most)))
		}
	}
}

// plural is a number and a noun.
func plural[N int | int64 | uint64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// span shows seconds in the largest unit that fits.
func span(seconds uint32) string {
	switch {
	case seconds >= 86400:
		return fmt.Sprintf("%d d", seconds/86400)
	case seconds >= 3600:
		return fmt.Sprintf("%d h", seconds/3600)
	case seconds >= 60:
		return fmt.Sprintf("%d min", seconds/60)
	}
	return fmt.Sprintf("%d s", seconds)
}

// when shows unix seconds.
func when(seconds uint32) string {
	return time.Unix(int64(seconds), 0).UTC().Format("2006-01-02 15:04:05 UTC")
}

// expires shows an exptime.
func expires(exptime uint32) string {
	if exptime == 0 {
		return "never"
	}
	return when(exptime)
}
