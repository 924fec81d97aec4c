package hearth

import (
	"context"
	"fmt"
	"testing"
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
			for range 3 {
				for range 4000 {
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
