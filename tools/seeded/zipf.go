package seeded

import "math"

// Zipf draws ranks 1..n with a probability proportional to rank^-alpha, for any
// alpha > 0, exactly and without a table: W. Hörmann and G. Derflinger,
// "Rejection-inversion to generate variates from monotone discrete
// distributions" (1996).
type Zipf struct {
	alpha       float64
	n           float64
	first, last float64 // of the integral, over the ranks' whole range
	accept      float64 // a draw this close to its rank needs no further test
}

// NewZipf has ranks up to n, for an alpha above 0.
func NewZipf(alpha float64, n uint64) *Zipf {
	z := &Zipf{alpha: alpha, n: float64(n)}
	z.first = z.integral(1.5) - 1
	z.last = z.integral(z.n + 0.5)
	z.accept = 2 - z.inverse(z.integral(2.5)-z.height(2))
	return z
}

// Draw is a rank, less one.
func (z *Zipf) Draw(r *Rand) uint64 {
	for {
		u := z.last + r.Float()*(z.first-z.last)
		x := z.inverse(u)
		k := math.Max(1, math.Min(z.n, math.Floor(x+0.5)))
		if k-x <= z.accept || u >= z.integral(k+0.5)-z.height(k) {
			return uint64(k) - 1
		}
	}
}

func (z *Zipf) height(x float64) float64 { return math.Exp(-z.alpha * math.Log(x)) }

// integral of height from 1 to x.
func (z *Zipf) integral(x float64) float64 {
	l := math.Log(x)
	return expm1Over((1-z.alpha)*l) * l
}

func (z *Zipf) inverse(u float64) float64 {
	t := math.Max(-1, u*(1-z.alpha))
	return math.Exp(log1pOver(t) * u)
}

// expm1Over is (e^x - 1) / x, also near 0.
func expm1Over(x float64) float64 {
	if math.Abs(x) > 1e-8 {
		return math.Expm1(x) / x
	}
	return 1 + x/2
}

// log1pOver is log(1 + x) / x, also near 0.
func log1pOver(x float64) float64 {
	if math.Abs(x) > 1e-8 {
		return math.Log1p(x) / x
	}
	return 1 - x/2
}
