package seeded

import "math/bits"

// Permutation is a bijection of [0, n) that needs no memory: a few invertible
// steps on the smallest power of two that covers n, repeated while the outcome
// is not below n (fewer than two times on average).
type Permutation struct {
	n, mask    uint64
	shift      uint
	multiplier [3]uint64 // odd, hence invertible
	offset     [3]uint64
}

// NewPermutation is the order of [0, n) that belongs to seed.
func NewPermutation(n, seed uint64) Permutation {
	width := uint(bits.Len64(n - 1))
	p := Permutation{n: n, mask: 1<<width - 1, shift: width/2 + 1}
	r := NewRand(seed)
	for i := range p.multiplier {
		p.multiplier[i] = r.Next() | 1
		p.offset[i] = r.Next()
	}
	return p
}

// At is the place of i.
func (p *Permutation) At(i uint64) uint64 {
	for {
		i = p.step(i)
		if i < p.n {
			return i
		}
	}
}

func (p *Permutation) step(x uint64) uint64 {
	for i := range p.multiplier {
		x = (x*p.multiplier[i] + p.offset[i]) & p.mask
		x ^= x >> p.shift
	}
	return x
}
