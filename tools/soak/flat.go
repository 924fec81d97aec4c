package soak

import (
	"slices"
	"time"
)

// flatWindows is into how many parts the time is cut to see whether a number is
// flat. The median of each part counts, so that a moment does not.
const flatWindows = 20

// Level is how a number was over the time that is judged.
type Level struct {
	Name   string  `json:"name"`
	First  float64 `json:"first"` // median of the first part
	Last   float64 `json:"last"`
	Least  float64 `json:"least"` // of the parts' medians
	Most   float64 `json:"most"`
	Spread float64 `json:"spread"` // Most less Least, in parts of Least
	Trend  float64 `json:"trend"`  // what a straight line through all samples gains, in parts of the mean
}

// level looks at the samples from then on. ok is false if there are too few.
func level(samples []Sample, name string, from time.Duration) (l Level, ok bool) {
	at, values := column(samples, name, from)
	if len(values) < 2 {
		return Level{Name: name}, false
	}
	parts := min(flatWindows, len(values))
	medians := make([]float64, parts)
	for i := range medians {
		medians[i] = median(values[i*len(values)/parts : (i+1)*len(values)/parts])
	}
	l = Level{
		Name: name, First: medians[0], Last: medians[parts-1],
		Least: slices.Min(medians), Most: slices.Max(medians), Trend: trend(at, values),
	}
	if l.Least > 0 {
		l.Spread = l.Most/l.Least - 1
	}
	return l, true
}

// column is one number of the samples that have it, with its times in seconds.
func column(samples []Sample, name string, from time.Duration) (at, values []float64) {
	for _, s := range samples {
		if v, has := s.Values[name]; has && s.At >= from {
			at, values = append(at, s.At.Seconds()), append(values, v)
		}
	}
	return at, values
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// trend is the gain of the line of least squares from the first to the last time,
// in parts of the mean.
func trend(at, values []float64) float64 {
	meanAt, mean := average(at), average(values)
	var both, square float64
	for i := range at {
		both += (at[i] - meanAt) * (values[i] - mean)
		square += (at[i] - meanAt) * (at[i] - meanAt)
	}
	if square == 0 || mean == 0 {
		return 0
	}
	return both / square * (at[len(at)-1] - at[0]) / mean
}

func average(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
