package loadgen

import (
	"strconv"

	"github.com/hearthcache/hearth/tools/seeded"
)

// keyspace says what belongs to a key's number: its text, its value's size and
// exptime, and its client flags. Two runs with the same spans agree on all of them.
type keyspace struct {
	keys, values Span
	ttl          uint32  // of most keys
	expiring     float64 // share of the keys that have one of ttls
	ttls         Span    // seconds
}

func newKeyspace(w *Work) keyspace {
	return keyspace{keys: w.KeySize, values: w.ValueSize, ttl: w.TTL, expiring: w.ExpireShare, ttls: w.ExpireTTL}
}

// shortestKey is the least length at which n keys all differ.
func shortestKey(n uint64) int { return 1 + len(strconv.FormatUint(n-1, 10)) }

func (k *keyspace) keySize(number uint64) int   { return k.keys.at(seeded.Mix(number ^ 0x6b65)) }
func (k *keyspace) valueSize(number uint64) int { return k.values.at(seeded.Mix(number ^ 0x76616c)) }

// ttlSeconds is the exptime sent with a key.
func (k *keyspace) ttlSeconds(number uint64) uint32 {
	h := seeded.Mix(number ^ 0x74746c)
	if float64(h>>11)/(1<<53) >= k.expiring {
		return k.ttl
	}
	return uint32(k.ttls.at(seeded.Mix(h)))
}

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
