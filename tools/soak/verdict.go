package soak

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hearthcache/hearth/tools/loadgen"
)

// Verdict is one promise and whether it was kept.
type Verdict struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}

// Report is what a soak has found.
type Report struct {
	Verdicts []Verdict       `json:"verdicts"`
	Stalls   []Stall         `json:"stalls"` // after warm-up
	Levels   []Level         `json:"levels"` // of the server's means, after warm-up
	Filled   time.Duration   `json:"filled_ns"`
	Judged   time.Duration   `json:"judged_ns"` // warm-up is over
	Keys     uint64          `json:"keys"`
	Result   *loadgen.Result `json:"result"`
	Samples  []Sample        `json:"-"` // see WriteCSV
}

// Failed tells whether a promise was not kept.
func (r *Report) Failed() bool {
	for _, v := range r.Verdicts {
		if !v.OK {
			return true
		}
	}
	return false
}

// judge reads the samples of a soak whose fill was over at filled.
func judge(o *Options, s *sampler, filled time.Duration, result *loadgen.Result) *Report {
	r := &Report{
		Filled: filled, Judged: filled + o.WarmUp, Keys: o.Work.Keys, Result: result, Samples: s.samples,
	}
	for _, one := range stalls(s.slow, s.samples) {
		if one.To >= r.Judged {
			r.Stalls = append(r.Stalls, one)
		}
	}
	r.Levels = levels(s.samples, r.Judged)
	if s.pid != 0 {
		r.Verdicts = append(r.Verdicts, memoryVerdict(s.samples, r.Judged, o.Spread))
	}
	r.Verdicts = append(r.Verdicts, valuesVerdict(result), stallVerdict(r, o.Stall))
	if v, flash := reclaimVerdict(s.samples, r.Judged); flash {
		r.Verdicts = append(r.Verdicts, v)
	}
	return r
}

func memoryVerdict(samples []Sample, from time.Duration, most float64) Verdict {
	l, ok := level(samples, "process_rss_bytes", from)
	return Verdict{
		Name: fmt.Sprintf("memory flat within %.0f %%", 100*most),
		OK:   ok && l.Spread <= most,
		Text: fmt.Sprintf("%.1f to %.1f MiB, apart by %.2f %%; trend %+.2f %%", l.Least/mebi, l.Most/mebi, 100*l.Spread, 100*l.Trend),
	}
}

const mebi = 1 << 20

func valuesVerdict(r *loadgen.Result) Verdict {
	return Verdict{
		Name: "no value wrong or stale",
		OK:   !r.Bad() && r.Hits > 0,
		Text: fmt.Sprintf("%d wrong, %d stale, %d right of %d asked for; %d requests refused", r.Wrong, r.Stale, r.Hits,
			r.Hits+r.Misses+r.Wrong+r.Stale, r.Refused),
	}
}

// stallVerdict counts against the server what happened while it made flash free,
// unless the machine made it wait.
func stallVerdict(r *Report, threshold time.Duration) Verdict {
	var counts, machine int
	var worst, worstOther time.Duration
	reclaim, others := slowShares(r.Samples, r.Judged)
	for i := range r.Stalls {
		switch s := &r.Stalls[i]; {
		case s.Machine():
			machine++
		case s.Reclaiming():
			counts++
			worst = max(worst, s.Worst)
		default:
			worstOther = max(worstOther, s.Worst)
		}
	}
	return Verdict{
		Name: fmt.Sprintf("no stall over %v while flash was reclaimed", threshold),
		OK:   counts == 0,
		Text: fmt.Sprintf("%d, the worst %.0f ms; %d without reclaim, the worst %.0f ms; %d while the machine made the server wait; "+
			"%.1f %% of the seconds with reclaim had one, %.1f %% of those without",
			counts, ms(worst), len(r.Stalls)-counts-machine, ms(worstOther), machine, 100*reclaim, 100*others),
	}
}

// reclaimVerdict is whether the soak had what it wants to show: a full device. It
// is none if the server has no flash.
func reclaimVerdict(samples []Sample, from time.Duration) (v Verdict, flash bool) {
	var counts []string
	total := 0.0
	for _, name := range reclaiming {
		_, values := column(samples, name, from)
		if len(values) == 0 {
			continue
		}
		n := values[len(values)-1] - values[0]
		total += n
		counts = append(counts, fmt.Sprintf("%s %.0f", strings.TrimPrefix(name, "stat_extstore_"), n))
	}
	return Verdict{Name: "flash was full and reclaimed", OK: total > 0, Text: strings.Join(counts, ", ")}, len(counts) > 0
}

// levels are of what a server may use more and more of.
func levels(samples []Sample, from time.Duration) (all []Level) {
	for _, name := range columns(samples) {
		if !isMeans(name) {
			continue
		}
		if l, ok := level(samples, name, from); ok && l.Most > 0 {
			all = append(all, l)
		}
	}
	return all
}

func isMeans(name string) bool {
	switch name {
	case "process_cpu_seconds", "process_cpu_wait_us", "stat_hearth_go_collections":
		return false
	case "stat_curr_items", "stat_curr_connections", "stat_bytes", "stat_extstore_bytes_used", "stat_extstore_pages_free",
		"stat_hearth_flash_items", "stat_hearth_hot_items", "stat_hearth_journal_used":
		return true
	}
	return slices.ContainsFunc([]string{"process_", "stat_hearth_mem_", "stat_hearth_go_"}, func(prefix string) bool {
		return strings.HasPrefix(name, prefix)
	})
}
