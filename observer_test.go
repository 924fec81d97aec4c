package hearth

import (
	"context"
	"fmt"
	"sync"
	"testing"
)

// heard counts what an observer hears.
type heard struct {
	t         *testing.T
	mu        sync.Mutex
	gone      map[string]bool
	moved     int
	promoted  uint64
	pages     int
	reclaimed uint64
}

func (h *heard) Left(l *Leaving) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l.Meta.Size != 5000 || l.Meta.Flags != 7 || l.Meta.Fetched {
		h.t.Errorf("%s: %+v", l.Key, l.Meta)
	}
	if l.ToFlash {
		h.moved++
	} else {
		h.gone[string(l.Key)] = true
	}
}

func (h *heard) Promoted(key []byte, m Meta) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(key) == 0 || m.Size != 5000 || m.Flags != 7 {
		h.t.Errorf("%s: %+v", key, m)
	}
	h.promoted++
}

func (h *heard) Reclaimed(_ int, items uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pages++
	h.reclaimed += items
}

func TestObserver(t *testing.T) {
	for name, o := range map[string]Options{
		"ram":   {Memory: 8 << 20, MaxItem: 64 << 10},
		"flash": {Memory: 16 << 20, MaxItem: 64 << 10, FlashSize: 8 << 20, PageSize: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &heard{t: t, gone: map[string]bool{}}
			o.Observer = h
			c := openTest(t, o)
			ctx := context.Background()
			const n = 10_000
			for i := range n {
				if err := c.Set(ctx, Item{Key: fmt.Sprint(i), Value: make([]byte, 5000), Flags: 7}); err != nil {
					t.Fatal(err)
				}
			}
			s := c.Stats() // flash goes on, so its counts are looked at before and after
			h.mu.Lock()
			defer h.mu.Unlock()
			evicted := c.Stats().FlashEvicted
			if o.FlashSize == 0 {
				if left := n - int(s.Mem.IndexItems); len(h.gone) < left || h.moved > 0 {
					t.Errorf("%d items are gone, %d were told of, and of %d that moved", left, len(h.gone), h.moved)
				}
				if _, err := c.Get(ctx, fmt.Sprint(n-1)); err != nil || h.gone[fmt.Sprint(n-1)] {
					t.Errorf("the newest: %v", err)
				}
				return
			}
			if h.moved < int(s.Demoted) || len(h.gone) > 0 {
				t.Errorf("%d items moved, %d were told of, and of %d gone", s.Demoted, h.moved, len(h.gone))
			}
			if h.pages == 0 || h.reclaimed > evicted || h.reclaimed < s.FlashEvicted/2 {
				t.Errorf("%d items in %d pages, the statistics say %d", h.reclaimed, h.pages, s.FlashEvicted)
			}
		})
	}
}

// TestObserverPromoted: who reads values on flash again is told of each that is
// offered a copy.
func TestObserverPromoted(t *testing.T) {
	t.Parallel()
	h := &heard{t: t}
	c := openTest(t, Options{Memory: 16 << 20, MaxItem: 64 << 10, FlashSize: 64 << 20, PageSize: 1 << 20, Observer: &promotions{h}})
	ctx := context.Background()
	for i := range 5000 {
		if err := c.Set(ctx, Item{Key: fmt.Sprint(i), Value: make([]byte, 5000), Flags: 7}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3000 {
		if _, err := c.Get(ctx, fmt.Sprint(i%1000)); err != nil {
			t.Fatal(err)
		}
	}
	if told := c.Stats().Promoted; h.promoted == 0 || h.promoted != told {
		t.Errorf("%d values were promoted, %d were told of", told, h.promoted)
	}
}

// promotions hears of nothing else.
type promotions struct{ *heard }

func (promotions) Left(*Leaving)         {}
func (promotions) Reclaimed(int, uint64) {}
