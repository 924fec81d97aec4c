package loadgen

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestMixedFindsForgottenDeletes(t *testing.T) {
	deletes := atomic.Int64{}
	for name, forget := range map[string]bool{"honest": false, "forgetful": true} {
		t.Run(name, func(t *testing.T) {
			_, addr := startFake(t, faults{remove: func(string) bool { return forget && deletes.Add(1)%50 == 0 }})
			w := small(Mixed)
			w.Keys, w.ValueSize, w.Requests = 50, Span{8, 300}, 20_000
			w.SetRatio, w.DeleteRatio, w.TouchRatio = 0.3, 0.2, 0.1
			r := mustRun(t, addr, w)
			if (r.Stale > 0) != forget || r.Wrong > 0 {
				t.Errorf("%d stale, %d wrong: %q", r.Stale, r.Wrong, r.Examples)
			}
			for what, n := range map[string]uint64{"sets": r.Stored, "deletes that found": r.Deleted, "touches that found": r.Touched} {
				if n < 500 {
					t.Errorf("%d %s", n, what)
				}
			}
		})
	}
}

// exchangeOne has a connection of w's do o, answered by reply at that time.
func exchangeOne(t *testing.T, s *sender, rc *receiver, r *ring, wantSent, reply string, at time.Duration) {
	t.Helper()
	if got := string(s.build(make([]byte, 0, outBytes+outSlack), r)); !strings.HasPrefix(got, wantSent) {
		t.Fatalf("sent %q, want %q", got, wantSent)
	}
	if n, err := rc.consume([]byte(reply), r, false, int64(at)); n != len(reply) || err != nil {
		t.Fatal(n, err)
	}
}

// TestExpiredIsStale: a value may come back until its time is over, as the last
// answer to a set or touch begins it, and a server's clock may be a little late.
func TestExpiredIsStale(t *testing.T) {
	w := Work{Kind: Mixed, Keys: 50, Clients: 50, KeySize: Span{3, 3}, ValueSize: Span{8, 8}, ExpireShare: 1, ExpireTTL: Span{60, 60}, Version: 1}
	s, rc, r := exchange(w)
	w, _ = w.withDefaults()
	e := newExpiry(&w)
	rc.expiry = e
	c := newChooser(&run{work: w, supply: &supply{}, version: rc.versions, expiry: e}, 0)
	change := func(v verb, sent, reply string, at time.Duration) {
		t.Helper()
		o := r.push()
		o.verb = v
		if !c.fillChange(o, 7) {
			t.Fatal("no request")
		}
		if o.asks[0].key%50 != 7 {
			t.Fatalf("client 7 changes key %d", o.asks[0].key)
		}
		if c.askGet(7, int64(time.Hour)).version != rc.versions.oldest(7) {
			t.Error("held to its time while the time may change")
		}
		exchangeOne(t, s, rc, &r, sent+" k07", reply+"\r\n", at)
	}
	held := func(at time.Duration, want bool) {
		t.Helper()
		if got := c.askGet(7, int64(at)).version > rc.versions.oldest(7); got != want {
			t.Errorf("a get at %v must not find the value: %t, want %t", at, got, want)
		}
	}
	held(time.Hour, false)
	change(set, "set", "STORED", 10*time.Second)
	held(10*time.Second+time.Minute+expirySlack, false)
	held(10*time.Second+time.Minute+expirySlack+1, true)
	change(touch, "touch", "TOUCHED", 30*time.Second)
	held(80*time.Second, false)
	held(94*time.Second, true)
	change(set, "set", "STORED", 100*time.Second)
	held(160*time.Second, false)
	change(remove, "delete", "DELETED", 101*time.Second)
	if got := c.askGet(7, int64(102*time.Second)).version; got != w.Version+3 {
		t.Errorf("after a set, a set and a delete, version %d may come, want %d", got, w.Version+3)
	}
}

func TestLatenciesByInterval(t *testing.T) {
	l := NewLatencies(50 * time.Millisecond)
	_, addr := startFake(t, faults{request: func(n int) {
		if n == 500 {
			time.Sleep(80 * time.Millisecond)
		}
	}})
	w := small(Mixed)
	w.Depth, w.Requests, w.SetRatio, w.Latencies = 1, 1000, 0.5, l
	r := mustRun(t, addr, w)
	got := l.Take()
	if got.Gets != r.Gets || got.Changes != r.Sets {
		t.Errorf("heard %+v %+v, the run says %+v %+v", got.Gets, got.Changes, r.Gets, r.Sets)
	}
	if len(got.Slow) == 0 || len(got.Slow) > w.Clients {
		t.Fatalf("%d slow requests of %d clients", len(got.Slow), w.Clients)
	}
	for _, s := range got.Slow {
		if s.To-s.From < 50*time.Millisecond || s.Verb != "get" && s.Verb != "set" {
			t.Errorf("slow: %+v", s)
		}
	}
	if again := l.Take(); again.Gets.Count != 0 || again.Slow != nil {
		t.Errorf("taken twice: %+v", again)
	}
}

func TestKeysThatExpire(t *testing.T) {
	w, err := Work{Kind: Mixed, ExpireShare: 0.25, ExpireTTL: Span{2, 600}, TTL: 7000}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	ks, expiring := newKeyspace(&w), 0
	for n := range uint64(10_000) {
		switch ttl := ks.ttlSeconds(n); {
		case ttl >= 2 && ttl <= 600:
			expiring++
		case ttl != 7000:
			t.Fatalf("key %d has a ttl of %d", n, ttl)
		}
	}
	if expiring < 2300 || expiring > 2700 {
		t.Error(fmt.Sprint(expiring, " of 10,000 keys expire, want a quarter"))
	}
}

// TestRefill: what gets have missed is set next, by the client whose key it is.
func TestRefill(t *testing.T) {
	for _, refill := range []bool{true, false} {
		_, addr := startFake(t, faults{})
		w := small(Mixed)
		w.Depth, w.Keys, w.KeySize, w.Requests, w.Refill = 1, 100_000, Span{6, 20}, 4000, refill
		w.SetRatio, w.Dist, w.HasDist, w.ChangeDist, w.HasChangeDist = 0.5, Zipf(1.2), true, Uniform, true
		r := mustRun(t, addr, w)
		if r.Bad() || (r.Hits > r.Misses/2) != refill {
			t.Errorf("refill %t: %d hits, %d misses, %q", refill, r.Hits, r.Misses, r.Examples)
		}
	}
}
