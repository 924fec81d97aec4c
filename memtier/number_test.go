package memtier

import (
	"math"
	"testing"
)

func TestParseNumber(t *testing.T) {
	for _, c := range []struct {
		in   string
		want uint64
		ok   bool
	}{
		{"0", 0, true}, {"007", 7, true}, {"18446744073709551615", math.MaxUint64, true},
		{"18446744073709551616", 0, false}, {"99999999999999999999", 0, false},
		{"5    ", 5, true}, {" 5", 5, true}, {"\t+5", 5, true}, {"12 abc", 12, true},
		{"12abc", 0, false}, {"abc", 0, false}, {"", 0, false}, {" ", 0, false}, {"+", 0, false},
		{"-1", 0, false}, {"-0", 0, true}, {"--1", 0, false}, {"0x10", 0, false}, {"1.5", 0, false},
		{"00000000000000000000000000001", 1, true},
	} {
		if n, ok := ParseNumber([]byte(c.in)); n != c.want || ok != c.ok {
			t.Errorf("%q: %d %v, want %d %v", c.in, n, ok, c.want, c.ok)
		}
	}
}

func TestAdvance(t *testing.T) {
	for _, c := range []struct {
		n, delta uint64
		decr     bool
		want     uint64
	}{
		{1, 2, false, 3}, {math.MaxUint64, 1, false, 0}, {5, 3, true, 2}, {5, 9, true, 0}, {0, math.MaxUint64, true, 0},
	} {
		if n := Advance(c.n, c.delta, c.decr); n != c.want {
			t.Errorf("%+v: %d", c, n)
		}
	}
}

func TestIncr(t *testing.T) {
	tier := newTier(t, Options{Limit: 8 << 20})
	incr := func(delta uint64, decr bool, want string, status Status) {
		t.Helper()
		_, it, st := tier.incr(tier.Hash([]byte("k")), []byte("k"), delta, decr, 7, 0, 1)
		out, got, _ := get(tier, "k")
		if st != status || string(out) != want || st == Stored && (it != got && it.Accessed == got.Accessed || it.CAS != 7) {
			t.Errorf("%v, %q, want %v, %q; %+v %+v", st, out, status, want, it, got)
		}
	}
	incr(1, false, "", NotFound)
	put(t, tier, "k", []byte("99"), 1)
	incr(1, false, "100", Stored)
	incr(1, true, "99 ", Stored)
	incr(1000, true, "0  ", Stored)
	incr(math.MaxUint64, false, "18446744073709551615", Stored)
	incr(2, false, "1                   ", Stored)
	put(t, tier, "k", []byte("7 and what else was behind it, to the end"), 1)
	incr(5, false, "12                                       ", Stored)
	put(t, tier, "k", []byte("x"), 1)
	incr(5, false, "x", NotNumeric)
	if _, _, st := tier.incr(tier.Hash([]byte("k")), []byte("k"), 1, false, 8, 99, 1); st != Exists {
		t.Error(st)
	}
}

// incr is a Store that adds to a number, or takes from it.
func (t *Tier) incr(h uint64, key []byte, delta uint64, decr bool, newCAS, expect uint64, now uint32) (uint64, Item, Status) {
	w := Write{Hash: h, Key: key, Mode: Incr, Delta: delta, NewCAS: newCAS, Compare: expect != 0, Expect: expect}
	if decr {
		w.Mode = Decr
	}
	st := t.Store(&w, now)
	return w.Number, w.NewItem, st
}
