package web

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hearthcache/hearth/flashtier"
)

// metric is one name at /metrics.
type metric struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string
	read       func(n *snapshot, tell teller)
}

// teller takes a value of a metric, with those of its labels.
type teller func(value float64, labels ...string)

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// one is a metric without labels.
func one[T int | int64 | uint64 | float64](read func(n *snapshot) T) func(*snapshot, teller) {
	return func(n *snapshot, tell teller) { tell(float64(read(n))) }
}

// by is a metric with a label whose values are given in turn with what belongs to
// each.
func by[T int64 | uint64](values []string, read func(n *snapshot) []T) func(*snapshot, teller) {
	return func(n *snapshot, tell teller) {
		for i, v := range read(n) {
			tell(float64(v), values[i])
		}
	}
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// collector reads the statistics once a scrape and tells all metrics of them.
type collector struct {
	server  *Server
	descs   map[string]*prometheus.Desc
	latency *prometheus.Desc
}

const (
	latencyName = "hearth_flash_read_duration_seconds"
	latencyHelp = "How long reads from flash took."
)

func newCollector(s *Server) *collector {
	c := &collector{server: s, descs: map[string]*prometheus.Desc{}, latency: prometheus.NewDesc(latencyName, latencyHelp, nil, nil)}
	for _, table := range [][]metric{processMetrics, cacheMetrics, flashMetrics} {
		for _, m := range table {
			c.descs[m.name] = prometheus.NewDesc(m.name, m.help, m.labels, nil)
		}
	}
	return c
}

// Describe is of prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		to <- d
	}
	to <- c.latency
}

// Collect is of prometheus.Collector. While the cache recovers there is only what
// is known of the process and the recovery.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	now := c.server.look(false)
	c.tell(processMetrics, now, to)
	if now.phase != ready {
		return
	}
	c.tell(cacheMetrics, now, to)
	if now.hasFlash() {
		c.tell(flashMetrics, now, to)
		to <- c.readLatency(&now.stats.Flash.ReadLatency)
	}
}

func (c *collector) tell(table []metric, now *snapshot, to chan<- prometheus.Metric) {
	for i := range table {
		m := &table[i]
		m.read(now, func(value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(c.descs[m.name], m.kind, value, labels...)
		})
	}
}

// Of the buckets that the latencies are counted in, a scrape has those that end at
// a power of two, up to mostLatency.
const (
	bucketStep  = 4
	mostLatency = 20 * time.Second
)

func (c *collector) readLatency(l *flashtier.Latency) prometheus.Metric {
	upTo, sum := map[float64]uint64{}, uint64(0)
	for i, n := range l.Counts {
		sum += n
		if bound := flashtier.LatencyBound(i); (i+1)%bucketStep == 0 && bound <= mostLatency {
			upTo[bound.Seconds()] = sum
		}
	}
	return prometheus.MustNewConstHistogram(c.latency, sum, float64(l.Micros)/1e6, upTo)
}
