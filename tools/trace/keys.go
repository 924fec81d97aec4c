package trace

import "strconv"

// appendKey appends a key's text: its number in base 36, padded with zeroes to
// size. Keys of different numbers differ, whatever their sizes, since a number
// has one size.
func appendKey(dst []byte, number uint64, size int) []byte {
	var digits [16]byte
	text := strconv.AppendUint(digits[:0], number, 36)
	for range size - len(text) {
		dst = append(dst, '0')
	}
	return append(dst, text...)
}
