package loadgen

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hearthcache/hearth/tools/seeded"
)

// Dist is the order in which keys are asked for.
type Dist struct {
	shape shape
	alpha float64
}

type shape uint8

const (
	uniform    shape = iota
	zipfian          // ranks spread over the keys by a permutation
	sequential       // 0, 1, 2, ... and again
	shuffle          // each key once in random order, then again in another
)

var shapeNames = [...]string{"uniform", "zipf", "sequential", "shuffle"}

// The distributions that need no parameter.
var (
	Uniform    = Dist{shape: uniform}
	Sequential = Dist{shape: sequential}
	Shuffle    = Dist{shape: shuffle}
)

// Zipf is the distribution of that exponent, the hot keys anywhere.
func Zipf(alpha float64) Dist { return Dist{shape: zipfian, alpha: alpha} }

// ParseDist reads uniform, zipf:ALPHA, sequential or shuffle.
func ParseDist(text string) (Dist, error) {
	name, parameter, given := strings.Cut(text, ":")
	for i, known := range shapeNames {
		if name == known && given == (shape(i) == zipfian) {
			return parseShape(shape(i), parameter)
		}
	}
	return Dist{}, fmt.Errorf("distribution %q: want uniform, zipf:ALPHA, sequential or shuffle", text)
}

func parseShape(s shape, parameter string) (Dist, error) {
	if s != zipfian {
		return Dist{shape: s}, nil
	}
	alpha, err := strconv.ParseFloat(parameter, 64)
	if err != nil || !(alpha > 0 && alpha <= 10) {
		return Dist{}, fmt.Errorf("zipf exponent %q: want a number above 0, at most 10", parameter)
	}
	return Zipf(alpha), nil
}

// String is the text ParseDist reads.
func (d Dist) String() string {
	if d.shape == zipfian {
		return fmt.Sprintf("zipf:%g", d.alpha)
	}
	return shapeNames[d.shape]
}

// passes tells whether d visits every key before any again.
func (d Dist) passes() bool { return d.shape == sequential || d.shape == shuffle }

// picker turns the running number of a key operation into a key.
type picker struct {
	dist Dist
	keys uint64
	seed uint64
	rng  seeded.Rand
	zipf *seeded.Zipf
	perm seeded.Permutation
	pass uint64 // perm belongs to this pass
}

func newPicker(d Dist, keys, seed, worker uint64) *picker {
	p := &picker{dist: d, keys: keys, seed: seeded.Mix(seed)}
	p.rng = seeded.NewRand(seeded.Mix(p.seed + worker))
	p.perm = seeded.NewPermutation(keys, p.seed)
	if d.shape == zipfian {
		p.zipf = seeded.NewZipf(d.alpha, keys)
	}
	return p
}

// key is the key of operation number i. Only sequential and shuffle look at i.
func (p *picker) key(i uint64) uint64 {
	switch p.dist.shape {
	case uniform:
		return p.rng.Below(p.keys)
	case zipfian:
		return p.perm.At(p.zipf.Draw(&p.rng))
	case sequential:
		return i % p.keys
	}
	if pass := i / p.keys; pass != p.pass {
		p.pass, p.perm = pass, seeded.NewPermutation(p.keys, p.seed+pass)
	}
	return p.perm.At(i % p.keys)
}
