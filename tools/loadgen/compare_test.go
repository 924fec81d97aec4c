package loadgen

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// fakeCommand starts this test binary as a fake server.
func fakeCommand(t *testing.T, kind string) string {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	return "env FAKE_SERVER={port}," + kind + " " + os.Args[0] + " {flags}"
}

// ended fails the test unless nothing listens at addr and no directory is left.
func ended(t *testing.T, addrs ...string) {
	t.Helper()
	for _, addr := range addrs {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			t.Errorf("a server still listens at %s", addr)
		}
	}
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), "hearth-bench-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestServerStartsAndStops(t *testing.T) {
	s, err := StartServer(t.Context(), fakeCommand(t, ""), "-x {dir}")
	if err != nil {
		t.Fatal(err)
	}
	line, err := os.ReadFile("/proc/" + pidText(s) + "/cmdline")
	if err != nil || !bytes.Contains(line, []byte("-x\x00"+s.dir)) {
		t.Errorf("the process is not the server, or {flags} is not in its arguments: %q, %v", line, err)
	}
	s.Stop()
	ended(t, s.Addr)
}

func pidText(s *Server) string { return strconv.Itoa(s.PID) }

func TestServerThatFailsToStartSaysWhy(t *testing.T) {
	fakeCommand(t, "")
	_, err := StartServer(t.Context(), "sh -c 'echo no such flag {port} >&2; exit 3'", "")
	if !errors.Is(err, errServerEnded) || !strings.Contains(err.Error(), "no such flag") {
		t.Errorf("error %v", err)
	}
	ended(t)
}

func TestServerThatNeverAnswersIsStopped(t *testing.T) {
	fakeCommand(t, "")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := StartServer(ctx, "sleep 1000", ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	ended(t)
}

func TestServerThatRunsAlready(t *testing.T) {
	_, addr := startFake(t, faults{})
	s, err := StartServer(t.Context(), addr, "")
	if err != nil || s.Addr != addr || s.PID != 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	s.Stop()
	mustRun(t, addr, small(Load))
}

func TestCompareCountsLostKeysAndAlternates(t *testing.T) {
	for _, fresh := range []bool{false, true} {
		sides := [2]Side{{"honest", fakeCommand(t, "")}, {"lossy", fakeCommand(t, "lossy")}}
		var order []int
		c := Case{Name: "loss", Work: small(Load), ReadBack: true, Fresh: fresh}
		got, err := Compare(t.Context(), sides, c, 3, nil, func(side, _ int, _ Round) { order = append(order, side) })
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if a, b := got.Rounds[0][i].Lost, got.Rounds[1][i].Lost; a != 0 || b != 100 {
				t.Errorf("fresh %v, round %d: lost %d and %d, want 0 and 100", fresh, i, a, b)
			}
		}
		if [6]int(order) != [6]int{0, 1, 1, 0, 0, 1} {
			t.Errorf("order %v", order)
		}
		var table bytes.Buffer
		if err := PrintTable(&table, []*Comparison{got}); err != nil || strings.Count(table.String(), "\n") != 5 || got.Bad() {
			t.Errorf("table %v, bad %v\n%s", err, got.Bad(), &table)
		}
		ended(t)
	}
}

func TestComparePreparesOnce(t *testing.T) {
	cmd := fakeCommand(t, "")
	load := small(Load)
	c := Case{Name: "read", Prepare: &load, Work: readOnce(load)}
	got, err := Compare(t.Context(), [2]Side{{"a", cmd}, {"b", cmd}}, c, 2, nil, func(int, int, Round) {})
	if err != nil {
		t.Fatal(err)
	}
	for side := range got.Rounds {
		for _, r := range got.Rounds[side] {
			want(t, r.Result, 0, 1000, 0, 0, 0, 0)
			if r.server().RSS == 0 {
				t.Error("the server's memory is unknown")
			}
		}
	}
}

func TestCompareCleansUpWhenCancelled(t *testing.T) {
	cmd := fakeCommand(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	work := small(Load)
	work.Requests = 1 << 60
	_, err := Compare(ctx, [2]Side{{"a", cmd}, {"b", cmd}}, Case{Name: "endless", Work: work}, 1,
		func(Snapshot) { cancel() }, func(int, int, Round) {})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	ended(t)
}

func TestSuiteKnowsItsCases(t *testing.T) {
	_, err := RunSuite(t.Context(), [2]Side{}, []string{"ram-d2"}, 1, nil, nil)
	if !errors.Is(err, ErrNoCase) {
		t.Errorf("error %v", err)
	}
	for _, s := range suite() {
		for _, c := range s.cases {
			if _, err := c.Work.withDefaults(); err != nil {
				t.Errorf("%s: %v", c.Name, err)
			}
		}
	}
}

func TestMedianAndRatio(t *testing.T) {
	rate := func(rates ...float64) (rounds []Round) {
		for _, r := range rates {
			rounds = append(rounds, Round{Result: &Result{KeysRate: r}})
		}
		return rounds
	}
	c := Comparison{Rounds: [2][]Round{rate(10, 40, 30), rate(10, 20, 10)}}
	if got := c.ratio(figures[0]); got != "**2.00** (1.00-3.00)" {
		t.Errorf("ratio %s", got)
	}
	if m := median([]float64{4, 1, 2, 3}); m != 2.5 {
		t.Errorf("median %g", m)
	}
}

func TestPrinterLines(t *testing.T) {
	var out bytes.Buffer
	p := &printer{out: &out, end: "\n", every: 2}
	p.print(Snapshot{Kind: Load, Elapsed: time.Second, Keys: 100, Limit: 1000})
	p.print(Snapshot{Kind: Load, Elapsed: 2 * time.Second, Keys: 300, Limit: 1000, Misses: 1, Bad: 2, Refused: 3})
	if got := out.String(); got != "load   2s: 300 of 1000 (30 %) keys, 150/s, 1 missed, 2 wrong, 3 refused\n" {
		t.Errorf("printed %q", got)
	}
}
