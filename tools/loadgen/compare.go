package loadgen

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Side is one of the two servers compared.
type Side struct {
	Name    string
	Command string // see StartServer
}

// Case is one comparison: the same work against both servers, round by round.
type Case struct {
	Name     string
	Flags    string        // for {flags} of both commands
	Prepare  *Work         // done once on each server before the rounds; nil: nothing
	Settle   time.Duration // to wait after Prepare, for what a server does in the background
	Work     Work
	ReadBack bool // after each round's Work get every key once, in random order: misses are lost keys
	Fresh    bool // new servers in each round
}

// Round is what one round has shown of one server.
type Round struct {
	*Result
	Lost    uint64  // keys stored by the round that its ReadBack missed
	BadBack bool    // the ReadBack met wrong or stale values
	Back    *Result // the ReadBack; nil without
}

// Comparison has the rounds of a case, of both sides.
type Comparison struct {
	Case   Case
	Sides  [2]Side
	Rounds [2][]Round
}

// Bad tells whether any value came back that must not have.
func (c *Comparison) Bad() bool {
	for _, rounds := range c.Rounds {
		for _, r := range rounds {
			if r.Bad() || r.BadBack {
				return true
			}
		}
	}
	return false
}

// bench is what a comparison needs besides its case.
type bench struct {
	sides    [2]Side
	rounds   int
	progress Progress
	said     func(side int, round int, r Round) // after each round of each side
	servers  [2]*Server
}

// Compare runs a case for that many rounds. Who is first alternates, so that
// what drifts on the machine meets both. said is called after each round.
func Compare(ctx context.Context, sides [2]Side, c Case, rounds int, progress Progress, said func(side, round int, r Round)) (*Comparison, error) {
	b := &bench{sides: sides, rounds: rounds, progress: progress, said: said}
	defer b.stop()
	if !c.Fresh {
		if err := b.start(ctx, c); err != nil {
			return nil, err
		}
	}
	return b.compare(ctx, c)
}

// start brings both servers up and prepares them.
func (b *bench) start(ctx context.Context, c Case) error {
	for side := range b.sides {
		if err := b.startSide(ctx, side, c); err != nil {
			return err
		}
	}
	return settle(ctx, c)
}

func (b *bench) startSide(ctx context.Context, side int, c Case) (err error) {
	if b.servers[side], err = StartServer(ctx, b.sides[side].Command, c.Flags); err != nil {
		return err
	}
	if c.Prepare == nil {
		return nil
	}
	if _, err = b.run(ctx, side, *c.Prepare); err != nil {
		return fmt.Errorf("prepare %s: %w", b.sides[side].Name, err)
	}
	return nil
}

func settle(ctx context.Context, c Case) error {
	if c.Prepare == nil || c.Settle == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(c.Settle):
		return nil
	}
}

func (b *bench) stop() {
	for side := range b.servers {
		b.stopSide(side)
	}
}

func (b *bench) stopSide(side int) {
	if b.servers[side] != nil {
		b.servers[side].Stop()
		b.servers[side] = nil
	}
}

func (b *bench) compare(ctx context.Context, c Case) (*Comparison, error) {
	out := &Comparison{Case: c, Sides: b.sides}
	for i := range b.rounds {
		for turn := range b.sides {
			side := (i + turn) % 2
			r, err := b.round(ctx, side, c)
			if err != nil {
				return out, fmt.Errorf("%s, round %d of %s: %w", c.Name, i+1, b.sides[side].Name, err)
			}
			out.Rounds[side] = append(out.Rounds[side], r)
			b.said(side, i, r)
		}
	}
	return out, nil
}

func (b *bench) round(ctx context.Context, side int, c Case) (r Round, err error) {
	if c.Fresh {
		defer b.stopSide(side)
		if err := errors.Join(b.startSide(ctx, side, c), settle(ctx, c)); err != nil {
			return r, err
		}
	}
	if r.Result, err = b.run(ctx, side, c.Work); err != nil || !c.ReadBack {
		return r, err
	}
	r.Back, err = b.run(ctx, side, readBack(c.Work, r.Version))
	if err == nil {
		r.Lost, r.BadBack = r.Back.Misses, r.Back.Bad()
	}
	return r, err
}

// readBack gets every key of w once and wants no older version.
func readBack(w Work, version uint64) Work {
	w.Kind, w.Dist, w.HasDist = Read, Shuffle, true
	w.Requests, w.Duration, w.Rate = 0, 0, 0
	w.Depth, w.Multiget, w.Version = 4, 1, version
	return w
}

func (b *bench) run(ctx context.Context, side int, w Work) (*Result, error) {
	w.PID, w.Progress = b.servers[side].PID, b.progress
	return Run(ctx, b.servers[side].Addr, w)
}
