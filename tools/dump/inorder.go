package dump

import (
	"context"
	"iter"
	"time"
)

// inOrder has do work on the jobs, n at a time, and take them, when they are done,
// one after the other in the order in which they came. It ends at the first error
// of take; that do gives up then, when its context ends, it waits for.
func inOrder[T any](ctx context.Context, n int, jobs iter.Seq[T], do func(context.Context, T), take func(T) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type slot struct {
		job  T
		done chan struct{}
	}
	queue := make(chan *slot, n)
	go func() {
		defer close(queue)
		for job := range jobs {
			s := &slot{job, make(chan struct{})}
			select {
			case queue <- s:
			case <-ctx.Done():
				return
			}
			go func() {
				defer close(s.done)
				do(ctx, s.job)
			}()
		}
	}()
	var err error
	for s := range queue {
		<-s.done
		if err == nil {
			err = take(s.job)
		}
		if err != nil {
			cancel()
		}
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// pacer keeps work to a rate; 0 is none. It saves nothing up while there is none
// to do, beyond a tenth of a second.
type pacer struct {
	perSecond float64
	due       time.Time
}

// wait takes n units, and returns when they are due.
func (p *pacer) wait(ctx context.Context, n float64) {
	if p.perSecond <= 0 {
		return
	}
	if oldest := time.Now().Add(-time.Second / 10); p.due.Before(oldest) {
		p.due = oldest
	}
	p.due = p.due.Add(time.Duration(n / p.perSecond * float64(time.Second)))
	select {
	case <-ctx.Done():
	case <-time.After(time.Until(p.due)):
	}
}
