package protocol

import "math"

// parseMagnitude reads a number as C's strtoull does: white space and a sign
// before it, and white space with anything behind it, are let pass.
func parseMagnitude(word []byte) (v uint64, negative, ok bool) {
	i := 0
	for i < len(word) && isSpace(word[i]) {
		i++
	}
	if i < len(word) && (word[i] == '-' || word[i] == '+') {
		negative = word[i] == '-'
		i++
	}
	first := i
	for ; i < len(word) && word[i]-'0' <= 9; i++ {
		digit := uint64(word[i] - '0')
		if v > (math.MaxUint64-digit)/10 {
			return 0, false, false
		}
		v = v*10 + digit
	}
	return v, negative, i > first && (i == len(word) || isSpace(word[i]))
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// ParseUint reads a number as memcached's parsers of text do, who call C's
// strtoull: white space and a sign before it are let pass, and so is white space
// with anything behind it. A negative number is taken if it wraps round to less
// than 2^63.
func ParseUint(word []byte) (uint64, bool) {
	v, negative, ok := parseMagnitude(word)
	if negative {
		v = -v
		ok = ok && v <= math.MaxInt64
	}
	return v, ok
}

// ParseInt is ParseUint for a number with a sign.
func ParseInt(word []byte) (int64, bool) {
	v, negative, ok := parseMagnitude(word)
	if negative {
		return -int64(v), ok && v <= 1<<63
	}
	return int64(v), ok && v <= math.MaxInt64
}
