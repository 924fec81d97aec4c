package web

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hearthcache/hearth"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the table of docs/observe.md")

const (
	manualPath    = "../../../docs/observe.md"
	manualMark    = "<!-- from here on written by: go test ./cmd/hearthd/web -run TestManual -rewrite -->\n\n"
	dashboardPath = "../../../docs/deploy/grafana-dashboard.json"
)

func allMetrics() []metric { return slices.Concat(processMetrics, cacheMetrics, flashMetrics) }

// scraped is a collector of a cache that is ready.
func scraped(t testing.TB, c *hearth.Cache) *collector {
	s := New(Options{Version: "1.2.3", Logger: slog.New(slog.DiscardHandler)})
	s.Ready(c, someConns)
	return newCollector(s)
}

func TestMetricsLint(t *testing.T) {
	problems, err := testutil.CollectAndLint(scraped(t, newCache(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestMetricsTold: all that is in the tables is told, under one name each, and
// what is counted is what happened.
func TestMetricsTold(t *testing.T) {
	c := newCache(t)
	c.Delete(context.Background(), "key1999")
	c.Delete(context.Background(), "none")
	c.Get(context.Background(), "none")
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(scraped(t, c))
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	text := map[string]string{}
	for _, f := range families {
		text[f.GetName()] = fmt.Sprint(f)
	}
	for _, m := range allMetrics() {
		if text[m.name] == "" {
			t.Errorf("%s is not told", m.name)
		}
	}
	if want := len(allMetrics()) + 1; len(families) != want {
		t.Errorf("%d metrics, not %d", len(families), want)
	}
	want := `
# HELP memcached_current_connections Open connections of clients.
# TYPE memcached_current_connections gauge
memcached_current_connections 3
# HELP memcached_extstore_bytes_limit Size of the flash tier.
# TYPE memcached_extstore_bytes_limit gauge
memcached_extstore_bytes_limit 8.388608e+06
# HELP memcached_limit_bytes Memory that the cache may use, -m.
# TYPE memcached_limit_bytes gauge
memcached_limit_bytes 1.6777216e+07
`
	if err := testutil.GatherAndCompare(r, strings.NewReader(want), "memcached_current_connections", "memcached_extstore_bytes_limit", "memcached_limit_bytes"); err != nil {
		t.Error(err)
	}
	for name, parts := range map[string][]string{
		"memcached_commands_total":               {`value:"delete"} label:{name:"status" value:"hit"} counter:{value:1}`, `value:"set"} label:{name:"status" value:"hit"} counter:{value:2000}`},
		"hearth_flash_read_duration_seconds":     {"upper_bound:8e-06", "upper_bound:16.777216"},
		"memcached_items_total":                  {"counter:{value:2000}"},
		"memcached_extstore_pages_evicted_total": {"counter:{"},
	} {
		for _, part := range parts {
			if !strings.Contains(strings.ReplaceAll(text[name], "  ", " "), part) {
				t.Errorf("%s has no %s: %s", name, part, text[name])
			}
		}
	}
}

// TestMemoryUse: the parts do not exceed the limit.
func TestMemoryUse(t *testing.T) {
	s := New(Options{Logger: slog.New(slog.DiscardHandler)})
	serves(t, s)
	now, sum := s.look(false), int64(0)
	for _, bytes := range memoryUse(now) {
		sum += bytes
	}
	if len(memoryUses) != len(memoryUse(now)) || sum > now.stats.Memory || sum < now.stats.Memory/4 {
		t.Errorf("%d of %d", sum, now.stats.Memory)
	}
}

// TestManual: docs/observe.md has the metrics that there are.
func TestManual(t *testing.T) {
	page, err := os.ReadFile(manualPath)
	if err != nil {
		t.Fatal(err)
	}
	intro, table, found := bytes.Cut(page, []byte(manualMark))
	if !found {
		t.Fatalf("%s lacks the line %q", manualPath, manualMark)
	}
	if *rewrite {
		if err := os.WriteFile(manualPath, append(append(intro, manualMark...), manual()...), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(table) != manual() {
		t.Errorf("%s differs from the metrics: run this test with -rewrite", manualPath)
	}
}

func manual() string {
	var b strings.Builder
	rows := func(table []metric) {
		for _, m := range table {
			kind := "counter"
			if m.kind == prometheus.GaugeValue {
				kind = "gauge"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.name, kind, strings.Join(m.labels, ", "), m.help)
		}
	}
	const head = "| metric | type | labels | what |\n|---|---|---|---|\n"
	b.WriteString("Always, also while the cache recovers:\n\n" + head)
	rows(processMetrics)
	b.WriteString("\nOnce it serves:\n\n" + head)
	rows(cacheMetrics)
	b.WriteString("\nWith a flash tier:\n\n" + head)
	rows(flashMetrics)
	fmt.Fprintf(&b, "| `%s` | histogram | | %s |\n", latencyName, latencyHelp)
	return b.String()
}

// TestDashboard: every metric that the dashboard asks for exists.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile(dashboardPath)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(text) {
		t.Fatal("not JSON")
	}
	known := []string{latencyName + "_bucket", latencyName + "_sum", latencyName + "_count"}
	for _, m := range allMetrics() {
		known = append(known, m.name)
	}
	asked := regexp.MustCompile(`\b(memcached|hearth)_[a-z_]+`).FindAllString(string(text), -1)
	if len(asked) < 20 {
		t.Errorf("only %d metrics are asked for", len(asked))
	}
	for _, name := range asked {
		if !slices.Contains(known, name) {
			t.Errorf("%s does not exist", name)
		}
	}
}

// BenchmarkScrape: what a scrape takes with 10 M items.
func BenchmarkScrape(b *testing.B) {
	c, err := hearth.Open("", hearth.Options{Memory: 2 << 30, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for i := range 10_000_000 {
		if err := c.Set(context.Background(), hearth.Item{Key: fmt.Sprintf("key%d", i), Value: []byte("value")}); err != nil {
			b.Fatal(err)
		}
	}
	s, url := newSite(b, Options{})
	s.Ready(c, someConns)
	b.ReportMetric(float64(c.Stats().Mem.IndexItems), "items")
	for b.Loop() {
		get(b, url+"/metrics")
	}
}
