package loadgen

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latency summarises the times from a request's start to its last reply, in
// microseconds. In an open loop a request starts when it was due.
type Latency struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_us"`
	P50   float64 `json:"p50_us"`
	P90   float64 `json:"p90_us"`
	P99   float64 `json:"p99_us"`
	P999  float64 `json:"p999_us"`
	Max   float64 `json:"max_us"`
}

// Result is what a run has done and seen.
type Result struct {
	Kind     string            `json:"kind"`
	Seconds  float64           `json:"seconds"`
	Requests uint64            `json:"requests"` // answered
	Keys     uint64            `json:"keys"`     // set or asked for by them
	KeysRate float64           `json:"keys_per_second"`
	Stored   uint64            `json:"stored"`
	Deleted  uint64            `json:"deleted,omitempty"`
	Touched  uint64            `json:"touched,omitempty"`
	Hits     uint64            `json:"hits"` // right in every byte, and not too old
	Misses   uint64            `json:"misses"`
	Wrong    uint64            `json:"wrong"`    // other bytes, length or flags than the key's
	Stale    uint64            `json:"stale"`    // older than what had been stored before the get
	Refused  uint64            `json:"refused"`  // requests answered by SERVER_ERROR
	Refusals map[string]uint64 `json:"refusals"` // those, by text
	Examples []string          `json:"examples"` // of wrong and stale values
	Received uint64            `json:"bytes_received"`
	Sent     uint64            `json:"bytes_sent"`
	Gets     Latency           `json:"gets"`
	Sets     Latency           `json:"sets"`             // and deletes and touches
	Server   *ServerUsage      `json:"server,omitempty"` // nil without a pid
	OwnCPU   float64           `json:"generator_cpu_us_per_key"`
	Version  uint64            `json:"version"` // stored, or the oldest accepted
}

// ServerUsage is what the server used for the run, and its memory after it.
type ServerUsage struct {
	CPUSeconds float64 `json:"cpu_seconds"`
	CPUPerKey  float64 `json:"cpu_us_per_key"`
	RSS        int64   `json:"rss_bytes"`
	PeakRSS    int64   `json:"peak_rss_bytes"` // since the server started
	Threads    int     `json:"threads"`
}

// Bad tells whether a value came back that must not have.
func (r *Result) Bad() bool { return r.Wrong > 0 || r.Stale > 0 }

// latency is that of the run's main requests: its gets, if it has any.
func (r *Result) latency() *Latency {
	if r.Gets.Count > 0 {
		return &r.Gets
	}
	return &r.Sets
}

func newResult(r *run, before, after meter) *Result {
	total := newCounts(nil)
	for _, w := range r.workers {
		total.merge(w.counts)
	}
	seconds := after.at.Sub(before.at).Seconds()
	res := &Result{
		Kind: r.work.Kind.String(), Seconds: seconds, Version: r.work.Version,
		Requests: total.requests, Keys: total.keys, KeysRate: float64(total.keys) / seconds,
		Stored: total.stored, Deleted: total.deleted, Touched: total.touched, Hits: total.hits, Misses: total.misses,
		Wrong: total.wrong, Stale: total.stale, Examples: total.examples,
		Refused: total.refused, Refusals: total.refusals,
		Received: total.received, Sent: total.sent,
		Gets: summarise(total.gets), Sets: summarise(total.sets),
		OwnCPU: perKey(after.own-before.own, total.keys),
	}
	if r.work.PID != 0 {
		res.Server = newServerUsage(before.server, after.server, total.keys)
	}
	return res
}

func newServerUsage(before, after Usage, keys uint64) *ServerUsage {
	used := after.CPU - before.CPU
	return &ServerUsage{
		CPUSeconds: used.Seconds(),
		CPUPerKey:  perKey(used, keys),
		RSS:        after.RSS,
		PeakRSS:    after.PeakRSS,
		Threads:    after.Threads,
	}
}

// perKey is in microseconds.
func perKey(used time.Duration, keys uint64) float64 {
	return used.Seconds() * 1e6 / float64(max(1, keys))
}

func summarise(h *hdrhistogram.Histogram) Latency {
	us := func(quantile float64) float64 { return float64(h.ValueAtQuantile(quantile)) / 1e3 }
	return Latency{
		Count: h.TotalCount(), Mean: h.Mean() / 1e3, Max: float64(h.Max()) / 1e3,
		P50: us(50), P90: us(90), P99: us(99), P999: us(99.9),
	}
}
