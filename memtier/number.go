package memtier

import (
	"math/bits"
	"strconv"
)

// ParseNumber reads the number that a value begins with, as memcached does:
// blanks, a sign and digits, followed by nothing or by a blank. What comes after
// that is not looked at. Negative numbers are none.
func ParseNumber(v []byte) (uint64, bool) {
	i := 0
	for i < len(v) && isSpace(v[i]) {
		i++
	}
	neg := false
	if i < len(v) && (v[i] == '-' || v[i] == '+') {
		neg = v[i] == '-'
		i++
	}
	n, digits, ok := parseDigits(v[i:])
	if !ok || digits == 0 || i+digits < len(v) && !isSpace(v[i+digits]) {
		return 0, false
	}
	if neg {
		n = -n
		if int64(n) < 0 {
			return 0, false
		}
	}
	return n, true
}

// parseDigits is false if the number is 2^64 or more.
func parseDigits(v []byte) (n uint64, digits int, ok bool) {
	for digits < len(v) && '0' <= v[digits] && v[digits] <= '9' {
		hi, lo := bits.Mul64(n, 10)
		sum, carry := bits.Add64(lo, uint64(v[digits]-'0'), 0)
		if hi|carry != 0 {
			return 0, digits, false
		}
		n = sum
		digits++
	}
	return n, digits, true
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// Advance is what incr and decr make of a number: incr wraps at 2^64, decr
// stops at 0.
func Advance(n, delta uint64, decr bool) uint64 {
	if !decr {
		return n + delta
	}
	return n - min(n, delta)
}

// digits is how long a number is.
func digits(n uint64) int {
	k := 1
	for ; n >= 10; n /= 10 {
		k++
	}
	return k
}

// AppendNumber appends n in decimal, followed by spaces up to width bytes: a
// value that became shorter keeps its length.
func AppendNumber(dst []byte, n uint64, width int) []byte {
	start := len(dst)
	dst = strconv.AppendUint(dst, n, 10)
	for len(dst)-start < width {
		dst = append(dst, ' ')
	}
	return dst
}
