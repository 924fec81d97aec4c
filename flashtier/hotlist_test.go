package flashtier

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hearthcache/hearth/ioq/ioqtest"
)

const goldenSeed = 0x0123456789abcdef

var goldenHashes = []uint64{1, 0xfedcba9876543210, 0, 1 << 63}

func goldenHotList(format int) string {
	return filepath.Join("..", "testdata", "hotlist", fmt.Sprintf("v%d", format), "some.hot")
}

// TestHotListGolden holds what is written, and what is understood, to the file of
// each format.
func TestHotListGolden(t *testing.T) {
	path := goldenHotList(hotListVersion)
	if err := golden(path, hotListVersion, encodeHotList(goldenSeed, goldenHashes), *update, *force); err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decodeHotList(b, goldenSeed); err != nil || !slices.Equal(got, goldenHashes) {
		t.Errorf("%v, %x", err, got)
	}
}

// TestHotListDamage flips every bit and cuts at every length: none is believed,
// and a newer format is called that.
func TestHotListDamage(t *testing.T) {
	whole := encodeHotList(goldenSeed, goldenHashes)
	if _, err := decodeHotList(whole, goldenSeed); err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(whole) {
		b := bytes.Clone(whole)
		b[bit/8] ^= 1 << (bit % 8)
		if got, err := decodeHotList(b, goldenSeed); !errors.Is(err, ErrHotList) || got != nil {
			t.Errorf("bit %d: %v, %x", bit, err, got)
		}
	}
	for n := range whole {
		if got, err := decodeHotList(whole[:n], goldenSeed); !errors.Is(err, ErrHotList) || got != nil {
			t.Errorf("%d bytes: %v, %x", n, err, got)
		}
	}
	if _, err := decodeHotList(append(bytes.Clone(whole), make([]byte, 8)...), goldenSeed); !errors.Is(err, ErrHotList) {
		t.Errorf("too long: %v", err)
	}
	if _, err := decodeHotList(whole, goldenSeed+1); !errors.Is(err, ErrHotList) {
		t.Errorf("another seed: %v", err)
	}
	newer := bytes.Clone(whole)
	le.PutUint32(newer[8:], hotListVersion+1)
	if _, err := decodeHotList(newer, goldenSeed); !errors.Is(err, ErrHotList) || !strings.Contains(err.Error(), "format 2") {
		t.Errorf("newer: %v", err)
	}
}

// TestHotListFile goes through a directory: no list, one, another in its place,
// one too long, one of another catalog, one that cannot be read.
func TestHotListFile(t *testing.T) {
	disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
	o := testOptions(t, disk, 2)
	tier := open(t, o)
	if got, err := tier.HotList(); !errors.Is(err, fs.ErrNotExist) || got != nil {
		t.Errorf("no list: %v, %x", err, got)
	}
	for _, hashes := range [][]uint64{goldenHashes, {7}, {}} {
		if err := tier.SetHotList(hashes); err != nil {
			t.Fatal(err)
		}
		if got, err := tier.HotList(); err != nil || !slices.Equal(got, hashes) {
			t.Errorf("%v, %x, want %x", err, got, hashes)
		}
	}
	if err := tier.SetHotList(make([]uint64, MostHot+1)); err != nil {
		t.Fatal(err)
	}
	if got, err := tier.HotList(); err != nil || len(got) != MostHot {
		t.Errorf("too long a list: %v, %d hashes", err, len(got))
	}
	path := hotListPath(o.Dir)
	for _, b := range [][]byte{nil, make([]byte, 100), make([]byte, hotListHead+8*MostHot+100), encodeHotList(tier.Seed()+1, goldenHashes)} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := tier.HotList(); !errors.Is(err, ErrHotList) || got != nil {
			t.Errorf("%d bytes: %v, %d hashes", len(b), err, len(got))
		}
	}
	os.Remove(path)
	os.Mkdir(path, 0o700)
	if got, err := tier.HotList(); err == nil || errors.Is(err, fs.ErrNotExist) || got != nil {
		t.Errorf("a directory: %v, %x", err, got)
	}
	if err := tier.SetHotList(goldenHashes); err == nil {
		t.Error("a list takes the place of a directory")
	}
}
