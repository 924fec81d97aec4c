package loadgen

import (
	"fmt"

	"github.com/hearthcache/hearth/tools/seeded"
)

// arrival is a value on its way in: what it should be and what was seen so far.
type arrival struct {
	ask     ask
	flags   uint32
	size    int // as the server said
	off     int // bytes checked
	version uint64
	stream  seeded.Stream
	bad     int // offset of the first wrong byte, or -1
	got     byte
}

// begin starts on a value whose first bytes are head: at least seeded.HeadSize of
// them, or all.
func (a *arrival) begin(head []byte) {
	a.version = seeded.VersionIn(a.ask.key, head)
	a.stream = seeded.NewStream(a.ask.key, a.version, a.size)
	a.bad = -1
}

// take checks the next bytes of the value.
func (a *arrival) take(chunk []byte) {
	if a.bad < 0 {
		if a.bad = a.stream.Check(chunk, a.off); a.bad >= 0 {
			a.got = chunk[a.bad-a.off]
		}
	}
	a.off += len(chunk)
}

// verdict says what is wrong with the whole value: nothing if both are false.
// wanted is the size the key's value should have, newest the highest version
// that can have been stored. A value too short for a version cannot be stale.
func (a *arrival) verdict(wanted int, newest uint64) (wrong, stale bool) {
	if a.size != wanted || a.bad >= 0 || a.flags != keyFlags(a.ask.key) {
		return true, false
	}
	versioned := a.size >= seeded.HeadSize
	return versioned && a.version > newest, versioned && a.version < a.ask.version
}

// describe is verdict in words.
func (a *arrival) describe(name []byte, wanted int, newest uint64) string {
	switch {
	case a.size != wanted:
		return fmt.Sprintf("key %s: %d bytes, want %d", name, a.size, wanted)
	case a.bad >= 0:
		return fmt.Sprintf("key %s: byte %d of %d is %#02x, want %#02x (version %d)",
			name, a.bad, a.size, a.got, a.stream.ByteAt(a.bad), a.version)
	case a.flags != keyFlags(a.ask.key):
		return fmt.Sprintf("key %s: flags %d, want %d", name, a.flags, keyFlags(a.ask.key))
	case a.version > newest:
		return fmt.Sprintf("key %s: version %d was never stored, the newest is %d", name, a.version, newest)
	}
	return fmt.Sprintf("key %s: stale, version %d: overwritten, deleted or expired before the get was sent, %d is the oldest that may come",
		name, a.version, a.ask.version)
}
