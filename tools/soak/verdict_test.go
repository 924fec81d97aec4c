package soak

import (
	"math"
	"testing"
	"time"

	"github.com/hearthcache/hearth/tools/loadgen"
)

// every makes a sample a second.
func every(seconds int, values func(second int) map[string]float64) (all []Sample) {
	for i := range seconds {
		all = append(all, Sample{At: time.Duration(i) * time.Second, Values: values(i)})
	}
	return all
}

func TestMemoryVerdict(t *testing.T) {
	const warmUp = 100
	for _, row := range []struct {
		name   string
		memory func(second int) float64
		want   bool
	}{
		{"flat", func(int) float64 { return 300e6 }, true},
		{"noise of 1 %", func(i int) float64 { return 300e6 + float64(i%7)*0.5e6 }, true},
		{"grows in warm-up only", func(i int) float64 { return 300e6 + 1e6*float64(min(i, warmUp)) }, true},
		{"one sample is high", func(i int) float64 { return map[bool]float64{true: 600e6, false: 300e6}[i == 500] }, true},
		{"leak of 4 % in all", func(i int) float64 { return 300e6 * (1 + 0.04*float64(max(0, i-warmUp))/900) }, false},
		{"step of 4 %", func(i int) float64 { return map[bool]float64{true: 312e6, false: 300e6}[i > 700] }, false},
		{"up and down again", func(i int) float64 { return 300e6 + 12e6*math.Sin(float64(i)/150) }, false},
	} {
		samples := every(1000, func(i int) map[string]float64 {
			return map[string]float64{"process_rss_bytes": row.memory(i)}
		})
		if v := memoryVerdict(samples, warmUp*time.Second, 0.03); v.OK != row.want {
			t.Errorf("%s: %+v", row.name, v)
		}
	}
	if v := memoryVerdict(nil, 0, 0.03); v.OK {
		t.Error("flat without a sample")
	}
}

func TestStallVerdict(t *testing.T) {
	// Pages are reclaimed between seconds 10 and 20, the machine stands still in 15.
	samples := every(60, func(i int) map[string]float64 {
		v := map[string]float64{"stat_extstore_page_reclaims": float64(min(max(i, 10), 20)), "machine_lag_us": 300}
		v["process_cpu_seconds"] = 0.2 * float64(min(i, 18)) // then 0.8
		v["process_cpu_seconds"] += 0.8 * float64(max(i-18, 0))
		switch i {
		case 16:
			v["machine_lag_us"] = 70_000
		case 18, 20:
			v["process_cpu_wait_us"] = 300_000
		}
		return v
	})
	slow := func(at float64, took time.Duration) loadgen.Slow {
		from := time.Duration(at * float64(time.Second))
		return loadgen.Slow{Verb: "get", From: from, To: from + took}
	}
	for _, row := range []struct {
		name   string
		slow   []loadgen.Slow
		stalls int
		want   bool
	}{
		{"none", nil, 0, true},
		{"without reclaim", []loadgen.Slow{slow(5.5, 80*time.Millisecond)}, 1, true},
		{"while reclaimed", []loadgen.Slow{slow(12.5, 80*time.Millisecond)}, 1, false},
		{"at the end of reclaim", []loadgen.Slow{slow(9.98, 80*time.Millisecond)}, 1, false},
		{"overlapping ones are one", []loadgen.Slow{slow(30.02, 90*time.Millisecond), slow(30, 60*time.Millisecond)}, 1, true},
		{"two", []loadgen.Slow{slow(30, 60*time.Millisecond), slow(31, 60*time.Millisecond)}, 2, true},
		{"the machine stood still", []loadgen.Slow{slow(15.5, 80*time.Millisecond)}, 1, true},
		{"longer than that explains", []loadgen.Slow{slow(15.5, 180*time.Millisecond)}, 1, false},
		{"no CPU for all of it", []loadgen.Slow{slow(17.5, 290*time.Millisecond)}, 1, true},
		{"no CPU for a part of it", []loadgen.Slow{slow(17.5, 310*time.Millisecond)}, 1, false},
		{"no CPU, as the server itself has them", []loadgen.Slow{slow(19.5, 290*time.Millisecond)}, 1, false},
		{"after the last sample", []loadgen.Slow{slow(59.99, 80*time.Millisecond)}, 1, true},
	} {
		all := stalls(row.slow, samples)
		if v := stallVerdict(&Report{Stalls: all, Samples: samples}, 50*time.Millisecond); v.OK != row.want || len(all) != row.stalls {
			t.Errorf("%s: %+v of %v", row.name, v, all)
		}
	}
	if all := stalls([]loadgen.Slow{slow(1, time.Second)}, nil); len(all) != 1 {
		t.Errorf("without samples: %v", all)
	}
}

func TestSlowShares(t *testing.T) {
	// Reclaim in the seconds 1 to 40, a slow request in each fourth of them and in
	// each fifth of the others.
	samples := every(101, func(i int) map[string]float64 {
		slow := i%4 == 0 && i <= 40 || i%5 == 0 && i > 40
		return map[string]float64{
			"stat_extstore_page_reclaims": float64(min(i, 40)),
			"client_slow_requests":        map[bool]float64{true: 3}[slow],
		}
	})
	if reclaim, others := slowShares(samples, 0); reclaim != 0.25 || others != 0.2 {
		t.Errorf("%g and %g", reclaim, others)
	}
	if reclaim, others := slowShares(nil, 0); reclaim != 0 || others != 0 {
		t.Errorf("without samples %g and %g", reclaim, others)
	}
}
