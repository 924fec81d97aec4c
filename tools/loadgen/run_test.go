package loadgen

import (
	"context"
	"errors"
	"io"
	"maps"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// mustRun does the work and wants no error.
func mustRun(t *testing.T, addr string, w Work) *Result {
	t.Helper()
	r, err := Run(t.Context(), addr, w)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// want compares the counts that every test looks at.
func want(t *testing.T, r *Result, stored, hits, misses, wrong, stale, refused uint64) {
	t.Helper()
	got := [...]uint64{r.Stored, r.Hits, r.Misses, r.Wrong, r.Stale, r.Refused}
	if got != [...]uint64{stored, hits, misses, wrong, stale, refused} {
		t.Errorf("stored, hits, misses, wrong, stale, refused %v, want %v", got,
			[...]uint64{stored, hits, misses, wrong, stale, refused})
		for _, e := range r.Examples {
			t.Log(e)
		}
	}
}

func small(kind Kind) Work {
	return Work{
		Kind: kind, Keys: 1000, ValueSize: Span{0, 3000}, KeySize: Span{5, 40},
		Clients: 7, Workers: 2, Depth: 3, Timeout: 10 * time.Second,
	}
}

func readOnce(w Work) Work {
	w.Kind, w.Dist = Read, Shuffle
	return w
}

func TestLoadAndRead(t *testing.T) {
	for name, f := range map[string]faults{"plain": {}, "split replies": {write: inPieces}} {
		t.Run(name, func(t *testing.T) {
			s, addr := startFake(t, f)
			loaded := mustRun(t, addr, small(Load))
			want(t, loaded, 1000, 0, 0, 0, 0, 0)
			w := readOnce(small(Read))
			w.Requests, w.Multiget, w.Version = 2000, 4, loaded.Version
			want(t, mustRun(t, addr, w), 0, 2000, 0, 0, 0, 0)
			s.mu.Lock()
			defer s.mu.Unlock()
			for key, n := range s.gets {
				if n != 2 {
					t.Errorf("key %s was asked for %d times in two passes", key, n)
				}
			}
			if len(s.gets) != 1000 {
				t.Errorf("%d keys were asked for, want 1000", len(s.gets))
			}
		})
	}
}

// inPieces sends a reply in many small segments.
func inPieces(w io.Writer, reply []byte) error {
	for len(reply) > 0 {
		n := min(len(reply), 1+len(reply)%13)
		if _, err := w.Write(reply[:n]); err != nil {
			return err
		}
		reply = reply[n:]
	}
	return nil
}

func TestSequentialStartsAgain(t *testing.T) {
	_, addr := startFake(t, faults{})
	w := small(Load)
	w.Requests = 2500
	want(t, mustRun(t, addr, w), 2500, 0, 0, 0, 0, 0)
}

func TestUnixSocket(t *testing.T) {
	_, addr := startFakeAt(t, faults{}, "unix", filepath.Join(t.TempDir(), "s"))
	mustRun(t, addr, small(Load))
	want(t, mustRun(t, addr, readOnce(small(Read))), 0, 1000, 0, 0, 0, 0)
}

func TestWrongBytesAreFound(t *testing.T) {
	rows := map[string]func(value []byte) []byte{
		"first byte": func(v []byte) []byte { v[0] ^= 1; return v },
		"last byte":  func(v []byte) []byte { v[len(v)-1] ^= 0x80; return v },
		"middle":     func(v []byte) []byte { v[len(v)/2]++; return v },
		"short":      func(v []byte) []byte { return v[:len(v)-1] },
		"long":       func(v []byte) []byte { return append(v, 0) },
		"zeroes":     func(v []byte) []byte { clear(v[len(v)/2:]); return v },
	}
	for name, spoil := range rows {
		t.Run(name, func(t *testing.T) {
			bad := atomic.Int64{}
			_, addr := startFake(t, faults{value: func(key string, v []byte) []byte {
				if strings.HasSuffix(key, "3") {
					bad.Add(1)
					return spoil(v)
				}
				return v
			}})
			w := small(Load)
			w.ValueSize = Span{20, 200}
			want(t, mustRun(t, addr, w), 1000, 0, 0, 0, 0, 0)
			r := mustRun(t, addr, readOnce(w))
			want(t, r, 0, 900, 0, 100, 0, 0)
			if bad.Load() != 100 || !r.Bad() || len(r.Examples) == 0 || !strings.Contains(r.Examples[0], "3: ") {
				t.Errorf("%d planted, bad %v, examples %q", bad.Load(), r.Bad(), r.Examples)
			}
		})
	}
}

func TestSwappedValuesAreFound(t *testing.T) {
	var other []byte
	_, addr := startFake(t, faults{value: func(key string, v []byte) []byte {
		v, other = other, v
		return v
	}})
	w := small(Load)
	w.ValueSize = Span{64, 64}
	mustRun(t, addr, w)
	want(t, mustRun(t, addr, readOnce(w)), 0, 0, 1, 999, 0, 0)
}

func TestWrongFlagsAreFound(t *testing.T) {
	_, addr := startFake(t, faults{flags: func(key, flags string) string {
		if strings.HasSuffix(key, "3") {
			return "1" + flags
		}
		return flags
	}})
	mustRun(t, addr, small(Load))
	want(t, mustRun(t, addr, readOnce(small(Read))), 0, 900, 0, 100, 0, 0)
}

func TestMissesAreCounted(t *testing.T) {
	for _, multiget := range []int{1, 10} {
		_, addr := startFake(t, faults{value: func(key string, v []byte) []byte {
			if strings.ContainsAny(key[len(key)-1:], "079") {
				return nil
			}
			return v
		}})
		w := small(Load)
		w.ValueSize = Span{1, 100}
		mustRun(t, addr, w)
		w = readOnce(w)
		w.Multiget = multiget
		want(t, mustRun(t, addr, w), 0, 700, 300, 0, 0, 0)
	}
}

func TestOldVersionIsStale(t *testing.T) {
	_, addr := startFake(t, faults{})
	w := small(Load)
	w.Version, w.ValueSize = 5, Span{8, 100}
	mustRun(t, addr, w)
	w = readOnce(w)
	w.Version = 5
	want(t, mustRun(t, addr, w), 0, 1000, 0, 0, 0, 0)
	w.Version = 6
	want(t, mustRun(t, addr, w), 0, 0, 0, 0, 1000, 0)
}

func TestMixedFindsForgottenSets(t *testing.T) {
	sets := atomic.Int64{}
	for name, forget := range map[string]bool{"honest": false, "forgetful": true} {
		t.Run(name, func(t *testing.T) {
			_, addr := startFake(t, faults{store: func(key string) bool {
				return forget && sets.Add(1)%50 == 0
			}})
			w := small(Mixed)
			w.Keys, w.ValueSize, w.SetRatio, w.Requests = 50, Span{8, 300}, 0.5, 20_000
			r := mustRun(t, addr, w)
			if (r.Stale > 0) != forget || r.Wrong > 0 {
				t.Errorf("%d stale, %d wrong: %q", r.Stale, r.Wrong, r.Examples)
			}
			if r.Keys != 20_000 || r.Stored+r.Hits+r.Misses+r.Stale != 20_000 {
				t.Errorf("counts do not add up: %+v", r)
			}
			if share := float64(r.Stored) / 20_000; share < 0.45 || share > 0.55 {
				t.Errorf("share of sets %.3f, want 0.5", share)
			}
		})
	}
}

func TestMixedOverOlderRun(t *testing.T) {
	_, addr := startFake(t, faults{})
	w := small(Mixed)
	w.Requests, w.ValueSize = 5000, Span{8, 50}
	for range 2 {
		if r := mustRun(t, addr, w); r.Bad() {
			t.Errorf("bad without a fault: %q", r.Examples)
		}
	}
}

// TestLedger takes a server's values back to an earlier state between the runs:
// what is older than what was answered is stale, what is missing is only that.
func TestLedger(t *testing.T) {
	s, addr := startFake(t, faults{})
	l := NewLedger(1000)
	w := small(Load)
	w.ValueSize, w.Ledger = Span{8, 300}, l
	mustRun(t, addr, w)
	loaded := maps.Clone(s.values)
	w.Kind, w.SetRatio, w.HasDist, w.Requests = Mixed, 0.9, true, 300
	if r := mustRun(t, addr, w); r.Bad() {
		t.Fatalf("%q", r.Examples)
	}
	w.Requests = 0
	r := mustRun(t, addr, readOnce(w))
	want(t, r, 0, 1000, 0, 0, 0, 0)
	changed := uint64(0)
	for key := range uint64(1000) {
		version, sure := l.Answered(key)
		if version != l.Found(key) || !sure {
			t.Fatalf("key %d: %d was answered, sure %t, and %d came back", key, version, sure, l.Found(key))
		}
		if version > l.versions.least {
			changed++
		}
	}
	if changed < 100 || changed > 300 {
		t.Errorf("%d of 1000 keys were changed", changed)
	}
	s.mu.Lock()
	s.values = loaded
	s.mu.Unlock()
	l.ForgetFound()
	want(t, mustRun(t, addr, readOnce(w)), 0, 1000-changed, 0, 0, changed, 0)
	s.mu.Lock()
	clear(s.values)
	s.mu.Unlock()
	want(t, mustRun(t, addr, readOnce(w)), 0, 0, 1000, 0, 0, 0)

	key := uint64(7)
	l.versions.issue(key)
	if _, sure := l.Answered(key); sure {
		t.Error("sure of a set that was not answered")
	}
	w.Keys = 999
	if _, err := Run(t.Context(), addr, w); err == nil {
		t.Error("a ledger of other keys is taken")
	}
}

func TestKeyNumber(t *testing.T) {
	k := keyspace{keys: Span{5, 40}}
	for _, number := range []uint64{0, 1, 77, 9999} {
		if n, ok := KeyNumber(k.appendKey(nil, number)); !ok || n != number {
			t.Errorf("%d comes back as %d, %t", number, n, ok)
		}
	}
	for _, text := range []string{"", "k", "x12", "k1x", "k-1"} {
		if n, ok := KeyNumber([]byte(text)); ok {
			t.Errorf("%q is taken for %d", text, n)
		}
	}
}

func TestRefusedSetsAreCountedByText(t *testing.T) {
	const text = "SERVER_ERROR object too large for cache"
	_, addr := startFake(t, faults{refuse: func(key string, size int) string {
		if size > 2000 {
			return text
		}
		return ""
	}})
	w := small(Load)
	r := mustRun(t, addr, w)
	if r.Refused == 0 || r.Refusals[text] != r.Refused || r.Stored+r.Refused != 1000 {
		t.Errorf("%d refused, %v, %d stored", r.Refused, r.Refusals, r.Stored)
	}
	want(t, mustRun(t, addr, readOnce(w)), 0, r.Stored, r.Refused, 0, 0, 0)
}

// A server may answer before it has read the value.
func TestRefusedBeforeTheValueIsSent(t *testing.T) {
	_, addr := startFake(t, faults{refuse: func(string, int) string { return "SERVER_ERROR no" }})
	for _, rate := range []float64{0, 1e6} {
		w := Work{Kind: Load, Keys: 12, ValueSize: Span{6 << 20, 12 << 20}, Clients: 2, Depth: 2, Rate: rate}
		want(t, mustRun(t, addr, w), 0, 0, 0, 0, 0, 12)
	}
}

func TestLargeValues(t *testing.T) {
	_, addr := startFake(t, faults{})
	w := Work{Kind: Load, Keys: 6, ValueSize: Span{5<<20 + 3, 5<<20 + 3}, Clients: 2, Depth: 2}
	want(t, mustRun(t, addr, w), 6, 0, 0, 0, 0, 0)
	w = readOnce(w)
	w.Multiget = 3
	want(t, mustRun(t, addr, w), 0, 6, 0, 0, 0, 0)
}

// stallOnce holds every connection up for 100 ms, once.
func stallOnce(n int) {
	if n == 1400 {
		time.Sleep(100 * time.Millisecond)
	}
}

// A pause must be seen by every request that was due in it, not only by those
// that happened to be on their way.
func TestOpenLoopSeesAPauseInFull(t *testing.T) {
	_, addr := startFake(t, faults{request: stallOnce})
	w := Work{Keys: 1000, Clients: 4, Rate: 2000, Requests: 2000, Kind: Load}
	mustRun(t, addr, Work{Kind: Load, Keys: 1000})
	w.Kind = Read
	r := mustRun(t, addr, w)
	want(t, r, 0, 2000, 0, 0, 0, 0)
	if r.Seconds < 0.9 {
		t.Errorf("2000 requests at 2000/s took %.2f s", r.Seconds)
	}
	// 200 requests were due in the pause and waited 50 ms on average.
	if r.Gets.P99 < 75_000 || r.Gets.Mean < 4_000 {
		t.Errorf("p99 %.0f us, mean %.0f us: the pause of 100 ms is missing", r.Gets.P99, r.Gets.Mean)
	}
}

func TestOpenLoopSendsAllThatWasDue(t *testing.T) {
	_, addr := startFake(t, faults{request: func(int) { time.Sleep(time.Millisecond) }})
	w := Work{Kind: Load, Keys: 1000, Clients: 2, Rate: 2000, Duration: 200 * time.Millisecond}
	r := mustRun(t, addr, w)
	if r.Keys < 380 || r.Keys > 401 {
		t.Errorf("%d requests in 200 ms at 2000/s, want 400", r.Keys)
	}
}

func TestProtocolErrorsEndTheRun(t *testing.T) {
	rows := []struct {
		name  string
		reply string // to get k0
		want  error
	}{
		{"error", "ERROR\r\n", errUnexpected},
		{"client error", "CLIENT_ERROR bad command line format\r\n", errUnexpected},
		{"stored", "STORED\r\n", errUnexpected},
		{"bare newline", "END\n", errBareNewline},
		{"other key", "VALUE k1 0 0\r\n\r\nEND\r\n", errUnexpected},
		{"two spaces", "VALUE k0  0 0\r\n\r\nEND\r\n", errUnexpected},
		{"cas not asked for", "VALUE k0 0 0 7\r\n\r\nEND\r\n", errUnexpected},
		{"negative size", "VALUE k0 0 -1\r\n\r\nEND\r\n", errUnexpected},
		{"value too long", "VALUE k0 0 1\r\nxxx\r\nEND\r\n", errValueEnd},
		{"twice", "END\r\nEND\r\n", errUnasked},
		{"endless line", strings.Repeat("x", 5000), errLongLine},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			_, addr := startFake(t, faults{reply: func(string, []byte) []byte { return []byte(row.reply) }})
			w := Work{Kind: Read, Keys: 1, KeySize: Span{2, 2}, Clients: 1, Requests: 1, Timeout: 5 * time.Second}
			if row.want == errUnasked {
				w.Requests = 1000
			}
			if _, err := Run(t.Context(), addr, w); !errors.Is(err, row.want) {
				t.Errorf("error %v, want %v", err, row.want)
			}
		})
	}
}

