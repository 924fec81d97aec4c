package hearth

import (
	"context"
	"fmt"
	"testing"

	"github.com/hearthcache/hearth/ioq/ioqtest"
)

// TestScan lists the items of the random test: each of the model once with all
// that is known of it, by reading flash or without, while values move.
func TestScan(t *testing.T) {
	for _, s := range settings {
		if s.name == "direct" || s.name == "uring" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s.opts, s.room)
			for range 2 {
				for range 3000 {
					w.step()
				}
				w.scan(true)
				w.scan(false)
				if err := w.c.Close(); err != nil {
					t.Fatal(err)
				}
				w.open()
			}
			w.checkAll()
			w.scan(true)
			if err := w.c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// scan compares a whole scan with the model, while other keys are written.
func (w *world) scan(read bool) {
	w.t.Helper()
	s := w.c.NewScan(read, w.wake, 0)
	seen, other, flash := map[string]bool{}, 0, 0
	for n := 0; ; n++ {
		st := s.Next()
		if st == Miss {
			break
		}
		if st == Pending {
			<-w.wake
			continue
		}
		key := string(s.Key)
		e := w.live(key)
		switch {
		case s.OnFlash && !read:
			flash++
		case seen[key]:
			w.t.Fatalf("%s comes twice", key)
		case e == nil:
			other++
		default:
			seen[key] = true
			if why := e.differs(s.Meta); why != "" {
				w.t.Fatalf("%s, on flash %v: %s", key, s.OnFlash, why)
			}
		}
		if n%8 == 0 {
			it := Item{Key: fmt.Sprint("other-", n), Value: make([]byte, 5000)}
			if err := w.c.Set(context.Background(), it); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	if !w.room {
		return
	}
	for key, e := range w.items {
		if w.live(key) != nil && !seen[key] && read {
			w.t.Errorf("%s was not seen: %v", key, e)
		}
	}
	if got := len(seen) + flash; !read && got < len(w.items) {
		w.t.Errorf("%d seen in RAM, %d on flash, of %d", len(seen), flash, len(w.items))
	}
}

// TestScanStop leaves no page pinned, or the cache could not be closed.
func TestScanStop(t *testing.T) {
	w := newWorld(t, settings[1].opts, true)
	for range 3000 {
		w.step()
	}
	if err := w.c.Close(); err != nil {
		t.Fatal(err)
	}
	w.open()
	s := w.c.NewScan(true, w.wake, 0)
	for s.Next() != Hit {
		<-w.wake
	}
	for range scanBatch {
		s.Next()
	}
	s.Stop()
	for s.Next() == Pending {
		<-w.wake
	}
	if st := s.Next(); st != Miss {
		t.Errorf("after the end: %v", st)
	}
	if err := w.c.Close(); err != nil {
		t.Error(err)
	}
}

// TestScanMoved has every fourth item move to RAM while its record is being read
// for the scan: it is seen all the same, and once.
func TestScanMoved(t *testing.T) {
	opts := settings[1].opts
	opts.Queue = ioqtest.NewDisk(t, ioqtest.DiskOptions{})
	w := newWorld(t, opts, true)
	keys := map[uint64]string{}
	for i := range 2000 {
		key := fmt.Sprint("key-", i)
		if err := w.c.Set(context.Background(), Item{Key: key, Value: make([]byte, 1000)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.c.Close(); err != nil {
		t.Fatal(err)
	}
	w.open()
	for i := range 2000 {
		key := fmt.Sprint("key-", i)
		keys[w.c.mem.Hash([]byte(key))>>14] = key
	}
	seen, moved := map[string]int{}, 0
	s := w.c.NewScan(true, w.wake, 0)
	x := contest{t: t, c: w.c}
	for st := Pending; st != Miss; {
		if st = s.Next(); st == Hit {
			seen[string(s.Key)]++
			continue
		}
		for i, r := range s.reading {
			if x.key = keys[s.batch[r.i].hash>>14]; i%4 == 0 && x.do(&Change{Verb: Claim}, make(waiter, 1)) == Stored {
				moved++
			}
		}
		if st == Pending && len(s.reading) > 0 {
			<-w.wake
		}
	}
	for _, key := range keys {
		if seen[key] != 1 {
			t.Errorf("%s was seen %d times", key, seen[key])
		}
	}
	if moved < 50 {
		t.Errorf("only %d moved", moved)
	}
	if err := w.c.Close(); err != nil {
		t.Error(err)
	}
}

// TestScanBusy scans while others have all read buffers.
func TestScanBusy(t *testing.T) {
	w := newWorld(t, settings[1].opts, true)
	const n = 1000
	for i := range n {
		if err := w.c.Set(context.Background(), Item{Key: fmt.Sprint("key-", i), Value: make([]byte, 30_000)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.c.Close(); err != nil {
		t.Fatal(err)
	}
	w.open()
	var lookups []*Lookup
	for i := 0; i < n && (i == 0 || lookups[i-1].read != nil); i++ {
		key := fmt.Append(nil, "key-", i)
		_, m, st := w.c.Find(key, nil)
		if st != Pending {
			t.Fatalf("%s: %v", key, st)
		}
		l := new(Lookup)
		lookups = append(lookups, l)
		l.Start(w.c, key, m, make(waiter, 1), 0)
	}
	urgent, err := w.c.flash.StartRead(lookups[0].addr, nil, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	s := w.c.NewScan(true, w.wake, 0)
	if st := s.Next(); st != Pending || len(s.reading) > 0 {
		t.Fatalf("with %d lookups under way: %v", len(lookups), st)
	}
	urgent.Wait()
	urgent.Release()
	for _, l := range lookups {
		for _, _, st := l.Step(nil); st == Pending; _, _, st = l.Step(nil) {
			<-l.n.(waiter)
		}
	}
	seen := map[string]bool{}
	for st := s.Next(); st != Miss; st = s.Next() {
		if st == Pending {
			<-w.wake
			continue
		}
		seen[string(s.Key)] = true
	}
	if len(seen) != n {
		t.Errorf("%d of %d seen", len(seen), n)
	}
	if err := w.c.Close(); err != nil {
		t.Error(err)
	}
}
