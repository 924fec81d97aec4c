package soak

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/hearthcache/hearth/protocol/client"
	"github.com/hearthcache/hearth/tools/loadgen"
)

// Options describe a soak. Defaults has the usual ones.
type Options struct {
	Work     loadgen.Work  // Kind, Duration, Requests and Ledger are the soak's own; Keys 0 is by Over
	For      time.Duration // once filled
	WarmUp   time.Duration // of For, not judged; 0 is a sixth of it
	Over     float64       // bytes of all keys' values, as a multiple of the server's flash (of its RAM if it has none)
	FillRate float64       // sets a second of the first fill; 0 is twice Work.Rate
	Stall    time.Duration // a request that takes longer is one
	Spread   float64       // how far apart memory may be after warm-up, in parts of the least
}

// Defaults are a minute of work at which some 15 MB a second are written, and twice
// that is read. Sets are of what gets have missed, or else spread more evenly over the
// keys than gets, so that flash stays full of live values.
func Defaults() Options {
	return Options{
		Work: loadgen.Work{
			ValueSize: loadgen.Span{Min: 20, Max: 256 << 10},
			Clients:   32, Rate: 1500,
			Dist: loadgen.Zipf(0.99), HasDist: true,
			ChangeDist: loadgen.Zipf(0.5), HasChangeDist: true,
			SetRatio: 0.3, Refill: true, DeleteRatio: 0.05, TouchRatio: 0.05,
			ExpireShare: 0.4, ExpireTTL: loadgen.Span{Min: 5, Max: 7200},
		},
		For:    time.Minute,
		Over:   1.5,
		Stall:  50 * time.Millisecond,
		Spread: 0.03,
	}
}

// complete sets what follows from the rest.
func (o *Options) complete() error {
	o.Work.Kind, o.Work.Duration, o.Work.Requests = loadgen.Mixed, o.For, 0
	if o.WarmUp == 0 {
		o.WarmUp = o.For / 6
	}
	if o.FillRate == 0 {
		o.FillRate = 2 * o.Work.Rate
	}
	switch {
	case o.WarmUp >= o.For:
		return fmt.Errorf("a warm-up of %v leaves nothing of %v", o.WarmUp, o.For)
	case o.Work.Rate <= 0:
		return fmt.Errorf("rate %g: want more than 0", o.Work.Rate)
	}
	return nil
}

// Run soaks the server at addr (host:port). When ctx ends early the report is of
// what was seen so far, and the error is not nil. A failed verdict is no error:
// see Report.Failed.
func Run(ctx context.Context, addr string, o Options) (*Report, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	peer, err := client.New(addr, client.Options{Timeout: statsLimit})
	if err != nil {
		return nil, err
	}
	defer peer.Close()
	if err := o.size(ctx, peer); err != nil {
		return nil, err
	}
	s := newSampler(ctx, peer, &o)
	defer s.close()
	o.Work.Ledger = loadgen.NewLedger(o.Work.Keys)
	fill := o.Work
	fill.Kind, fill.Dist, fill.Rate, fill.Duration = loadgen.Load, loadgen.Shuffle, o.FillRate, 0
	if _, err := s.run(addr, fill); err != nil {
		return nil, fmt.Errorf("fill: %w", err)
	}
	began := s.elapsed()
	result, err := s.run(addr, o.Work)
	if result == nil {
		return nil, err
	}
	return judge(&o, s, began, result), errors.Join(err, s.err)
}

// size chooses the number of keys by the room the server says it has.
func (o *Options) size(ctx context.Context, peer *client.Client) error {
	if o.Work.Keys > 0 {
		return nil
	}
	stats, err := peer.Stats(ctx, "")
	if err != nil {
		return err
	}
	room := number(stats["extstore_limit_maxbytes"])
	if room == 0 {
		room = number(stats["limit_maxbytes"])
	}
	o.Work.Keys = max(uint64(o.Work.Clients), uint64(o.Over*room/meanSize(o.Work.ValueSize)))
	if room == 0 {
		return errors.New("the server does not say how much room it has: give the number of keys")
	}
	return nil
}

// meanSize is that of sizes of which each doubling is as likely as any other.
func meanSize(s loadgen.Span) float64 {
	low, high := float64(max(1, s.Min)), float64(s.Max+1)
	return (high - low) / math.Log(high/low)
}
