package loadgen

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Print writes the result for people.
func (r *Result) Print(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d keys in %.2f s, %.0f keys/s", r.Kind, r.Keys, r.Seconds, r.KeysRate)
	if r.Requests != r.Keys {
		fmt.Fprintf(&b, " in %d requests", r.Requests)
	}
	fmt.Fprintf(&b, ", %.1f MB/s in, %.1f MB/s out\n", mega(r.Received, r.Seconds), mega(r.Sent, r.Seconds))
	r.printCounts(&b)
	printLatency(&b, "get", &r.Gets)
	printLatency(&b, "set", &r.Sets)
	if s := r.Server; s != nil {
		fmt.Fprintf(&b, "server: %.2f us CPU a key, %.1f MiB resident, %.1f MiB at its peak, %d threads\n",
			s.CPUPerKey, mebi(s.RSS), mebi(s.PeakRSS), s.Threads)
	}
	fmt.Fprintf(&b, "generator: %.2f us CPU a key; version %d\n", r.OwnCPU, r.Version)
	for _, e := range r.Examples {
		fmt.Fprintf(&b, "BAD %s\n", e)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func (r *Result) printCounts(b *strings.Builder) {
	fmt.Fprintf(b, "%d stored, %d hits, %d misses, %d wrong, %d stale, %d refused\n",
		r.Stored, r.Hits, r.Misses, r.Wrong, r.Stale, r.Refused)
	for _, text := range slices.Sorted(maps.Keys(r.Refusals)) {
		fmt.Fprintf(b, "%d times %s\n", r.Refusals[text], text)
	}
}

func printLatency(b *strings.Builder, name string, l *Latency) {
	if l.Count > 0 {
		fmt.Fprintf(b, "%s latency, us: mean %.0f, p50 %.0f, p90 %.0f, p99 %.0f, p99.9 %.0f, max %.0f\n",
			name, l.Mean, l.P50, l.P90, l.P99, l.P999, l.Max)
	}
}

func mega(bytes uint64, seconds float64) float64 { return float64(bytes) / 1e6 / seconds }

func mebi(bytes int64) float64 { return float64(bytes) / (1 << 20) }
