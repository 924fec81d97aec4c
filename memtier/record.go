package memtier

import (
	"bytes"
	"sync/atomic"
	"unsafe"
)

// A record is an item's bytes in a segment:
//
//	0        8        16      20      24      24+keyLen  ...+valLen  8*extent
//	│ cas    │ shape  │ flags │ atime │ key     │ value     │ padding │
//
//	shape  63    61 60        36 35     28 27         0
//	      │ state  │ extent 25 │ keyLen 8 │ valLen 28  │
//
// extent is the length of the whole in units of 8 bytes. It is what the record
// had when it was appended and never changes, nor does the key: a segment can
// be walked while values in it are overwritten in place. Everything else
// changes only under the lock of the key's shard.
type record struct{ *header }

type header struct {
	cas   uint64
	shape atomic.Uint64
	flags uint32
	atime uint32
}

const (
	headerBytes = 24
	maxKey      = 1<<keyLenBits - 1

	valLenBits  = 28
	keyLenBits  = 8
	extentBits  = 25
	keyLenShift = valLenBits
	extentShift = keyLenShift + keyLenBits
	stateShift  = extentShift + extentBits
)

// These fail to compile if the drawing is not true.
var (
	_ [headerBytes - unsafe.Sizeof(header{})]byte
	_ [unsafe.Sizeof(header{}) - headerBytes]byte
	_ [64 - stateShift - 3]byte
)

// unitsFor is the extent of a record.
func unitsFor(keyLen, valLen int) uint64 {
	return uint64(headerBytes+keyLen+valLen+7) >> unitShift
}

// RecordBytes is what an item takes of a segment, in bytes: its header, key and
// value.
func RecordBytes(keyLen, valLen int) int { return int(unitsFor(keyLen, valLen)) << unitShift }

func makeShape(keyLen, valLen int, extent uint64, s State) uint64 {
	return uint64(valLen) | uint64(keyLen)<<keyLenShift | extent<<extentShift | uint64(s)<<stateShift
}

func (r record) valLen() int    { return int(r.shape.Load() & (1<<valLenBits - 1)) }
func (r record) keyLen() int    { return int(uint8(r.shape.Load() >> keyLenShift)) }
func (r record) extent() uint64 { return r.shape.Load() >> extentShift & (1<<extentBits - 1) }
func (r record) state() State   { return State(r.shape.Load() >> stateShift) }

func (r record) data(from, n int) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(r.header), headerBytes+from)), n)
}

func (r record) key() []byte { return r.data(0, r.keyLen()) }

func (r record) value() []byte { return r.data(r.keyLen(), r.valLen()) }

// room is the space that a value in this record may take.
func (r record) room() []byte {
	return r.data(r.keyLen(), int(r.extent())<<unitShift-headerBytes-r.keyLen())
}

func (r record) hasKey(key []byte) bool { return bytes.Equal(r.key(), key) }

// set changes the length of the value and the state.
func (r record) set(valLen int, s State) {
	if shape := makeShape(r.keyLen(), valLen, r.extent(), s); shape != r.shape.Load() {
		r.shape.Store(shape)
	}
}

// fetched notes that the slot has counted reads, before these are forgotten.
func (r record) fetched(p *slot) {
	if s := r.state(); p.reads() > 0 && s&Fetched == 0 {
		r.set(r.valLen(), s|Fetched)
	}
}

// fits tells whether a value of n bytes may be written over the one there
// without leaving more than half of the record unused.
func (r record) fits(n int) bool {
	units := unitsFor(r.keyLen(), n)
	return units <= r.extent() && (units >= r.extent()/2 || r.extent() <= 8)
}

// init writes key and sizes.
func (r record) init(key []byte, valLen int, extent uint64, s State) {
	r.shape.Store(makeShape(len(key), valLen, extent, s))
	copy(r.data(0, len(key)), key)
}

// stamp notes a read. The cache line is left clean within a second.
func (r record) stamp(now uint32) {
	if r.atime != now {
		r.atime = now
	}
}

// describe fills in what the record knows and the slot does not.
func (r record) describe(it *Item) {
	shape := r.shape.Load()
	it.Flags, it.CAS, it.Atime = r.flags, r.cas, r.atime
	it.ValueLen, it.State = int(shape&(1<<valLenBits-1)), State(shape>>stateShift)
}
