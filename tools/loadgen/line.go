package loadgen

import (
	"bytes"
	"errors"
	"fmt"
	"math"
)

// maxLine is longer than any line a server has to send.
const maxLine = 1024

// Replies that no correct server sends. Each ends the run.
var (
	errLongLine    = errors.New("reply line does not end")
	errBareNewline = errors.New("reply line ends in \\n without \\r")
	errUnasked     = errors.New("reply without a request")
	errValueEnd    = errors.New("value is not followed by \\r\\n")
	errUnexpected  = errors.New("unexpected reply")
)

// cutLine is the first line of buf without its \r\n, and its length with it; 0
// if the line is not whole yet.
func cutLine(buf []byte) (line []byte, n int, err error) {
	end := bytes.IndexByte(buf, '\n')
	switch {
	case end < 0 && len(buf) > maxLine:
		return nil, 0, fmt.Errorf("%w: %.40q", errLongLine, buf)
	case end < 0:
		return nil, 0, nil
	case end == 0 || buf[end-1] != '\r':
		return nil, 0, fmt.Errorf("%w: %.40q", errBareNewline, buf[:end+1])
	}
	return buf[:end-1], end + 1, nil
}

// valueLine is a parsed "VALUE key flags bytes".
type valueLine struct {
	key   []byte
	flags uint32
	size  int
}

// parseValueLine takes exactly the form above: single spaces, plain numbers.
func parseValueLine(line []byte) (v valueLine, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte("VALUE "))
	if !ok {
		return v, false
	}
	key, rest, _ := bytes.Cut(rest, []byte(" "))
	flags, size, _ := bytes.Cut(rest, []byte(" "))
	f, flagsOK := parseNumber(flags)
	n, sizeOK := parseNumber(size)
	return valueLine{key: key, flags: f, size: int(n)}, len(key) > 0 && flagsOK && sizeOK
}

func parseNumber(text []byte) (uint32, bool) {
	if len(text) == 0 || len(text) > 10 || text[0] == '0' && len(text) > 1 {
		return 0, false
	}
	n := uint64(0)
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return uint32(n), n <= math.MaxUint32
}
