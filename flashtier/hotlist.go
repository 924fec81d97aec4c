package flashtier

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// # The list of hot values
//
// DIR/hot names the values that were worth a copy in RAM at the last graceful
// stop, by the hashes of their keys, the most wanted first. It is advice: who
// reads a value for it finds out whether it is the right one. So nothing is
// synced, a list may be old, and one that cannot be read is done without.
//
//	 0  8  magic "hearthhl"
//	 8  4  format version, 1
//	12  4  CRC-32C of all bytes from 16 on
//	16  8  seed of the hashes
//	24  4  number of hashes, at most 262144
//	28  4  zero
//	32     the hashes, 8 bytes each
//
// Numbers are little endian. The golden file in testdata/hotlist holds this text
// and the code together.
const (
	hotListVersion = 1

	hotListHead  = 32
	hotListMagic = "hearthhl"

	// MostHot is how many hashes a list may have.
	MostHot = 256 << 10
)

// ErrHotList is returned by HotList for a list that is no help.
var ErrHotList = errors.New("flashtier: bad list of hot values")

func hotListPath(dir string) string { return filepath.Join(dir, "hot") }

func encodeHotList(seed uint64, hashes []uint64) []byte {
	b := make([]byte, hotListHead, hotListHead+8*len(hashes))
	copy(b, hotListMagic)
	le.PutUint32(b[8:], hotListVersion)
	le.PutUint64(b[16:], seed)
	le.PutUint32(b[24:], uint32(len(hashes)))
	for _, h := range hashes {
		b = le.AppendUint64(b, h)
	}
	le.PutUint32(b[12:], checksum(b[16:]))
	return b
}

func decodeHotList(b []byte, seed uint64) ([]uint64, error) {
	if len(b) < hotListHead || string(b[:8]) != hotListMagic || le.Uint32(b[8:]) == 0 {
		return nil, fmt.Errorf("%w: not one", ErrHotList)
	}
	if v := le.Uint32(b[8:]); v > hotListVersion {
		return nil, fmt.Errorf("%w: format %d, newest known is %d", ErrHotList, v, hotListVersion)
	}
	n := int(le.Uint32(b[24:]))
	switch {
	case checksum(b[16:]) != le.Uint32(b[12:]):
		return nil, fmt.Errorf("%w: checksum does not hold", ErrHotList)
	case len(b) != hotListHead+8*n:
		return nil, fmt.Errorf("%w: %d bytes for %d hashes", ErrHotList, len(b), n)
	case le.Uint64(b[16:]) != seed:
		return nil, fmt.Errorf("%w: of another catalog", ErrHotList)
	}
	hashes := make([]uint64, n)
	for i := range hashes {
		hashes[i] = le.Uint64(b[hotListHead+8*i:])
	}
	return hashes, nil
}

// SetHotList leaves a list of hashes for a later run's HotList, in place of the
// one there is. What is over MostHot is left out.
func (t *Tier) SetHotList(hashes []uint64) error {
	path := hotListPath(t.opt.Dir)
	b := encodeHotList(t.meta.seed, hashes[:min(len(hashes), MostHot)])
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return fmt.Errorf("flashtier: write list of hot values: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("flashtier: write list of hot values: %w", err)
	}
	return nil
}

// HotList is the list that SetHotList has left last. The error is ErrHotList if
// there is something else, and fs.ErrNotExist if there is nothing.
func (t *Tier) HotList() ([]uint64, error) {
	f, err := os.Open(hotListPath(t.opt.Dir))
	if err != nil {
		return nil, fmt.Errorf("flashtier: read list of hot values: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, hotListHead+8*MostHot+1))
	if err != nil {
		return nil, fmt.Errorf("flashtier: read list of hot values: %w", err)
	}
	return decodeHotList(b, t.meta.seed)
}

// CheckHotList reads the list of hot values in dir, whose hashes are of seed, and
// gives its length. The errors are those of Tier.HotList.
func CheckHotList(dir string, seed uint64) (n int, err error) {
	t := Tier{opt: Options{Dir: dir}, meta: meta{seed: seed}}
	hashes, err := t.HotList()
	return len(hashes), err
}
