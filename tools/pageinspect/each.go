package pageinspect

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// Progress is told now and then how many bytes of pages have been gone through,
// and how many there are. It is called by one goroutine at a time.
type Progress func(done, total int64)

// workers is how many pages are looked at at once: while some are read, the
// checksums of others are computed.
func workers() int { return runtime.GOMAXPROCS(0) + 2 }

// each calls do for all pages, several at once, until one fails or ctx is done.
// do is given the worker's own scanner.
func (d *Dir) each(ctx context.Context, progress Progress, do func(s *scanner, p *Page) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	m := &meter{tell: progress, total: d.bytes()}
	var wg sync.WaitGroup
	for range min(workers(), len(d.Pages)) {
		wg.Go(func() {
			var s scanner
			for i := next.Add(1) - 1; i < int64(len(d.Pages)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				if err := do(&s, d.Pages[i]); err != nil {
					stop(err)
				}
				m.add(d.Pages[i].size())
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// bytes is the size of all page files.
func (d *Dir) bytes() (n int64) {
	for _, p := range d.Pages {
		n += p.size()
	}
	return n
}

// meter adds up what workers have done.
type meter struct {
	mu          sync.Mutex
	tell        Progress
	done, total int64
}

func (m *meter) add(n int64) {
	if m.tell == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
	m.tell(m.done, m.total)
}
