package protocol

import (
	"bytes"
	"math"
)

// maxReplyLine is the longest line of a reply in bytes, its end included.
const maxReplyLine = 8192

// CutReplyLine finds the line that a reply of the text or meta protocol begins
// with, without its end, and how many bytes it has with that. Invalid is a line
// that no server sends: of over 8192 bytes, or not ended by \r\n.
func CutReplyLine(in []byte) (line []byte, n int, status Status) {
	end := bytes.IndexByte(in[:min(len(in), maxReplyLine)], '\n')
	if end < 0 && len(in) < maxReplyLine {
		return nil, 0, Incomplete
	}
	if end < 1 || in[end-1] != '\r' {
		return nil, 0, Invalid
	}
	return in[:end-1], end + 1, Complete
}

// CutReplyValue finds the value of length bytes that begins at from, and where
// the reply ends: also if Incomplete, that is how many bytes are needed. Invalid
// is a value that is not ended by \r\n.
func CutReplyValue(in []byte, from, length int) (value []byte, end int, status Status) {
	at := from + length
	end = at + len("\r\n")
	if len(in) > at && in[at] != '\r' || len(in) > at+1 && in[at+1] != '\n' {
		return nil, 0, Invalid
	}
	if len(in) < end {
		return nil, end, Incomplete
	}
	return in[from:at:at], end, Complete
}

// ParseDigits reads a decimal number as a server writes it: digits and nothing
// else, below 2^64.
func ParseDigits(word []byte) (v uint64, ok bool) {
	for _, c := range word {
		digit := uint64(c - '0')
		if digit > 9 || v > (math.MaxUint64-digit)/10 {
			return 0, false
		}
		v = v*10 + digit
	}
	return v, len(word) > 0
}
