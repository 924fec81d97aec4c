package loadgen

import "math/bits"

// golden is 2^64 over the golden ratio: steps of it visit all 64-bit numbers
// evenly.
const golden = 0x9e3779b97f4a7c15

// Steps of golden, modulo 2^64.
const (
	golden2 = 2 * golden % (1 << 64)
	golden3 = 3 * golden % (1 << 64)
	golden4 = 4 * golden % (1 << 64)
)

// mix spreads x over 64 bits (the finaliser of splitmix64, a bijection).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// rng is splitmix64: one addition and one mix a number.
type rng struct{ state uint64 }

func (r *rng) next() uint64 {
	r.state += golden
	return mix(r.state)
}

// below is uniform in [0, n).
func (r *rng) below(n uint64) uint64 {
	hi, _ := bits.Mul64(r.next(), n)
	return hi
}

// float is uniform in [0, 1).
func (r *rng) float() float64 { return float64(r.next()>>11) / (1 << 53) }
