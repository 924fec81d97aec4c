package trace

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"
)

// generate makes the first n requests of a workload.
func generate(t *testing.T, name string, s Scale) []Request {
	t.Helper()
	w, err := FindWorkload(name)
	if err != nil {
		t.Fatal(err)
	}
	g, err := NewGenerator(w, s)
	if err != nil {
		t.Fatal(err)
	}
	var all []Request
	for {
		var r Request
		if err := g.Next(&r); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
}

func digest(requests []Request) string {
	h := sha256.New()
	for _, r := range requests {
		fmt.Fprintln(h, r)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

// A digest that changes means that figures measured before can no longer be
// compared with new ones: say so in docs/performance.md.
func TestTracesAreTheSameForASeed(t *testing.T) {
	golden := map[string]string{
		"W1": "8662b420812c8bee", "W2": "8de7009aa0a5dae5", "W3": "bf88ab7624501a48", "W4": "beb503fc256f2b45", "W5": "2bb6be71b7dd8b85", "W6": "15388b060a50e1de", "W7": "8bfb15fab5144866", "W8": "48d1655b483c3dfd", "W9": "2f848f4a9228203f",
	}
	for _, name := range Workloads() {
		s := Scale{Keys: 2000, Requests: 5000}
		if got := digest(generate(t, name, s)); got != golden[name] {
			t.Errorf("%s: digest %s, want %s", name, got, golden[name])
		}
		s.Seed = 2
		if digest(generate(t, name, s)) == golden[name] {
			t.Errorf("%s: another seed gives the same trace", name)
		}
	}
}

// near tells whether got is within a share of want.
func near(got, want, share float64) bool { return math.Abs(got-want) <= share*want }

// The means are those of the published tables; the quantiles are what the
// generator is given, so that they are only to come out as they went in.
func TestSizesAreThePublished(t *testing.T) {
	rows := map[string]struct{ mean, within float64 }{
		"W1": {335, .10}, "W2": {92422, .05}, "W3": {33024, .10}, "W4": {273, .01}, "W5": {1030, .01},
		"W6": {20134, .01}, "W7": {414, .01}, "W8": {9213, .01}, "W9": {224, .01},
	}
	for name, want := range rows {
		w, _ := FindWorkload(name)
		var drawn []float64
		const n = 20_000
		for key := range uint64(n) {
			r := Request{Key: key}
			w.describe(&r)
			drawn = append(drawn, float64(r.ValueSize))
		}
		if got := w.values.mean(); !near(got, want.mean, want.within) {
			t.Errorf("%s: mean size %.0f, want %.0f", name, got, want.mean)
		}
		slices.Sort(drawn)
		for _, q := range w.values[:len(w.values)-1] {
			if got := drawn[int(q.share*n)]; !near(got, q.bytes, .1) && q.share < .99 {
				t.Errorf("%s: quantile %g is %.0f, want %.0f", name, q.share, got, q.bytes)
			}
		}
	}
}

func TestOperationsAndKeys(t *testing.T) {
	for _, name := range Workloads() {
		w, _ := FindWorkload(name)
		const n = 30_000
		counts := map[Op]float64{}
		for _, r := range generate(t, name, Scale{Keys: 20_000, Requests: n}) {
			counts[r.Op]++
			sized := slices.ContainsFunc(w.keys, func(k weight[span]) bool { return r.KeySize >= k.of.min && r.KeySize <= k.of.max })
			timed := w.ttls == nil && r.TTL == 0 || slices.ContainsFunc(w.ttls, func(x weight[uint32]) bool { return x.of == r.TTL })
			if !sized || !timed || r.Counter && w.counters == 0 || r.Op == Incr && !r.Counter {
				t.Fatalf("%s: request %+v", name, r)
			}
		}
		for _, o := range w.ops {
			if got := counts[o.of] / n; math.Abs(got-w.shareOf(o.of)) > .01 {
				t.Errorf("%s: %s is %.3f of requests, want %.3f", name, o.of, got, w.shareOf(o.of))
			}
		}
	}
}

func TestHottestKeysGetTheirShares(t *testing.T) {
	for _, name := range []string{"W1", "W2", "W3"} {
		w, _ := FindWorkload(name)
		const keys, n = 20_000, 200_000
		counts := make([]float64, keys)
		gets := 0.0
		for _, r := range generate(t, name, Scale{Keys: keys, Requests: n}) {
			if r.Op != LoneGet {
				counts[r.Key]++
				gets++
			}
		}
		if got := counts[0] / gets; !near(got, w.hottest, .15) {
			t.Errorf("%s: the hottest key gets %.4f, want %.4f", name, got, w.hottest)
		}
		for _, p := range w.shares[1:] { // the first would be two keys
			sum := 0.0
			for _, c := range counts[:int(p.keys*keys)] {
				sum += c
			}
			if !near(sum/gets, p.requests, .03) {
				t.Errorf("%s: the hottest %g get %.4f, want %.4f", name, p.keys, sum/gets, p.requests)
			}
		}
	}
}

// In the long run each request brings so many new keys, and so many of the keys
// are asked for once. A cluster's zipf tail adds some of both.
func TestNewKeysComeAsPublished(t *testing.T) {
	rows := map[string]struct{ compulsory, oneHit float64 }{
		"W5": {.7945, .8143}, "W6": {.2635, .1488}, "W9": {.2582, .0117},
	}
	for name, want := range rows {
		const keys, n = 1000, 50_000
		seen := map[uint64]int{}
		for _, r := range generate(t, name, Scale{Keys: keys, Requests: n}) {
			seen[r.Key]++
		}
		once := 0.0
		for _, times := range seen {
			if times == 1 {
				once++
			}
		}
		if got := float64(len(seen)) / n; !near(got, want.compulsory, .1) {
			t.Errorf("%s: %.4f new keys a request, want %.4f", name, got, want.compulsory)
		}
		if got := once / float64(len(seen)); got < want.oneHit*.95 {
			t.Errorf("%s: %.4f of the keys are asked for once, want %.4f at least", name, got, want.oneHit)
		}
	}
}

func TestSharesCoverAllKeys(t *testing.T) {
	for _, n := range []uint64{1, 2, 10, 1000} {
		w, _ := FindWorkload("W1")
		seen := map[uint64]bool{}
		for _, r := range generate(t, w.Name, Scale{Keys: n, Requests: 100 * n}) {
			if r.Op != LoneGet && r.Key >= n {
				t.Fatalf("%d keys: key %d", n, r.Key)
			}
			seen[r.Key] = true
		}
		if !seen[0] {
			t.Errorf("%d keys: the hottest was never asked for", n)
		}
	}
}

func TestBadScales(t *testing.T) {
	w, _ := FindWorkload("W1")
	for _, s := range []Scale{{Keys: 1 << 40}, {WorkingSet: -1}} {
		if _, err := NewGenerator(w, s); err == nil {
			t.Errorf("%+v: no error", s)
		}
	}
	if _, err := FindWorkload("W99"); err == nil {
		t.Error("W99: no error")
	}
}
