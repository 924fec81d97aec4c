package trace

import (
	"math"

	"github.com/hearthcache/hearth/tools/seeded"
)

// popularity draws ranks, 0 the hottest.
type popularity interface {
	Draw(*seeded.Rand) uint64
}

// share says that the hottest so many of the keys get a share of the requests.
type share struct{ keys, requests float64 }

// shares is a popularity by what the hottest keys get. Between two points each
// rank gets a share in inverse proportion to itself, as by Zipf's law with
// exponent 1.
type shares []share

// newShares is of n keys. Points that would be about fewer than fewest keys are
// left out: of a sample that small they say nothing.
func newShares(n uint64, hottest float64, points []share) shares {
	const fewest = 8
	s := shares{{1, hottest}}
	for _, p := range points {
		if rank := p.keys * float64(n); rank >= fewest && p.requests > hottest {
			s = append(s, share{rank, p.requests})
		}
	}
	return append(s, share{float64(n), 1})
}

// Draw is a rank.
func (s shares) Draw(r *seeded.Rand) uint64 {
	u := r.Float()
	if u < s[0].requests {
		return 0
	}
	i := 1
	for u >= s[i].requests && i < len(s)-1 {
		i++
	}
	lo, hi := s[i-1], s[i]
	t := (u - lo.requests) / (hi.requests - lo.requests)
	// Ranks from 1: those after lo's, up to hi's.
	first := lo.keys + 1
	rank := first * math.Pow((hi.keys+1)/first, t)
	return uint64(min(rank, hi.keys)) - 1
}
