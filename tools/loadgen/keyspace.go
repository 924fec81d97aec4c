package loadgen

import "strconv"

// keyspace says what belongs to a key's number: its text, its value's size and
// its client flags. Two runs with the same spans agree on all of them.
type keyspace struct{ keys, values Span }

// shortestKey is the least length at which n keys all differ.
func shortestKey(n uint64) int { return 1 + len(strconv.FormatUint(n-1, 10)) }

func (k *keyspace) keySize(number uint64) int   { return k.keys.at(mix(number ^ 0x6b65)) }
func (k *keyspace) valueSize(number uint64) int { return k.values.at(mix(number ^ 0x76616c)) }

// keyFlags are the client flags stored with a key.
func keyFlags(number uint64) uint32 { return uint32(number % 100) }

// appendKey appends the key's text: a k, then the number padded with zeroes.
func (k *keyspace) appendKey(dst []byte, number uint64) []byte {
	start := len(dst)
	for range k.keySize(number) {
		dst = append(dst, '0')
	}
	dst[start] = 'k'
	for i := len(dst) - 1; number > 0; i-- {
		dst[i] = byte('0' + number%10)
		number /= 10
	}
	return dst
}
