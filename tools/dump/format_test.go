package dump

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write the golden file of the current version")

const goldenPath = "testdata/v1.dump"

// golden is a dump with all that one can have.
func golden(t testing.TB) []byte {
	var buf bytes.Buffer
	h := header{begun: time.Unix(1795377138, 0)}
	copy(h.id[:], "the id of a dump")
	buf.Write(h.append(nil))
	w := newWriter(&buf)
	for i, it := range []item{
		{key: []byte("plain"), value: []byte("value\r\n")},
		{key: []byte("\x00\xff \n"), value: []byte{}, flags: 1<<32 - 1},
		{key: bytes.Repeat([]byte("k"), 250), value: bytes.Repeat([]byte("v"), 300), expires: 4000000000},
	} {
		if err := errors.Join(w.add(&it, uint64(i)), w.flush(uint64(2*i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.end(9); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// list reads all of a dump.
func list(b []byte) (string, error) {
	r, err := newReader(bytes.NewReader(b))
	if err != nil {
		return "", err
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s %d\n", r.header.id, r.header.begun.Unix())
	err = r.each(func(j *loading) bool {
		fmt.Fprintf(&out, "%q %q %d %d, key %d\n", j.key, j.value, j.flags, j.expires, r.block.position)
		return true
	})
	return out.String(), err
}

// TestGolden: what a released version wrote is read as it was meant, byte for byte.
func TestGolden(t *testing.T) {
	if *rewrite {
		if err := os.WriteFile(goldenPath, golden(t), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(goldenPath)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, golden(t)) {
		t.Errorf("%s is written otherwise now:\n%s", goldenPath, hex.Dump(golden(t)))
	}
	want := "the id of a dump 1795377138\n" +
		`"plain" "value\r\n" 0 0, key 0` + "\n" +
		`"\x00\xff \n" "" 4294967295 0, key 2` + "\n" +
		fmt.Sprintf("%q %q 0 4000000000, key 4\n", strings.Repeat("k", 250), strings.Repeat("v", 300))
	if got, err := list(b); err != nil || got != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
}

// TestDamage: no damaged byte, and no cut, goes unseen, and the error says where the
// part begins that has it.
func TestDamage(t *testing.T) {
	whole := golden(t)
	want, err := list(whole)
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole {
		for _, with := range []byte{1, 0x80, 0xff} {
			b := bytes.Clone(whole)
			b[at] ^= with
			wants(t, fmt.Sprintf("byte %d changed", at), at, b, want)
		}
		wants(t, fmt.Sprintf("cut at %d", at), at, whole[:at], want)
	}
}

func wants(t *testing.T, what string, at int, b []byte, whole string) {
	t.Helper()
	got, err := list(b)
	var format *FormatError
	switch {
	case !errors.As(err, &format):
		t.Errorf("%s: %v", what, err)
	case format.Offset > int64(at):
		t.Errorf("%s: said to be at %d", what, format.Offset)
	case !strings.HasPrefix(whole, got):
		t.Errorf("%s: read as %q", what, got)
	}
}

// TestRefused: each kind of bad file is told as what it is.
func TestRefused(t *testing.T) {
	whole := golden(t)
	newer := bytes.Clone(whole)
	newer[8] = 2
	miscounted := func(items uint32) []byte {
		it := item{key: []byte("k"), value: []byte("v")}
		payload := it.append(nil)
		k := block{kind: kindItems, length: uint32(len(payload)), items: items, crc: checksum(payload)}
		return append(k.append(bytes.Clone(whole[:headerSize])), payload...)
	}
	for _, row := range []struct {
		b    []byte
		want string
	}{
		{nil, "header at byte 0: not a dump of hearth"},
		{[]byte(strings.Repeat("set a 0 0 1\r\na\r\n", 9)), "header at byte 0: not a dump of hearth"},
		{newer, "header at byte 0: a dump of another version, 2"},
		{whole[:headerSize], "block at byte 40: cut short"},
		{whole[:len(whole)-blockSize], fmt.Sprintf("block at byte %d: cut short", len(whole)-blockSize)},
		{miscounted(2), "item at byte 78: damaged"},
		{miscounted(0), "item at byte 72: damaged"},
	} {
		if _, err := list(row.b); err == nil || err.Error() != row.want {
			t.Errorf("%.30q: %v, want %s", row.b, err, row.want)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(golden(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := newReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		for err == nil {
			if err = r.nextBlock(); err == nil && r.payload.Len() > len(b) {
				t.Fatalf("%d bytes of %d", r.payload.Len(), len(b))
			}
			for ok := err == nil; ok; {
				_, ok, err = r.nextItem()
			}
		}
		if !errors.Is(err, io.EOF) && !errors.As(err, new(*FormatError)) {
			t.Fatal(err)
		}
	})
}
