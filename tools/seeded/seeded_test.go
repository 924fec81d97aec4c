package seeded

import (
	"bytes"
	"fmt"
	"math"
	"testing"
)

func TestValueInPieces(t *testing.T) {
	for size := range 70 {
		s := NewStream(42, 7, size)
		whole := make([]byte, size)
		s.Fill(whole, 0)
		for from := range size + 1 {
			for to := from; to <= size; to++ {
				piece := make([]byte, to-from)
				s.Fill(piece, from)
				if !bytes.Equal(piece, whole[from:to]) {
					t.Fatalf("size %d, bytes %d to %d differ from the whole", size, from, to)
				}
				if bad := s.Check(piece, from); bad >= 0 {
					t.Fatalf("size %d, bytes %d to %d: check says %d is wrong", size, from, to, bad)
				}
			}
		}
	}
}

func TestCheckFindsEveryFlippedBit(t *testing.T) {
	s := NewStream(42, 7, 61)
	value := make([]byte, 61)
	for from := range 17 {
		s.Fill(value[from:], from)
		for bit := range (61 - from) * 8 {
			at := from + bit/8
			value[at] ^= 1 << (bit % 8)
			if bad := s.Check(value[from:], from); bad != at {
				t.Fatalf("byte %d spoiled, check from %d says %d", at, from, bad)
			}
			value[at] ^= 1 << (bit % 8)
		}
	}
}

func TestValuesTellKeyAndVersionApart(t *testing.T) {
	seen := map[string]string{}
	for key := range uint64(200) {
		for version := range uint64(50) {
			s, b := NewStream(key, version, 32), make([]byte, 32)
			s.Fill(b, 0)
			name := fmt.Sprint(key, version)
			// Each word alone must tell them apart, so that a mixture is found.
			for i := 0; i < 32; i += 8 {
				word := string(b[i : i+8])
				if other, ok := seen[word]; ok {
					t.Fatalf("%s and %s share bytes", name, other)
				}
				seen[word] = name
			}
			if got := VersionIn(key, b); got != version {
				t.Fatalf("version %d, want %d", got, version)
			}
		}
	}
}

func TestPermutationIsABijection(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 4, 5, 7, 8, 9, 100, 1023, 1024, 1025, 99991} {
		for seed := range uint64(5) {
			p := NewPermutation(n, seed)
			seen := make([]bool, n)
			for i := range n {
				at := p.At(i)
				if at >= n || seen[at] {
					t.Fatalf("n %d seed %d: %d is taken or out of range", n, seed, at)
				}
				seen[at] = true
			}
		}
	}
}

func TestZipfFrequencies(t *testing.T) {
	const n, draws = 1000, 2_000_000
	for _, alpha := range []float64{0.3, 0.99, 1, 1.4} {
		z, r := NewZipf(alpha, n), NewRand(1)
		var counts [n]int
		for range draws {
			counts[z.Draw(&r)]++
		}
		total := 0.0
		for k := 1; k <= n; k++ {
			total += math.Pow(float64(k), -alpha)
		}
		for _, k := range []int{1, 2, 3, 10, 100, 1000} {
			expected := draws * math.Pow(float64(k), -alpha) / total
			if diff := math.Abs(float64(counts[k-1]) - expected); diff > 6*math.Sqrt(expected) {
				t.Errorf("alpha %g rank %d: %d draws, want %.0f", alpha, k, counts[k-1], expected)
			}
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, size := range []int{100, 1024, 65536} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s, value := NewStream(1, 1, size), make([]byte, size)
			s.Fill(value, 0)
			b.SetBytes(int64(size))
			for b.Loop() {
				if s.Check(value, 0) >= 0 {
					b.Fatal("wrong")
				}
			}
		})
	}
}
