package soak

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/hearthcache/hearth/protocol/client"
	"github.com/hearthcache/hearth/tools/loadgen"
)

// statsLimit is how long to wait for a server's statistics, which a stall may hold up.
const statsLimit = 10 * time.Second

// Sample is what was seen at one moment. Names begin with client_, process_,
// machine_, or with stat_ for what the server itself tells; they end in the unit.
// Of client_ and machine_ the values are of the time since the sample before, all
// others are totals or states.
type Sample struct {
	At     time.Duration // since the soak began
	Filled bool          // the first fill is over
	Values map[string]float64
}

// sampler takes a sample each time a run reports progress.
type sampler struct {
	ctx       context.Context
	peer      *client.Client
	pid       int
	progress  loadgen.Progress
	latencies *loadgen.Latencies
	pulse     *pulse
	delays    delays
	started   time.Time
	runBegan  time.Duration // of the run under way
	filled    bool
	samples   []Sample
	slow      []loadgen.Slow // times since the soak began
	err       error          // the last failure to look at the server
}

func newSampler(ctx context.Context, peer *client.Client, o *Options) *sampler {
	return &sampler{
		ctx: ctx, peer: peer, pid: o.Work.PID, progress: o.Work.Progress,
		latencies: loadgen.NewLatencies(o.Stall), pulse: startPulse(), started: time.Now(),
	}
}

func (s *sampler) close() { s.pulse.stop() }

func (s *sampler) elapsed() time.Duration { return time.Since(s.started) }

// run does the work and samples meanwhile.
func (s *sampler) run(addr string, w loadgen.Work) (*loadgen.Result, error) {
	s.filled = w.Kind == loadgen.Mixed
	w.Latencies = s.latencies
	w.Progress = func(at loadgen.Snapshot) {
		s.runBegan = s.elapsed() - at.Elapsed
		s.sample(at)
		if s.progress != nil {
			s.progress(at)
		}
	}
	return loadgen.Run(s.ctx, addr, w)
}

func (s *sampler) sample(at loadgen.Snapshot) {
	v := make(map[string]float64, 128)
	s.addClient(v, at)
	v["machine_lag_us"] = float64(s.pulse.take().Microseconds())
	v["machine_io_pressure_us"] = ioPressure()
	if err := s.addProcess(v); err != nil {
		s.err = err
	}
	if err := s.addStats(v); err != nil && s.ctx.Err() == nil {
		s.err = fmt.Errorf("stats: %w", err)
	}
	s.samples = append(s.samples, Sample{At: s.elapsed(), Filled: s.filled, Values: v})
}

func (s *sampler) addClient(v map[string]float64, at loadgen.Snapshot) {
	got := s.latencies.Take()
	addLatency(v, "client_get_", got.Gets)
	addLatency(v, "client_change_", got.Changes)
	v["client_slow_requests"] = float64(len(got.Slow))
	v["client_bad_values"] = float64(at.Bad)
	v["client_refused_requests"] = float64(at.Refused)
	for _, slow := range got.Slow {
		slow.From += s.runBegan
		slow.To += s.runBegan
		s.slow = append(s.slow, slow)
	}
}

// fewest is of how many requests there are percentiles.
const fewest = 10

func addLatency(v map[string]float64, prefix string, l loadgen.Latency) {
	v[prefix+"count"] = float64(l.Count)
	if l.Count < fewest {
		return
	}
	v[prefix+"p50_us"] = l.P50
	v[prefix+"p99_us"] = l.P99
	v[prefix+"p999_us"] = l.P999
	v[prefix+"max_us"] = l.Max
}

func (s *sampler) addProcess(v map[string]float64) error {
	if s.pid == 0 {
		return nil
	}
	u, err := loadgen.ReadUsage(s.pid)
	if err != nil {
		return err
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.pid))
	if err != nil {
		return err
	}
	v["process_cpu_seconds"] = u.CPU.Seconds()
	v["process_rss_bytes"] = float64(u.RSS)
	v["process_anon_bytes"] = float64(u.Anon)
	v["process_mapped_bytes"] = float64(u.Virtual)
	v["process_threads"] = float64(u.Threads)
	v["process_files"] = float64(len(files))
	v["process_cpu_wait_us"] = s.delays.worst(s.pid)
	return nil
}

func (s *sampler) addStats(v map[string]float64) error {
	asked := time.Now()
	stats, err := s.peer.Stats(s.ctx, "")
	v["client_stats_us"] = float64(time.Since(asked).Microseconds())
	for name, text := range stats {
		if n, err := strconv.ParseFloat(text, 64); err == nil {
			v["stat_"+name] = n
		}
	}
	return err
}

// number is that of a statistic; 0 if there is none.
func number(text string) float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0
	}
	return n
}
