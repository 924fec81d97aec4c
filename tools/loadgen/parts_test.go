package loadgen

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hearthcache/hearth/tools/seeded"
)

func TestSpan(t *testing.T) {
	rows := map[string]Span{"0": {0, 0}, "100": {100, 100}, "1k": {1024, 1024}, "100-900K": {100, 900 << 10}, "1-128m": {1, 128 << 20}}
	for text, wanted := range rows {
		if got, err := ParseSpan(text); err != nil || got != wanted {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", "-1", "5-", "9-5", "1g", "4096m", "1-2-3"} {
		if got, err := ParseSpan(text); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}

func TestSpanIsLogUniform(t *testing.T) {
	s, r := Span{100, 100 << 10}, seeded.NewRand(3)
	var doublings [10]int
	for range 100_000 {
		n := s.at(r.Next())
		if n < s.Min || n > s.Max {
			t.Fatalf("size %d is outside %v", n, s)
		}
		doublings[min(9, int(math.Log2(float64(n)/100)))]++
	}
	for i, n := range doublings {
		if n < 9_000 || n > 11_000 {
			t.Errorf("%d of 100000 sizes in doubling %d, want a tenth", n, i)
		}
	}
}

func TestParseDist(t *testing.T) {
	for _, text := range []string{"uniform", "zipf:0.99", "zipf:1", "sequential", "shuffle"} {
		if d, err := ParseDist(text); err != nil || d.String() != text {
			t.Errorf("%q: %v, %v", text, d, err)
		}
	}
	for _, text := range []string{"", "zipf", "zipf:", "zipf:0", "zipf:-1", "zipf:x", "zipf:NaN", "uniform:1", "Uniform"} {
		if d, err := ParseDist(text); err == nil {
			t.Errorf("%q: %v, want an error", text, d)
		}
	}
}

func TestKeysAreDistinctAndSized(t *testing.T) {
	for _, size := range []Span{{5, 5}, {16, 16}, {250, 250}, {5, 250}} {
		ks, seen := keyspace{keys: size}, map[string]bool{}
		for n := range uint64(10_000) {
			key := string(ks.appendKey([]byte("x"), n)[1:])
			if len(key) < size.Min || len(key) > size.Max || seen[key] || strings.ContainsAny(key, " \r\n\x00") {
				t.Fatalf("size %v: key %q", size, key)
			}
			seen[key] = true
		}
	}
}

func TestWorkIsValidated(t *testing.T) {
	rows := map[string]Work{
		"key size":   {Keys: 1000, KeySize: Span{3, 10}},
		"at most":    {KeySize: Span{16, 251}},
		"ratios":     {SetRatio: 0.8, TouchRatio: 0.3},
		"seconds":    {ExpireShare: 0.5},
		"depth":      {ExpireShare: 0.5, ExpireTTL: Span{1, 2}, Depth: 2},
		"rate":       {Rate: -1},
		"at least 1": {Clients: -1},
		"mixed run":  {Kind: Mixed, Keys: 10},
	}
	for text, w := range rows {
		if _, err := w.withDefaults(); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: %v, want an error about %s", w, err, text)
		}
	}
	if w, err := (Work{Kind: Load}).withDefaults(); err != nil || w.Requests != w.Keys || w.Dist != Sequential {
		t.Errorf("load by default: %+v, %v", w, err)
	}
	if w, err := (Work{Kind: Read}).withDefaults(); err != nil || w.Duration != 10*time.Second || w.Version != 0 {
		t.Errorf("read by default: %+v, %v", w, err)
	}
}

// exchange is a sender and a receiver without a socket.
func exchange(w Work) (*sender, *receiver, ring) {
	w, err := w.withDefaults()
	if err != nil {
		panic(err)
	}
	ks := new(keyspace)
	*ks = newKeyspace(&w)
	rc := &receiver{keys: ks, versions: newVersions(&w), counts: newCounts(nil)}
	return &sender{keys: ks}, rc, newRing(w.Depth, w.Multiget)
}

// Replies cut anywhere give the same counts.
func TestRepliesCutAnywhere(t *testing.T) {
	w := Work{Kind: Read, Keys: 100, KeySize: Span{4, 4}, ValueSize: Span{0, 40}, Depth: 2, Multiget: 3, Version: 1}
	reply := replyTo(w, []uint64{1, 2, 3}, 3) + replyTo(w, []uint64{5, 7}, 0)
	for cut := range len(reply) {
		s, rc, r := exchange(w)
		for _, keys := range [][]uint64{{1, 2, 3}, {4, 5, 7}} {
			o := r.push()
			for _, k := range keys {
				o.asks = append(o.asks, ask{key: k, version: 1})
			}
		}
		if got := string(s.build(make([]byte, 0, 1000), &r)); got != "get k001 k002 k003\r\nget k004 k005 k007\r\n" {
			t.Fatalf("sent %q", got)
		}
		used, err := rc.consume([]byte(reply[:cut]), &r, false, 1)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		more, err := rc.consume([]byte(reply[used:]), &r, false, 2)
		if err != nil || used+more != len(reply) || r.head != 2 {
			t.Fatalf("cut at %d: %d+%d of %d bytes used, %v", cut, used, more, len(reply), err)
		}
		if c := rc.counts; c.hits != 4 || c.misses != 2 || c.wrong+c.stale != 0 || c.keys != 6 {
			t.Fatalf("cut at %d: %d hits, %d misses, %v", cut, c.hits, c.misses, c.examples)
		}
	}
}

// replyTo is a right reply to a get, but for one key that is left out.
func replyTo(w Work, keys []uint64, missing uint64) string {
	ks := keyspace{keys: w.KeySize, values: w.ValueSize}
	var b strings.Builder
	for _, k := range keys {
		if k == missing {
			continue
		}
		value := make([]byte, ks.valueSize(k))
		s := seeded.NewStream(k, 1, len(value))
		s.Fill(value, 0)
		fmt.Fprintf(&b, "VALUE %s %d %d\r\n%s\r\n", ks.appendKey(nil, k), keyFlags(k), len(value), value)
	}
	return b.String() + "END\r\n"
}

func TestNoAllocationPerRequest(t *testing.T) {
	w := Work{Kind: Read, Keys: 1000, ValueSize: Span{100, 2000}, Depth: 4, Multiget: 2, Version: 1}
	s, rc, r := exchange(w)
	w, _ = w.withDefaults()
	choose := newChooser(&run{work: w, supply: &supply{}, version: rc.versions}, 0)
	reply := []byte(replyTo(w, []uint64{1, 2}, 0))
	out := make([]byte, 0, outBytes+outSlack)
	allocs := testing.AllocsPerRun(1000, func() {
		for range w.Depth {
			o := r.push()
			choose.fill(o, 0)
			o.asks[0].key, o.asks[1].key = 1, 2
			s.build(out, &r)
			if n, err := rc.consume(reply, &r, false, 5); n != len(reply) || err != nil {
				t.Fatal(n, err)
			}
		}
	})
	if allocs != 0 {
		t.Errorf("%.1f allocations a batch, want 0", allocs)
	}
}

func TestUsageOfThisProcess(t *testing.T) {
	before, err := ReadUsage(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for end := ownCPU() + 60*time.Millisecond; ownCPU() < end; {
	}
	after, err := ReadUsage(os.Getpid())
	if err != nil || after.CPU-before.CPU < 20*time.Millisecond || after.RSS < 1<<20 || after.PeakRSS < after.RSS/2 || after.Threads < 2 {
		t.Errorf("before %+v, after %+v, %v", before, after, err)
	}
	if _, err := ReadUsage(1 << 30); err == nil {
		t.Error("no error for a process that does not exist")
	}
}

func TestParseCPUWithAnOddName(t *testing.T) {
	cpu, err := parseCPU([]byte("7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20"))
	if err != nil || cpu != 1750*time.Millisecond {
		t.Errorf("%v, %v", cpu, err)
	}
}
