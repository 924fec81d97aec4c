package flashtier

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func testRow() row {
	return row{
		version: 0x01020304, format: format1, created: 0x11121314, bucket: 2, live: true, rehash: true,
		extents: []named{
			{seq: 0x2122232425262728, extent: Extent{Start: 4096, Index: 4096 + 5*96, Count: 5}, live: 3},
			{seq: 9, extent: Extent{Start: 8192, Index: 8192 + 64, Count: 1}, live: 1},
		},
	}
}

func testBlob() *blob {
	return &blob{
		page: &page{id: 0xa0b0c0d}, version: 0x01020304, extent: Extent{Start: 4096, Index: 4096 + 5*96, Count: 5},
		seq: 0x2122232425262728, gen: 0x31323334,
		entries: []blobEntry{
			{0x4142434445464748, 512, 0x51525354, 4}, {1, 524, 0, 4}, {2, 560, 7, 255},
		},
	}
}

func (b *blob) value() (key, v []byte) {
	key, v = blobKey(b.page.id, b.version, b.extent.Start), make([]byte, b.size())
	b.encode(key, v)
	return key, v
}

// goldenValues are a value of each kind, and its key.
func goldenValues() map[string][2][]byte {
	m := meta{
		identity: 0x0102030405060708, seed: 0x1112131415161718, incarnation: 0x21222324, pageSize: 64 << 20,
		flushAt: 0x31323334, clean: true, rebuilding: true,
	}
	copy(m.boot[:], "0123456789abcdef")
	s := state{batches: 0x4142434445464748, position: 0x5152535455565758, generation: 0x61626364}
	u := run{id: 0x8182838485868788, before: 0x9192939495969798, incarnation: 0xa1a2a3a4, pending: true}
	r := testRow()
	rowKey := pageKey(keyRow, 0xa0b0c0d)
	blobKey, blobValue := testBlob().value()
	dead := encodeDead([]change{
		{unit: 0x7654321, kind: changeDead}, {unit: 512, kind: changeExptime, exptime: 0x71727374}, {unit: 513, kind: changeExptime},
	})
	return map[string][2][]byte{
		"meta":  {[]byte(keyMeta), m.encode()},
		"run":   {[]byte(keyRun), u.encode()},
		"state": {[]byte(keyState), s.encode()},
		"row":   {rowKey, r.encode(rowKey)},
		"blob":  {blobKey, blobValue},
		"dead":  {lifeKey(keyDead, 0xa0b0c0d, 0x01020304), dead},
		"dead only": {lifeKey(keyDead, 0xa0b0c0d, 0x01020304), encodeDead([]change{
			{unit: 0x7654321, kind: changeDead}, {unit: 512, kind: changeDead},
		})},
	}
}

// decodeValue gives in words what the value of a key says, by the key's first
// byte.
func decodeValue(key, v []byte) (string, error) {
	switch key[0] {
	case keyMeta[0]:
		m, err := decodeMeta(v)
		return fmt.Sprintf("%+v", m), err
	case keyRun[0]:
		r, err := decodeRun(v)
		return fmt.Sprintf("%+v", r), err
	case keyState[0]:
		s, err := decodeState(v)
		return fmt.Sprintf("%+v", s), err
	case keyRow:
		r, err := decodeRow(key, v, testPage)
		return r.text(), err
	case keyBlob:
		b, err := viewBlob(key, v, testRow().extents[0])
		text := fmt.Sprintf("generation %#x", b.gen)
		if err == nil {
			for i := range b.n {
				text += fmt.Sprintf(" %+v", b.entry(i))
			}
		}
		return text, err
	}
	changes, err := decodeDead(v, nil)
	return fmt.Sprintf("%+v", changes), err
}

