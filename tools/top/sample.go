package top

import (
	"strconv"
	"time"
)

// Sample is what a server answered to stats.
type Sample struct {
	At    time.Time
	Stats map[string]string
}

// has tells whether the server knows the statistic.
func (s *Sample) has(name string) bool { return s.Stats[name] != "" }

// number is the statistic's value, 0 if there is none.
func (s *Sample) number(name string) float64 {
	v, err := strconv.ParseFloat(s.Stats[name], 64)
	if err != nil {
		return 0
	}
	return v
}

// span is what happened between two samples.
type span struct{ before, now *Sample }

// rate is by how much a counter grew a second; 0 if the server was restarted.
func (p span) rate(name string) float64 {
	seconds := p.now.At.Sub(p.before.At).Seconds()
	if seconds <= 0 {
		return 0
	}
	return max(p.now.number(name)-p.before.number(name), 0) / seconds
}

// rates is rate summed over several counters.
func (p span) rates(names ...string) (sum float64) {
	for _, name := range names {
		sum += p.rate(name)
	}
	return sum
}

// shares are the parts of the sum of all, by how much they grew, or since the server's
// start if nothing did.
func (p span) shares(names ...string) []float64 {
	parts, sum := make([]float64, len(names)), 0.0
	for i, name := range names {
		parts[i] = p.rate(name)
		sum += parts[i]
	}
	if sum == 0 {
		for i, name := range names {
			parts[i] = p.now.number(name)
			sum += parts[i]
		}
	}
	for i := range parts {
		parts[i] /= max(sum, 1)
	}
	return parts
}
