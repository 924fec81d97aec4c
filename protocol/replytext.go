package protocol

import "strconv"

// Lines of the text protocol that are no outcome.
const (
	End        = "END\r\n"
	OK         = "OK\r\n"
	Reset      = "RESET\r\n"
	Error      = "ERROR\r\n"
	BadFormat  = "CLIENT_ERROR bad command line format\r\n"
	BadChunk   = "CLIENT_ERROR bad data chunk\r\n"
	BadExptime = "CLIENT_ERROR invalid exptime argument\r\n"
	BadDelta   = "CLIENT_ERROR invalid numeric delta argument\r\n"
)

// valueGap is the longest " flags length cas\r\n" of a VALUE line, with room
// for the line end after the value, so that endText never grows the buffer.
const valueGap = len(" 4294967295 2147483647 18446744073709551615\r\n") + len("\r\n")

func beginText(dst, key []byte) (out []byte, mark int) {
	dst = append(dst, "VALUE "...)
	dst = append(dst, key...)
	mark = len(dst)
	var gap [valueGap]byte
	return append(dst, gap[:]...), mark
}

// endText writes the rest of the header, moves the value up against it and ends
// the line.
func endText(dst []byte, mark int, flags uint32, cas uint64, withCAS bool) []byte {
	value := dst[mark+valueGap:]
	head := appendTextHead(dst[:mark], flags, len(value), cas, withCAS)
	n := copy(head[len(head):len(head)+len(value)], value)
	return append(head[:len(head)+n], '\r', '\n')
}

// appendTextHead appends what stands between the key and a value of size bytes.
func appendTextHead(head []byte, flags uint32, size int, cas uint64, withCAS bool) []byte {
	head = append(head, ' ')
	head = strconv.AppendUint(head, uint64(flags), 10)
	head = append(head, ' ')
	head = strconv.AppendUint(head, uint64(size), 10)
	if withCAS {
		head = append(head, ' ')
		head = strconv.AppendUint(head, cas, 10)
	}
	return append(head, '\r', '\n')
}

// AppendNumber appends v as a line: the reply to incr and decr in text.
func AppendNumber(dst []byte, v uint64) []byte {
	return append(strconv.AppendUint(dst, v, 10), '\r', '\n')
}

func appendLine(dst []byte, head, rest string) []byte {
	dst = append(dst, head...)
	dst = append(dst, rest...)
	return append(dst, '\r', '\n')
}
