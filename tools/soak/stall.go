package soak

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hearthcache/hearth/tools/loadgen"
)

// Stall is a time in which requests took longer than the threshold, one upon the
// other.
type Stall struct {
	From     time.Duration      `json:"from_ns"` // since the soak began
	To       time.Duration      `json:"to_ns"`
	Requests int                `json:"requests"`
	Worst    time.Duration      `json:"worst_ns"`
	Verbs    []string           `json:"verbs"`
	Gained   map[string]float64 `json:"gained"`         // what evidence gained between the samples around it
	Lag      time.Duration      `json:"machine_lag_ns"` // longest wait of an idle thread of ours meanwhile
	Stats    time.Duration      `json:"stats_ns"`       // longest that the server took to tell its statistics
	CPUWait  time.Duration      `json:"cpu_wait_ns"`    // longest wait of a server's thread for a CPU, in sum
	CPUShare float64            `json:"cpu_share"`      // of one CPU, that the server used meanwhile
}

// reclaiming names what grows while flash is made free, in hearthd or memcached.
var reclaiming = []string{
	"stat_extstore_page_reclaims", "stat_extstore_page_evictions", "stat_extstore_compact_rescues",
	"stat_extstore_compact_skipped", "stat_extstore_objects_evicted",
}

// evidence names what else may explain a stall.
var evidence = []string{
	"stat_extstore_bytes_written", "stat_hearth_backpressured", "stat_hearth_backpressure_us",
	"stat_hearth_journal_folds", "stat_hearth_go_collections", "stat_evictions", "machine_io_pressure_us",
}

// Reclaiming tells whether flash was being made free.
func (s *Stall) Reclaiming() bool {
	return slices.ContainsFunc(reclaiming, func(name string) bool { return s.Gained[name] > 0 })
}

// busy is the share of a CPU from which on a server may have kept itself from running.
const busy = 0.5

// Machine tells whether the machine made the server wait: an idle thread of ours
// stood still for half as long or more, or a thread of a server that was not busy
// was ready for all of it and had no CPU.
func (s *Stall) Machine() bool {
	return 2*s.Lag >= s.Worst || s.CPUWait >= s.Worst && s.CPUShare < busy
}

// Counts tells whether it is held against the server.
func (s *Stall) Counts() bool { return s.Reclaiming() && !s.Machine() }

// String is a line of the report.
func (s *Stall) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s at %.1f s, %4d requests (%s), worst %.0f ms; stats took %.0f ms, lag of an idle thread %.0f ms, a server thread waited %.0f ms for CPU, %.2f CPUs used",
		s.cause(), s.From.Seconds(), s.Requests, strings.Join(s.Verbs, ", "), ms(s.Worst), ms(s.Stats), ms(s.Lag), ms(s.CPUWait), s.CPUShare)
	for _, name := range slices.Concat(reclaiming, evidence) {
		if n := s.Gained[name]; n > 0 {
			fmt.Fprintf(&b, ", %s +%.0f", strings.TrimPrefix(name, "stat_"), n)
		}
	}
	return b.String()
}

func (s *Stall) cause() string {
	switch {
	case s.Machine():
		return "machine"
	case s.Reclaiming():
		return "RECLAIM"
	}
	return "other  "
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// stalls gathers the slow requests that overlap, and what was seen around them.
func stalls(slow []loadgen.Slow, samples []Sample) []Stall {
	slices.SortFunc(slow, func(a, b loadgen.Slow) int { return int(a.From - b.From) })
	var all []Stall
	for _, r := range slow {
		if len(all) == 0 || r.From > all[len(all)-1].To {
			all = append(all, Stall{From: r.From})
		}
		all[len(all)-1].add(r)
	}
	for i := range all {
		all[i].explain(samples)
	}
	return all
}

func (s *Stall) add(r loadgen.Slow) {
	s.Requests++
	s.To = max(s.To, r.To)
	s.Worst = max(s.Worst, r.To-r.From)
	if !slices.Contains(s.Verbs, r.Verb) {
		s.Verbs = append(s.Verbs, r.Verb)
	}
}

// explain compares the last sample before the stall with the first after it.
func (s *Stall) explain(samples []Sample) {
	s.Gained = map[string]float64{}
	if len(samples) == 0 {
		return
	}
	first, last := around(samples, s.From, s.To)
	for _, name := range slices.Concat(reclaiming, evidence) {
		s.Gained[name] = samples[last].Values[name] - samples[first].Values[name]
	}
	if seconds := (samples[last].At - samples[first].At).Seconds(); seconds > 0 {
		s.CPUShare = (samples[last].Values["process_cpu_seconds"] - samples[first].Values["process_cpu_seconds"]) / seconds
	}
	for _, sample := range samples[min(first+1, last) : last+1] {
		s.Lag = max(s.Lag, micros(sample.Values["machine_lag_us"]))
		s.Stats = max(s.Stats, micros(sample.Values["client_stats_us"]))
		s.CPUWait = max(s.CPUWait, micros(sample.Values["process_cpu_wait_us"]))
	}
}

func micros(us float64) time.Duration { return time.Duration(us * float64(time.Microsecond)) }

// around is the indices of the last sample until from and the first since to.
func around(samples []Sample, from, to time.Duration) (first, last int) {
	byTime := func(s Sample, at time.Duration) int { return int(s.At - at) }
	first, found := slices.BinarySearchFunc(samples, from, byTime)
	if !found && first > 0 {
		first--
	}
	last, _ = slices.BinarySearchFunc(samples, to, byTime)
	return first, min(last, len(samples)-1)
}

// slowShares are the shares of the samples from then on with a slow request: of those
// since whose predecessor flash was made free, and of the others. If reclaim makes no
// request wait, the first is not the greater.
func slowShares(samples []Sample, from time.Duration) (reclaim, others float64) {
	var all, slow [2]float64
	for i := 1; i < len(samples); i++ {
		now, before := samples[i], samples[i-1]
		if before.At < from {
			continue
		}
		kind := 1
		if slices.ContainsFunc(reclaiming, func(name string) bool { return now.Values[name] > before.Values[name] }) {
			kind = 0
		}
		all[kind]++
		if now.Values["client_slow_requests"] > 0 {
			slow[kind]++
		}
	}
	return slow[0] / max(1, all[0]), slow[1] / max(1, all[1])
}
