package meta

import "github.com/hearthcache/hearth/protocol"

// DecodeKey decodes the key of a Request that Parse has filled, in place, if it
// came in base64. It must be called once.
func DecodeKey(r *protocol.Request) {
	if r.Base64 {
		r.Key = r.Key[:decodeKey(r.Key, r.Key)]
	}
}

func validKey(key []byte) bool {
	var decoded [protocol.MaxKey]byte
	return len(key) <= protocol.MaxKey && decodeKey(decoded[:], key) > 0
}

// decodeKey decodes key into dst, which may be key itself, and returns the
// length, 0 if it cannot be decoded. As memcached does it, characters that are
// not of base64 are passed over, those left must be a multiple of four, and the
// first four that end in padding are the last.
func decodeKey(dst, key []byte) int {
	count := 0
	for _, c := range key {
		if sextets[c] < 64 {
			count++
		}
	}
	if count == 0 || count%4 != 0 {
		return 0
	}
	var quad uint32
	n, digits, padding := 0, 0, 0
	for _, c := range key {
		if sextets[c] >= 64 {
			continue
		}
		if c == '=' {
			padding++
		}
		quad = quad<<6 | uint32(sextets[c])
		if digits++; digits%4 != 0 {
			continue
		}
		dst[n], dst[n+1], dst[n+2] = byte(quad>>16), byte(quad>>8), byte(quad)
		n += 3
		if padding > 2 {
			return 0
		}
		if padding > 0 {
			return n - padding
		}
	}
	return n
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// sextets are the values of base64's characters, 255 for others. Padding counts
// as one of value 0.
var sextets = func() (table [256]byte) {
	for c := range table {
		table[c] = 255
	}
	for value, c := range []byte(alphabet) {
		table[c] = byte(value)
	}
	table['='] = 0
	return table
}()
