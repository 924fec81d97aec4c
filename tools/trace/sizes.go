package trace

import "math"

// quantile says that a share of the values has at most so many bytes.
type quantile struct{ share, bytes float64 }

// sizes is the distribution of value sizes: between two quantiles the logarithm of
// the size grows evenly. The first has share 0, the last share 1.
type sizes []quantile

// at is the size below which the share u of all values is, 0 <= u < 1.
func (s sizes) at(u float64) int {
	i := 1
	for i < len(s)-1 && u >= s[i].share {
		i++
	}
	lo, hi := s[i-1], s[i]
	t := (u - lo.share) / (hi.share - lo.share)
	return int(math.Round(lo.bytes * math.Pow(hi.bytes/lo.bytes, t)))
}

// mean of all values, in bytes.
func (s sizes) mean() (sum float64) {
	for i := 1; i < len(s); i++ {
		lo, hi := s[i-1], s[i]
		m := lo.bytes
		if hi.bytes > lo.bytes {
			m = (hi.bytes - lo.bytes) / math.Log(hi.bytes/lo.bytes)
		}
		sum += m * (hi.share - lo.share)
	}
	return sum
}

// quantiles has the sizes at 1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9 and 100 %.
func quantiles(bytes ...float64) sizes {
	shares := []float64{.01, .05, .10, .25, .50, .75, .90, .95, .99, .999, 1}
	s := sizes{{0, bytes[0]}}
	for i, share := range shares {
		s = append(s, quantile{share, bytes[i]})
	}
	return s
}

// spread is for a workload of which only the mean is known: log-uniform over a
// sixteenfold range with that mean.
func spread(mean float64) sizes {
	const over = 16
	low := mean * math.Log(over) / (over - 1)
	return sizes{{0, low}, {1, over * low}}
}