func TestClosedConnectionEndsTheRun(t *testing.T) {
	_, addr := startFake(t, faults{write: func(w io.Writer, _ []byte) error { return io.EOF }})
	if _, err := Run(t.Context(), addr, small(Load)); !errors.Is(err, errClosed) {
		t.Errorf("error %v, want %v", err, errClosed)
	}
}

func TestSilentServerTimesOut(t *testing.T) {
	_, addr := startFake(t, faults{write: func(io.Writer, []byte) error { return nil }})
	w := small(Load)
	w.Timeout = 100 * time.Millisecond
	if _, err := Run(t.Context(), addr, w); err == nil || !strings.Contains(err.Error(), "no reply for 100ms") {
		t.Errorf("error %v", err)
	}
}

func TestContextEndsARun(t *testing.T) {
	_, addr := startFake(t, faults{})
	ctx, cancel := context.WithCancel(t.Context())
	w := small(Load)
	w.Requests = 1 << 60
	w.Progress = func(Snapshot) { cancel() }
	r, err := Run(ctx, addr, w)
	if !errors.Is(err, context.Canceled) || r == nil || r.Stored == 0 {
		t.Errorf("error %v, result %+v", err, r)
	}
}

func TestNoServer(t *testing.T) {
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), "127.0.0.1:"+port, Work{}); err == nil || !strings.Contains(err.Error(), "connect client 1 of 50") {
		t.Errorf("error %v", err)
	}
}
