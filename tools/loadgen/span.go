package loadgen

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Span is a range of sizes in bytes, both ends included.
type Span struct{ Min, Max int }

// ParseSpan reads "1024", "1k" or "100-900k"; k and m are 2^10 and 2^20.
func ParseSpan(text string) (Span, error) {
	low, high, ranged := strings.Cut(text, "-")
	if !ranged {
		high = low
	}
	lo, err := parseSize(low)
	if err != nil {
		return Span{}, err
	}
	hi, err := parseSize(high)
	if err != nil {
		return Span{}, err
	}
	if hi < lo {
		return Span{}, fmt.Errorf("size %q: the second number is the smaller one", text)
	}
	return Span{Min: lo, Max: hi}, nil
}

// parseSize reads "1024", "1k" or "4m".
func parseSize(text string) (int, error) {
	digits, unit := strings.ToLower(text), 1
	switch {
	case strings.HasSuffix(digits, "k"):
		digits, unit = digits[:len(digits)-1], 1<<10
	case strings.HasSuffix(digits, "m"):
		digits, unit = digits[:len(digits)-1], 1<<20
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || n > math.MaxInt32/unit {
		return 0, fmt.Errorf("size %q: want bytes, or a number with k or m", text)
	}
	return n * unit, nil
}

// String is the text ParseSpan reads.
func (s Span) String() string {
	if s.Min == s.Max {
		return strconv.Itoa(s.Min)
	}
	return fmt.Sprintf("%d-%d", s.Min, s.Max)
}

// at is the size that belongs to hash h: log-uniform, so that each doubling of
// the size is as likely as any other.
func (s Span) at(h uint64) int {
	if s.Min == s.Max {
		return s.Min
	}
	low, high := math.Log(float64(max(s.Min, 1))), math.Log(float64(s.Max+1))
	u := float64(h>>11) / (1 << 53)
	return min(s.Max, max(s.Min, int(math.Exp(low+u*(high-low)))))
}
