package protocol

import "strconv"

// The fixed replies, each a whole line.
const (
	End        = "END\r\n"
	OK         = "OK\r\n"
	Stored     = "STORED\r\n"
	NotStored  = "NOT_STORED\r\n"
	Exists     = "EXISTS\r\n"
	NotFound   = "NOT_FOUND\r\n"
	Deleted    = "DELETED\r\n"
	Touched    = "TOUCHED\r\n"
	Reset      = "RESET\r\n"
	NonNumeric = "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
	BadFormat  = "CLIENT_ERROR bad command line format\r\n"
	BadChunk   = "CLIENT_ERROR bad data chunk\r\n"
	BadExptime = "CLIENT_ERROR invalid exptime argument\r\n"
	BadDelta   = "CLIENT_ERROR invalid numeric delta argument\r\n"
	BadDelete  = "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"
	TooLarge   = "SERVER_ERROR object too large for cache\r\n"
	NoMemory   = "SERVER_ERROR out of memory storing object\r\n"
	Error      = "ERROR\r\n"
)

// valueGap is the longest " flags length cas\r\n" of a VALUE line, with room
// for the line end after the value, so that EndValue never grows the buffer.
const valueGap = len(" 4294967295 2147483647 18446744073709551615\r\n") + len("\r\n")

// BeginValue appends the start of a VALUE reply and leaves a gap for what is
// only known once the value has been copied out. The caller appends the value
// and calls EndValue with the mark, or cuts the buffer back to its old length.
func BeginValue(dst, key []byte) (out []byte, mark int) {
	dst = append(dst, "VALUE "...)
	dst = append(dst, key...)
	mark = len(dst)
	var gap [valueGap]byte
	return append(dst, gap[:]...), mark
}

// EndValue completes the VALUE reply begun at mark: it writes the rest of the
// header, moves the value up against it and ends the line.
func EndValue(dst []byte, mark int, flags uint32, cas uint64, withCAS bool) []byte {
	value := dst[mark+valueGap:]
	head := append(dst[:mark], ' ')
	head = strconv.AppendUint(head, uint64(flags), 10)
	head = append(head, ' ')
	head = strconv.AppendUint(head, uint64(len(value)), 10)
	if withCAS {
		head = append(head, ' ')
		head = strconv.AppendUint(head, cas, 10)
	}
	head = append(head, '\r', '\n')
	n := copy(head[len(head):len(head)+len(value)], value)
	return append(head[:len(head)+n], '\r', '\n')
}

// AppendValue appends a whole VALUE reply for a value that is at hand.
func AppendValue(dst, key, value []byte, flags uint32, cas uint64, withCAS bool) []byte {
	dst, mark := BeginValue(dst, key)
	return EndValue(append(dst, value...), mark, flags, cas, withCAS)
}

// AppendNumber appends v as a line: the reply to incr and decr.
func AppendNumber(dst []byte, v uint64) []byte {
	return append(strconv.AppendUint(dst, v, 10), '\r', '\n')
}

// AppendStat appends one line of a stats reply, which ends with End.
func AppendStat(dst []byte, name, value string) []byte {
	dst = append(dst, "STAT "...)
	dst = append(dst, name...)
	dst = append(dst, ' ')
	dst = append(dst, value...)
	return append(dst, '\r', '\n')
}

// AppendStatUint appends one line of a stats reply with a number.
func AppendStatUint(dst []byte, name string, value uint64) []byte {
	dst = append(dst, "STAT "...)
	dst = append(dst, name...)
	dst = append(dst, ' ')
	return AppendNumber(dst, value)
}

// AppendVersion appends the reply to version.
func AppendVersion(dst []byte, version string) []byte {
	dst = append(dst, "VERSION "...)
	dst = append(dst, version...)
	return append(dst, '\r', '\n')
}
