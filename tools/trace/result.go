package trace

import (
	"fmt"
	"io"
	"strings"
)

// Tally counts what a replay has seen.
type Tally struct {
	Requests  uint64   `json:"requests"`
	Reads     uint64   `json:"reads"` // gets of any kind
	Hits      uint64   `json:"hits"`
	ReadBytes uint64   `json:"read_bytes"` // that the reads asked for, of values
	HitBytes  uint64   `json:"hit_bytes"`
	Stored    uint64   `json:"stored_bytes"` // values of all writes, lookaside sets among them
	Refused   uint64   `json:"refused"`
	Refusal   string   `json:"refusal,omitempty"` // the last
	Wrong     uint64   `json:"wrong"`             // values that must not have been found
	Examples  []string `json:"examples,omitempty"`
}

const maxExamples = 10

// count is told of a job's answer.
func (t *Tally) count(j *job, c *Call) {
	t.Requests++
	if !j.Op.reads() {
		return
	}
	t.Reads++
	size := uint64(j.ValueSize)
	if c.Status == Hit {
		size = uint64(len(c.Found))
		t.Hits++
		t.HitBytes += size
	}
	t.ReadBytes += size
}

func (t *Tally) wrong(c *Call, bad string) {
	t.Wrong++
	if len(t.Examples) < maxExamples {
		t.Examples = append(t.Examples, fmt.Sprintf("%s %s: %s", c.Op, c.Key, bad))
	}
}

func (t *Tally) refuse(c *Call) {
	t.Refused++
	t.Refusal = c.Error
}

// since is what came after an earlier look.
func (t *Tally) since(b *Tally) Tally {
	d := *t
	d.Requests -= b.Requests
	d.Reads -= b.Reads
	d.Hits -= b.Hits
	d.ReadBytes -= b.ReadBytes
	d.HitBytes -= b.HitBytes
	d.Stored -= b.Stored
	d.Refused -= b.Refused
	d.Wrong -= b.Wrong
	return d
}

// HitRatio is the share of reads that hit.
func (t *Tally) HitRatio() float64 { return float64(t.Hits) / float64(max(1, t.Reads)) }

// ByteHitRatio is the share of the bytes asked for that were in hits.
func (t *Tally) ByteHitRatio() float64 { return float64(t.HitBytes) / float64(max(1, t.ReadBytes)) }

// Result is what a replay has shown.
type Result struct {
	Trace         string  `json:"trace"`
	Seed          uint64  `json:"seed,omitempty"`
	Seconds       float64 `json:"seconds"`
	Rate          float64 `json:"requests_per_second"`
	All           Tally   `json:"all"`
	Steady        Tally   `json:"steady"` // without the warm-up
	Hit           float64 `json:"hit_ratio"`
	ByteHit       float64 `json:"byte_hit_ratio"`
	SteadyHit     float64 `json:"steady_hit_ratio"`
	SteadyByteHit float64 `json:"steady_byte_hit_ratio"`
	Usage         Usage   `json:"usage"`         // after; written and evicted by the replay alone
	PerItem       float64 `json:"bytes_an_item"` // of memory
	LateSeconds   float64 `json:"late_seconds"`  // at most behind the timetable
}

func (p *replayer) result(seconds float64, before, after Usage) *Result {
	after.FlashWritten -= before.FlashWritten
	after.Evictions -= before.Evictions
	r := &Result{
		Seconds: seconds, Rate: float64(p.tally.Requests) / seconds,
		All: p.tally, Steady: p.steady(), Usage: after,
		PerItem: float64(after.Memory) / float64(max(1, after.Items)),
	}
	r.Hit, r.ByteHit = r.All.HitRatio(), r.All.ByteHitRatio()
	r.SteadyHit, r.SteadyByteHit = r.Steady.HitRatio(), r.Steady.ByteHitRatio()
	if s, ok := p.target.(*Server); ok {
		r.LateSeconds = s.Late().Seconds()
	}
	return r
}

// Bad tells whether a value came back that must not have.
func (r *Result) Bad() bool { return r.All.Wrong > 0 }

// Print writes the result for people.
func (r *Result) Print(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d requests in %.1f s, %.0f/s", r.Trace, r.All.Requests, r.Seconds, r.Rate)
	if r.Seed > 0 {
		fmt.Fprintf(&b, "; seed %d", r.Seed)
	}
	if r.LateSeconds > 1 {
		fmt.Fprintf(&b, "; up to %.1f s late", r.LateSeconds)
	}
	fmt.Fprintf(&b, "\nhit ratio %.2f %%, of bytes %.2f %%; with the warm-up %.2f %% and %.2f %%\n",
		100*r.SteadyHit, 100*r.SteadyByteHit, 100*r.Hit, 100*r.ByteHit)
	fmt.Fprintf(&b, "%d reads, %d MB stored, %d MB to flash, %d evictions, %d refused, %d wrong\n",
		r.All.Reads, r.All.Stored/megabyte, r.Usage.FlashWritten/megabyte, r.Usage.Evictions, r.All.Refused, r.All.Wrong)
	fmt.Fprintf(&b, "%d items in %.1f MiB of RAM: %.0f bytes an item\n",
		r.Usage.Items, float64(r.Usage.Memory)/(1<<20), r.PerItem)
	if r.All.Refused > 0 {
		fmt.Fprintf(&b, "last refusal: %s\n", r.All.Refusal)
	}
	for _, e := range r.All.Examples {
		fmt.Fprintf(&b, "BAD %s\n", e)
	}
	_, err := io.WriteString(out, b.String())
	return err
}
