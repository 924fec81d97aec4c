// Package seeded has what load generators make from a seed: random numbers,
// ranks by Zipf's law, orders without a table, and the bytes of values, which can
// be checked without being kept. The same seed gives the same on every machine.
package seeded

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

// Mix spreads x over 64 bits (the finaliser of splitmix64, a bijection).
func Mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Rand is splitmix64: one addition and one mix a number.
type Rand struct{ state uint64 }

// NewRand begins a sequence; each state has its own.
func NewRand(state uint64) Rand { return Rand{state: state} }

// Next is uniform in 64 bits.
func (r *Rand) Next() uint64 {
	r.state += golden
	return Mix(r.state)
}

// Below is uniform in [0, n).
func (r *Rand) Below(n uint64) uint64 {
	hi, _ := bits.Mul64(r.Next(), n)
	return hi
}

// Float is uniform in [0, 1).
func (r *Rand) Float() float64 { return float64(r.Next()>>11) / (1 << 53) }
