package soak

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hearthcache/hearth/tools/loadgen"
)

// short is a soak of little more than two seconds.
func short() Options {
	o := Defaults()
	o.For, o.WarmUp, o.FillRate = 1500*time.Millisecond, 200*time.Millisecond, 3000
	o.Work.Rate, o.Work.Clients, o.Work.Keys, o.Work.PID = 2000, 4, 500, os.Getpid()
	o.Work.ValueSize = loadgen.Span{Min: 20, Max: 2000}
	return o
}

func mustRun(t *testing.T, f *fake, o Options) *Report {
	t.Helper()
	r, err := Run(t.Context(), f.serve(t), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func verdict(t *testing.T, r *Report, name string) Verdict {
	t.Helper()
	for _, v := range r.Verdicts {
		if strings.Contains(v.Name, name) {
			return v
		}
	}
	t.Fatalf("no verdict on %q in %+v", name, r.Verdicts)
	return Verdict{}
}

func TestSoak(t *testing.T) {
	t.Parallel()
	o := short()
	reclaims := func(n int) map[string]int {
		return map[string]int{"extstore_page_reclaims": n, "get_hits": n, "get_misses": n / 3}
	}
	r := mustRun(t, &fake{stats: reclaims}, o)
	if v := verdict(t, r, "wrong"); !v.OK {
		t.Error(v)
	}
	if v := verdict(t, r, "flash was full"); !v.OK {
		t.Error(v)
	}
	if r.Result.Deleted == 0 || r.Result.Touched == 0 || r.Result.Keys < 2500 {
		t.Errorf("too little was done: %+v", r.Result)
	}
	var out bytes.Buffer
	if err := r.Print(&out); err != nil || !strings.Contains(out.String(), "process_rss_bytes") {
		t.Errorf("%v: %s", err, &out)
	}
	dir := filepath.Join(t.TempDir(), "out")
	for _, extension := range []string{"svg", "png"} {
		if err := r.WriteFiles(dir, extension); err != nil {
			t.Fatal(err)
		}
	}
	checkFiles(t, dir, len(r.Samples))
	if err := r.WriteFiles(dir, "gif"); err == nil {
		t.Error("graphs as gif")
	}
}

// checkFiles looks into what WriteFiles has written.
func checkFiles(t *testing.T, dir string, samples int) {
	t.Helper()
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	var report struct{ Verdicts []Verdict }
	if err := json.Unmarshal(read("report.json"), &report); err != nil || len(report.Verdicts) < 4 {
		t.Error(report, err)
	}
	rows, err := csv.NewReader(bytes.NewReader(read("samples.csv"))).ReadAll()
	if err != nil || len(rows) != samples+1 || !strings.Contains(strings.Join(rows[0], " "), "stat_requests") {
		t.Errorf("%d rows of %d samples, %v: %q", len(rows), samples, err, rows[0])
	}
	if _, err := os.Stat(filepath.Join(dir, "go-heap.svg")); err == nil {
		t.Error("a graph of what the server did not tell")
	}
	for _, g := range graphs {
		if g.name != "memory" && g.name != "hit-ratio" && !strings.HasPrefix(g.name, "latency") {
			continue
		}
		picture, err := png.Decode(bytes.NewReader(read(g.name + ".png")))
		if err != nil || picture.Bounds().Dx() != 900 {
			t.Errorf("%s: %v", g.name, err)
		}
		if svg := string(read(g.name + ".svg")); !strings.Contains(svg, "</svg>") || !strings.Contains(svg, g.title) {
			t.Errorf("%s.svg: %.200s", g.name, svg)
		}
	}
}

func TestWrongValueFails(t *testing.T) {
	t.Parallel()
	r := mustRun(t, &fake{spoil: func(n int, value []byte) {
		if n == 2000 || n > 2000 && n%50 == 0 {
			value[len(value)-3]++
		}
	}}, short())
	if v := verdict(t, r, "wrong"); v.OK || !r.Failed() {
		t.Error(v)
	}
}

func TestStallIsReported(t *testing.T) {
	t.Parallel()
	var began time.Time
	var stalled time.Duration
	f := &fake{}
	f.request = func(n int) {
		switch {
		case n == 1:
			began = time.Now()
		case stalled == 0 && n > 2000:
			stalled = time.Since(began)
			time.Sleep(200 * time.Millisecond)
		}
	}
	r := mustRun(t, f, short())
	for _, s := range r.Stalls {
		if s.From < stalled+time.Second && s.To > stalled-time.Second && s.Worst >= 150*time.Millisecond && s.Requests > 10 {
			return
		}
	}
	t.Errorf("no stall at %v in %+v", stalled, r.Stalls)
}

func TestKeysByRoom(t *testing.T) {
	t.Parallel()
	o := short()
	o.Work.Keys, o.Work.ValueSize, o.Over = 0, loadgen.Span{Min: 1000, Max: 1000}, 2
	o.For, o.WarmUp = 50*time.Millisecond, time.Millisecond
	if r := mustRun(t, &fake{}, o); r.Keys < 1990 || r.Keys > 2010 {
		t.Errorf("%d keys of 1000 bytes are twice a megabyte", r.Keys)
	}
}

func TestBadOptions(t *testing.T) {
	for text, change := range map[string]func(*Options){
		"leaves nothing": func(o *Options) { o.WarmUp = o.For },
		"rate":           func(o *Options) { o.Work.Rate = 0 },
	} {
		o := short()
		change(&o)
		if _, err := Run(t.Context(), "127.0.0.1:1", o); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, want an error about %s", err, text)
		}
	}
}
