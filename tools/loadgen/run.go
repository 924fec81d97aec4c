package loadgen

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// run is a run under way.
type run struct {
	work    Work
	supply  *supply
	version *versions
	expiry  *expiry
	refill  *refill
	workers []*worker
	stop    atomic.Bool
	started time.Time
}

// Run does the work against the server at addr (host:port, or the path of a
// Unix socket). When ctx ends, or on an error, the result is what was done so
// far. Wrong values are no error: see Result.Bad.
func Run(ctx context.Context, addr string, work Work) (*Result, error) {
	work, err := work.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &run{work: work, supply: &supply{limit: work.Requests}, version: newVersions(&work), expiry: newExpiry(&work), refill: newRefill(&work)}
	defer r.close()
	if err := r.connect(addr); err != nil {
		return nil, err
	}
	before, err := r.meter()
	if err != nil {
		return nil, err
	}
	err = r.do(ctx)
	after, meterErr := r.meter()
	return newResult(r, before, after), errors.Join(err, meterErr)
}

// meter is read before and after the run.
type meter struct {
	at     time.Time
	own    time.Duration
	server Usage
}

func (r *run) meter() (m meter, err error) {
	if r.work.PID != 0 {
		m.server, err = ReadUsage(r.work.PID)
	}
	m.at, m.own = time.Now(), ownCPU()
	return m, err
}

// connect makes the workers and spreads the connections over them.
func (r *run) connect(addr string) error {
	for i := range r.work.Workers {
		w, err := r.newWorker(i)
		if err != nil {
			return err
		}
		r.workers = append(r.workers, w)
	}
	for i := range r.work.Clients {
		fd, err := dial(addr)
		if err != nil {
			return fmt.Errorf("connect client %d of %d: %w", i+1, r.work.Clients, err)
		}
		if err := r.workers[i%len(r.workers)].adopt(fd, uint64(i)); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) newWorker(number int) (*worker, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	return &worker{
		work:    &r.work,
		chooser: newChooser(r, uint64(number)),
		pacer:   newPacer(&r.work, number),
		poller:  p,
		keys:    newKeyspace(&r.work),
		counts:  newCounts(r.work.Latencies),
		live:    &live{},
		stop:    &r.stop,
		in:      make([]byte, inBytes),
		out:     make([]byte, outBytes+outSlack),
	}, nil
}

// do runs the workers to their end. The first error stops them all.
func (r *run) do(ctx context.Context) error {
	r.started = time.Now()
	ended := make(chan error, len(r.workers))
	for _, w := range r.workers {
		w.started = r.started
		go func() { ended <- w.run() }()
	}
	second := time.NewTicker(time.Second)
	defer second.Stop()
	var errs []error
	cancelled := ctx.Done()
	for left := len(r.workers); left > 0; {
		select {
		case err := <-ended:
			left--
			if err != nil {
				errs = append(errs, err)
				r.stop.Store(true)
			}
		case <-cancelled:
			errs = append(errs, context.Cause(ctx))
			r.stop.Store(true)
			cancelled = nil
		case <-second.C:
			r.report(false)
		}
	}
	r.report(true)
	return errors.Join(errs...)
}

func (r *run) report(done bool) {
	if r.work.Progress == nil {
		return
	}
	s := Snapshot{Kind: r.work.Kind, Elapsed: time.Since(r.started), Limit: r.work.Requests, Done: done}
	for _, w := range r.workers {
		w.live.addTo(&s)
	}
	r.work.Progress(s)
}

func (r *run) close() {
	for _, w := range r.workers {
		w.close()
	}
}
