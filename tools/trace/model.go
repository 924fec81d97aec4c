package trace

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/hearthcache/hearth/tools/seeded"
)

// state is what the replay knows of a key. Requests are executed in the order in
// which they are sent, so what a get may find is known when it is sent.
type state struct {
	issued  uint32 // version of the last write that was sent, 0: none
	oldest  uint32 // that may be found: older ones were overwritten or deleted
	changes uint32 // prepends or increments sent since the last set
	applied uint32 // of those, how many were answered as done
	size    uint32 // of the last set
	counter bool
}

// model has the state of every key, by its number.
type model struct{ keys []state }

func (m *model) at(key uint64) *state {
	if n := int(key) + 1; n > len(m.keys) {
		m.keys = slices.Grow(m.keys, n-len(m.keys))[:n]
	}
	return &m.keys[key]
}

// set is told that a set was sent; nothing older can be found from now on.
func (s *state) set(size int) (version uint32) {
	s.issued++
	s.oldest, s.changes, s.applied, s.size = s.issued, 0, 0, uint32(size)
	return s.issued
}

// try is told of a write that may be refused.
func (s *state) try(size int) (version uint32) {
	s.issued++
	s.applied, s.size = 0, uint32(size)
	return s.issued
}

// remove is told that a delete was sent.
func (s *state) remove() {
	s.issued++
	s.oldest, s.changes, s.applied = s.issued, 0, 0
}

// A number is counterBase + version<<counterShift + increments: always 20 digits.
const (
	counterBase   = 10_000_000_000_000_000_000
	counterShift  = 24
	counterDigits = 20
	// pieceSize is the length of what a prepend adds.
	pieceSize = 32
	pieceSalt = 0x7069656365 << 20
)

// appendValue appends the value of a key's version.
func appendValue(dst []byte, key uint64, version uint32, size int, counter bool) []byte {
	if counter {
		return strconv.AppendUint(dst, counterBase+uint64(version)<<counterShift, 10)
	}
	return appendStream(dst, key, uint64(version)<<32|uint64(size), size)
}

// appendPiece appends what the nth prepend to a key adds.
func appendPiece(dst []byte, key uint64, n uint32) []byte {
	return appendStream(dst, key^pieceSalt, uint64(n), pieceSize)
}

func appendStream(dst []byte, key, version uint64, size int) []byte {
	start := len(dst)
	dst = slices.Grow(dst, size)[:start+size]
	s := seeded.NewStream(key, version, size)
	s.Fill(dst[start:], 0)
	return dst
}

// check tells what is wrong with a value that was found when s was the state of
// its key; "" if nothing is.
func (s *state) check(key uint64, value []byte) string {
	if s.counter {
		return s.checkNumber(value)
	}
	changes := uint32(0)
	for s.changes > 0 && len(value) >= pieceSize {
		n := seeded.VersionIn(key^pieceSalt, value)
		piece := seeded.NewStream(key^pieceSalt, n, pieceSize)
		if n == 0 || n > uint64(s.changes) || piece.Check(value[:pieceSize], 0) >= 0 {
			break
		}
		value = value[pieceSize:]
		changes++
	}
	return s.checkBase(key, value, changes)
}

func (s *state) checkBase(key uint64, value []byte, changes uint32) string {
	told := seeded.VersionIn(key, value)
	base := seeded.NewStream(key, told, len(value))
	if at := base.Check(value, 0); at >= 0 {
		return fmt.Sprintf("byte %d of %d is wrong", at, len(value))
	}
	if len(value) < seeded.HeadSize {
		return ""
	}
	if size := int(uint32(told)); size != len(value) {
		return fmt.Sprintf("%d bytes of a value of %d", len(value), size)
	}
	return s.checkVersion(told>>32, changes)
}

func (s *state) checkNumber(value []byte) string {
	n, err := strconv.ParseUint(string(value), 10, 64)
	if err != nil || n < counterBase {
		return fmt.Sprintf("%.40q is not the number", value)
	}
	n -= counterBase
	return s.checkVersion(n>>counterShift, uint32(n)&(1<<counterShift-1))
}

func (s *state) checkVersion(version uint64, changes uint32) string {
	switch {
	case version < uint64(s.oldest) || version == 0:
		return fmt.Sprintf("stale: write %d of the key, and %d was done before", version, s.oldest)
	case version > uint64(s.issued):
		return fmt.Sprintf("write %d of the key, of which there were %d", version, s.issued)
	case changes < s.applied || changes > s.changes:
		return fmt.Sprintf("changed %d times, and between %d and %d were done", changes, s.applied, s.changes)
	}
	return ""
}
