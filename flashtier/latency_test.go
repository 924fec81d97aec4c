package flashtier

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hearthcache/hearth/ioq/ioqtest"
)

// TestLatencyBuckets: buckets lie end to end, and none is wider than a fourth of
// where it begins.
func TestLatencyBuckets(t *testing.T) {
	last := time.Duration(0)
	for i := range LatencyBuckets {
		bound := LatencyBound(i)
		if bound <= last || last >= latencySteps*time.Microsecond && bound-last > last/latencySteps {
			t.Errorf("bucket %d goes from %v to %v", i, last, bound)
		}
		if us := uint64(last / time.Microsecond); latencyBucket(us) != i {
			t.Errorf("%v is in bucket %d, not %d", last, latencyBucket(us), i)
		}
		if us := uint64(bound/time.Microsecond) - 1; latencyBucket(us) != i {
			t.Errorf("%v less a microsecond is in bucket %d, not %d", bound, latencyBucket(us), i)
		}
		last = bound
	}
	if latencyBucket(1<<63) != LatencyBuckets-1 || last < time.Minute {
		t.Errorf("the last bucket begins below %v", last)
	}
}

func TestLatencyQuantile(t *testing.T) {
	var l latencies
	if s := l.look(); s.Quantile(0.5) != 0 {
		t.Errorf("no reads: %v", s.Quantile(0.5))
	}
	for us := range 1000 {
		l.add(time.Duration(us)*time.Microsecond, 2)
	}
	s := l.look()
	if s.Reads() != 2000 || s.Micros != 999*1000 {
		t.Errorf("%d reads in %d us", s.Reads(), s.Micros)
	}
	for _, q := range []float64{0.1, 0.5, 0.9, 0.99, 1} {
		exact := time.Duration(q*1000) * time.Microsecond
		if got := s.Quantile(q); got < exact || got > exact*5/4+time.Microsecond {
			t.Errorf("quantile %v is %v, exactly %v", q, got, exact)
		}
	}
}

// TestStatsAdd: the statistics of two tiers are added up, down to their latencies.
func TestStatsAdd(t *testing.T) {
	a := Stats{ObjectsUsed: 1, WriteErrors: 2, PageSize: 7}
	a.ReadLatency.Counts[3] = 4
	b := Stats{ObjectsUsed: 10, WriteErrors: 20, PageSize: 7, DeviceOut: true}
	b.ReadLatency.Counts[3], b.ReadLatency.Micros = 40, 5
	a.Add(b)
	want := Stats{ObjectsUsed: 11, WriteErrors: 22, PageSize: 7, DeviceOut: true}
	want.ReadLatency.Counts[3], want.ReadLatency.Micros = 44, 5
	if a != want {
		t.Errorf("%+v", a)
	}
}

// TestSlowRead: a read that is on its way for long is counted and told of, with
// its key; one that is not is not.
func TestSlowRead(t *testing.T) {
	var log bytes.Buffer
	disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{Manual: true})
	o := testOptions(t, disk, 4)
	o.Logger, o.SlowRead = slog.New(slog.NewTextHandler(&log, nil)), 20*time.Millisecond
	tier := open(t, o)
	items, err := fill(tier.NewWriter(BucketDefault), disk, 0, 2, 100)
	if err != nil {
		t.Fatal(err)
	}
	for i, pause := range []time.Duration{0, o.SlowRead} {
		r, err := tier.StartRead(items[i].addr, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(pause) // the disk is slow
		disk.Drain()
		if _, err := r.Finish(items[i].key); err != nil {
			t.Fatal(err)
		}
		r.Release()
	}
	s := tier.Stats()
	if s.ReadLatency.Reads() != 2 || s.ReadLatency.Quantile(1) < o.SlowRead {
		t.Errorf("%d reads, the slowest %v", s.ReadLatency.Reads(), s.ReadLatency.Quantile(1))
	}
	if n := strings.Count(log.String(), "slow read"); n != 1 || s.SlowReads != 1 || !strings.Contains(log.String(), "key-1") {
		t.Errorf("told %d times, counted %d: %s", n, s.SlowReads, &log)
	}
}

// TestInlineLatency: of reads that are done at once some are timed, and stand for
// the others, so that none is missing from the sum.
func TestInlineLatency(t *testing.T) {
	tier := open(t, testOptions(t, realQueue(t, "pread"), 4))
	items := mustFill(t, tier.NewWriter(BucketDefault), nil, 0, 1, 100)
	const reads = 100 * inlineSample
	for range reads {
		if err := get(t, tier, nil, items[0]); err != nil {
			t.Fatal(err)
		}
	}
	s := tier.Stats()
	if got := s.ReadLatency.Reads(); got < reads*3/4 || got > reads*5/4 {
		t.Errorf("%d reads are counted, there were %d", got, reads)
	}
}