// TestCatalogGolden checks that values are still written as they were, byte for
// byte, and that those of every version are understood.
func TestCatalogGolden(t *testing.T) {
	names := slices.Sorted(mapKeys(goldenValues()))
	i := slices.Index(names, "run") // which came later, and has a file of its own
	testGoldenValues(t, "values.txt", slices.Concat(names[:i], names[i+1:]))
	testGoldenValues(t, "run.txt", names[i:i+1])
}

func testGoldenValues(t *testing.T, file string, names []string) {
	var text strings.Builder
	values := goldenValues()
	for _, name := range names {
		key, v := values[name][0], values[name][1]
		fmt.Fprintf(&text, "%s\nkey\n%svalue\n%s", name, hex.Dump(key), hex.Dump(v))
		said, err := decodeValue(key, v)
		fmt.Fprintf(&text, "%s, %v\n\n", said, err)
	}
	if err := golden(goldenCatalog(catalogVersion, file), catalogVersion, []byte(text.String()), *update, *force); err != nil {
		t.Errorf("%v\n%s", err, text.String())
	}
}

func mapKeys[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// text is r in the words that the golden values have for it.
func (r row) text() string {
	return fmt.Sprintf("{version:%d created:%d bucket:%d live:%t rehash:%t extents:%+v}",
		r.version, r.created, r.bucket, r.live, r.rehash, r.extents)
}

// TestRowGolden is TestCatalogGolden for the row of a page of the newest format,
// which versions before that format refuse.
func TestRowGolden(t *testing.T) {
	r, key := testRow(), pageKey(keyRow, 0xa0b0c0d)
	r.format = FormatVersion
	v := r.encode(key)
	got := []byte(hex.Dump(v))
	if err := golden(goldenCatalog(FormatVersion, "row.txt"), FormatVersion, got, *update, *force); err != nil {
		t.Errorf("%v\n%s", err, got)
	}
	if again, err := decodeRow(key, v, testPage); err != nil || !reflect.DeepEqual(again, r) {
		t.Errorf("decoded %+v, %v", again, err)
	}
	if err := checkValue(key, v, rowSize, FormatVersion-1); !errors.Is(err, ErrFormat) {
		t.Errorf("read by a version before: %v", err)
	}
}

// TestCatalogValueDamage flips every bit of every value: none is believed. Dead
// sets are guarded by pebble's own checksums.
func TestCatalogValueDamage(t *testing.T) {
	for name, kv := range goldenValues() {
		key, v := kv[0], kv[1]
		if _, err := decodeValue(key, v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if strings.HasPrefix(name, "dead") {
			continue
		}
		for bit := range 8 * len(v) {
			if byteAt := bit / 8; byteAt >= 1 && byteAt <= 3 {
				continue // said to be zero, and not looked at
			}
			bad := bytes.Clone(v)
			bad[bit/8] ^= 1 << (bit % 8)
			want := errCatalog
			newest := byte(catalogVersion)
			if key[0] == keyRow {
				newest = FormatVersion
			}
			if bit < 8 && bad[0] > newest {
				want = ErrFormat
			}
			if _, err := decodeValue(key, bad); !errors.Is(err, want) {
				t.Fatalf("%s with bit %d flipped: %v", name, bit, err)
			}
		}
		for n := range len(v) {
			if _, err := decodeValue(key, v[:n]); !errors.Is(err, errCatalog) {
				t.Fatalf("%s cut to %d bytes: %v", name, n, err)
			}
		}
		if _, err := decodeValue(key, nil); err == nil {
			t.Errorf("%s: nothing was believed", name)
		}
		if len(key) > 1 {
			other := bytes.Clone(key)
			other[len(other)-1]++
			if _, err := decodeValue(other, v); !errors.Is(err, errCatalog) {
				t.Errorf("%s of another key: %v", name, err)
			}
		}
	}
}

// TestRowMustFit checks rows whose sum holds, but which no writer writes.
func TestRowMustFit(t *testing.T) {
	key := pageKey(keyRow, 3)
	for name, spoil := range map[string]func(r *row){
		"more alive than there are": func(r *row) { r.extents[0].live = 6 },
		"no records":                func(r *row) { r.extents[1].extent.Count = 0 },
		"over the page's end":       func(r *row) { r.extents[1].extent.Index = testPage },
		"one over the other":        func(r *row) { r.extents[0].extent.Index = 8192 + 96 },
	} {
		r := testRow()
		spoil(&r)
		if _, err := decodeRow(key, r.encode(key), testPage); !errors.Is(err, errCatalog) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzCatalogValue(f *testing.F) {
	for _, kv := range goldenValues() {
		f.Add(kv[0], kv[1], false)
		f.Add(kv[0], kv[1], true)
	}
	f.Fuzz(func(t *testing.T, key, v []byte, sum bool) {
		if len(key) == 0 {
			return
		}
		if sum && len(v) >= valueSumFrom && key[0] != keyDead {
			sealValue(key, v, catalogVersion)
		}
		decodeValue(key, v) // must not panic
	})
}

// TestDeadSetMerge merges random changes in every kind of grouping: the result is
// always that of one after the other.
func TestDeadSetMerge(t *testing.T) {
	rng := seeded(t)
	for range 300 {
		var all []change
		var operands [][]byte
		want := map[uint32]change{}
		for range 1 + rng.IntN(8) {
			var some []change
			for range rng.IntN(6) {
				c := change{unit: uint32(rng.IntN(6)), kind: changeExptime, exptime: rng.Uint32()}
				if rng.IntN(3) == 0 {
					c.kind, c.exptime = changeDead, 0
				}
				some = append(some, c)
				if want[c.unit].kind != changeDead {
					want[c.unit] = c
				}
			}
			all = append(all, some...)
			operands = append(operands, encodeDead(some))
		}
		got, err := decodeDead(mergeDead(t, rng, operands), nil)
		if got = settleChanges(got); err != nil || len(got) != len(want) {
			t.Fatalf("merged to %+v, %v, want %+v", got, err, want)
		}
		for _, c := range got {
			if want[c.unit] != c {
				t.Fatalf("merged to %+v, want %+v, of %+v", c, want[c.unit], all)
			}
		}
	}
}

// mergeDead merges operands, oldest first, from a random one outwards, parts of
// them merged before.
func mergeDead(t *testing.T, rng *rand.Rand, operands [][]byte) []byte {
	if n := len(operands); n > 2 && rng.IntN(2) == 0 {
		at := 1 + rng.IntN(n-1)
		return mergeDead(t, rng, [][]byte{mergeDead(t, rng, operands[:at]), mergeDead(t, rng, operands[at:])})
	}
	at := rng.IntN(len(operands))
	m, err := deadMerger.Merge(nil, operands[at])
	if err != nil {
		t.Fatal(err)
	}
	for low, high := at, at+1; low > 0 || high < len(operands); {
		if low > 0 && (high == len(operands) || rng.IntN(2) == 0) {
			low--
			err = m.MergeOlder(operands[low])
		} else {
			err = m.MergeNewer(operands[high])
			high++
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	v, closer, err := m.Finish(true)
	if err != nil || closer != nil {
		t.Fatal(err)
	}
	return v
}

func TestDeadSetDamage(t *testing.T) {
	for _, v := range [][]byte{nil, {1}, {1, 0, 0, 0, 1}, {0, 0, 0, 0}, make([]byte, 12), {1, 2, 0, 0}, {1, 0, 0, 0, 1, 0, 0, 0},
		{1, 1, 0, 0, 1, 0, 0, 2 << 4}} {
		if _, err := decodeDead(v, nil); !errors.Is(err, errCatalog) {
			t.Errorf("%x: %v", v, err)
		}
	}
	if _, err := decodeDead([]byte{2, 0, 0, 0}, nil); !errors.Is(err, ErrFormat) {
		t.Errorf("newer: %v", err)
	}
}
