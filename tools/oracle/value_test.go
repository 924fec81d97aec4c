package oracle

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// TestWrongBytes spoils a value of two chunks in each way.
func TestWrongBytes(t *testing.T) {
	o := New(Options{Keys: 2, Run: 7})
	set, add, other := o.Begin(Set, 0, 0), o.Begin(Append, 0, 0), o.Begin(Set, 1, 0)
	value := add.Value(set.Value(nil, 101), ChunkSize)
	set.Applied()
	add.Applied()
	foreign := New(Options{Keys: 1, Run: 8}).Begin(Set, 0, 0)
	for _, row := range []struct {
		what  string
		value []byte
		want  string
	}{
		{"nothing", value, ""},
		{"another key's", other.Value(nil, 50), "a value of key 1"},
		{"another run's", foreign.Value(nil, 50), "wrong check"},
		{"a byte short", value[:len(value)-1], "23 bytes are too few, in the chunk at offset 101 of 124"},
		{"a chunk short and a byte", value[:100], "cut to 100 of 101 bytes"},
		{"a byte long", append(slices.Clone(value), 0), "1 bytes are too few"},
		{"a chunk of zeros", make([]byte, ChunkSize), "wrong check"},
		{"zeros at the end", append(slices.Clone(value[:64]), make([]byte, len(value)-64)...), "wrong bytes from pattern word 6"},
		{"a hole", slices.Replace(slices.Clone(value), 40, 48, 0, 0, 0, 0, 0, 0, 0, 0), "wrong bytes from pattern word 3"},
		{"the end of another", append(slices.Clone(value[:24]), other.Value(nil, 101)[24:]...), "wrong bytes from pattern word 1"},
		{"no base", value[101:], "not where it belongs"},
		{"empty", nil, "no base in 0 bytes"},
	} {
		if _, bad := o.parse(0, row.value); (bad == "") != (row.want == "") || !strings.Contains(bad, row.want) {
			t.Errorf("%s: %q, want %q", row.what, bad, row.want)
		}
	}
	for bit := range len(value) * 8 {
		spoilt := bytes.Clone(value)
		spoilt[bit/8] ^= 1 << (bit % 8)
		if _, v := o.Begin(Get, 0, 0).Got(spoilt); v != Wrong {
			t.Errorf("bit %d flipped: %v", bit, v)
		}
	}
}

// TestWrongDigits: a number that was not written is told from one that was.
func TestWrongDigits(t *testing.T) {
	o := New(Options{Keys: 1, Run: 7, Digits: func(uint32) bool { return true }})
	set := o.Begin(Set, 0, 0)
	value := set.Value(nil, 0)
	set.Applied()
	for _, spoilt := range []string{"", "0", "-1", "x", string(value) + " ", string(value) + "0", string(value[:5]), "1" + string(value)} {
		if _, v := o.Begin(Get, 0, 0).Got([]byte(spoilt)); v != Wrong {
			t.Errorf("%q: %v", spoilt, v)
		}
	}
	if _, v := o.Begin(Get, 0, 0).Got(value); v != Fine {
		t.Errorf("%q: %v", value, v)
	}
}

// TestCASNumbers: a new value has a higher number than any of an earlier run.
func TestCASNumbers(t *testing.T) {
	o := New(Options{Keys: 2})
	store := func(key uint32) []byte {
		set := o.Begin(Set, key, 0)
		defer set.Applied()
		return set.Value(nil, 50)
	}
	old, other := store(0), store(1)
	for i, step := range []struct {
		key   uint32
		value *[]byte
		cas   uint64
		want  Verdict
	}{
		{0, &old, 100, Fine}, {1, &other, 99, Fine},
		{0, nil, 0, Fine}, // a restart
		{0, &old, 100, Fine}, {1, &other, 100, Wrong}, {1, &other, 101, Fine}, {1, &other, 102, Fine},
		{0, nil, 0, Fine},
		{1, &other, 102, Wrong}, {1, &other, 103, Fine},
	} {
		if step.value == nil {
			o.Restart(false)
			other = store(1)
			continue
		}
		if _, v := o.Begin(Get, step.key, 0).GotCAS(*step.value, step.cas); v != step.want {
			t.Errorf("step %d: %v, want %v", i, v, step.want)
		}
	}
}
