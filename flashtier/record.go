package flashtier

import (
	"fmt"

	"github.com/klauspost/crc32"
)

// Record is an item as it lies in a page.
type Record struct {
	Key, Value []byte // slices of the bytes decoded
	Flags      uint32 // the client's
	Exptime    uint32 // unix seconds, 0 never
	CAS        uint64
	State      uint8 // bits that mean something to the caller only
	Addr       Addr  // where it was read from
}

// frame is a frame's header.
type frame struct {
	length  uint32
	version uint32
	exptime uint32
	cas     uint64
	flags   uint32
	keyLen  uint8
	kind    uint8
	state   uint8
}

// recordLen is the length in bytes of a record's frame, padding excluded.
func recordLen(keyLen, valLen int) int64 { return frameSize + int64(keyLen) + int64(valLen) }

// padded is the length in bytes of a frame of length n with its padding.
func padded(n int64) int64 { return alignUp(n, unit) }

// frameSum is the checksum of frame b, which lies at place. The place goes in so
// that a sound frame that a device wrote to, or read from, the wrong place is not
// taken for the one that should be there.
func frameSum(b []byte, place uint64) uint32 {
	crc := ^uint32(0)
	for range 8 { // by hand, because bytes on the stack would escape to the heap
		crc = castagnoli[byte(crc)^byte(place)] ^ crc>>8
		place >>= 8
	}
	return crc32.Update(^crc, castagnoli, b[4:])
}

// seal writes f's header to b, of which the first f.length bytes are otherwise
// complete and will lie at place, and zeroes the padding after them.
func (f *frame) seal(b []byte, place uint64) {
	le.PutUint32(b[4:], f.length)
	le.PutUint32(b[8:], f.version)
	le.PutUint32(b[12:], f.exptime)
	le.PutUint64(b[16:], f.cas)
	le.PutUint32(b[24:], f.flags)
	b[28], b[29], b[30], b[31] = f.keyLen, f.kind, f.state, 0
	clear(b[f.length:padded(int64(f.length))])
	le.PutUint32(b, frameSum(b[:f.length], place))
}

// peekFrame gives what a frame's header says, whatever its CRC; nothing if b is
// too short for one.
func peekFrame(b []byte) frame {
	if len(b) < frameSize {
		return frame{}
	}
	return frame{
		length:  le.Uint32(b[4:]),
		version: le.Uint32(b[8:]),
		exptime: le.Uint32(b[12:]),
		cas:     le.Uint64(b[16:]),
		flags:   le.Uint32(b[24:]),
		keyLen:  b[28],
		kind:    b[29],
		state:   b[30],
	}
}

// decodeFrame reads the frame at place, which b begins with. Nothing of it is
// believed before its CRC holds but its length, and that only within b.
func decodeFrame(b []byte, place uint64) (frame, error) {
	if len(b) < frameSize {
		return frame{}, ErrTorn
	}
	if [frameSize]byte(b) == ([frameSize]byte{}) {
		return frame{}, ErrUnwritten
	}
	f := peekFrame(b)
	switch {
	case f.length < frameSize || f.length > maxFrame:
		return frame{}, ErrCRC
	case int64(f.length) > int64(len(b)):
		return frame{}, ErrTorn
	case frameSum(b[:f.length], place) != le.Uint32(b):
		return frame{}, ErrCRC
	}
	return f, f.check()
}

// check verifies what the kind of frame asks of the other fields.
func (f *frame) check() error {
	ok := false
	switch f.kind {
	case kindRecord:
		ok = f.keyLen > 0 && f.length >= frameSize+uint32(f.keyLen)
	case kindIndex:
		ok = f.length > frameSize && (f.length-frameSize)%entrySize == 0
	}
	if !ok {
		return ErrLayout
	}
	return nil
}

// record gives the item of a record frame, whose bytes are b.
func (f *frame) record(b []byte) Record {
	split := frameSize + int(f.keyLen)
	return Record{
		Key:     b[frameSize:split:split],
		Value:   b[split:f.length:f.length],
		Flags:   f.flags,
		Exptime: f.exptime,
		CAS:     f.cas,
		State:   f.state,
	}
}

// DecodeRecord reads the record frame at place, in units of the tier, which b
// begins with. It gives the page version the record was written for and its
// length, padding included.
func DecodeRecord(b []byte, place uint64) (rec Record, version uint32, n int, err error) {
	f, err := decodeFrame(b, place)
	if err != nil {
		return Record{}, 0, 0, err
	}
	if f.kind != kindRecord {
		return Record{}, 0, 0, ErrLayout
	}
	return f.record(b), f.version, int(padded(int64(f.length))), nil
}

// IndexEntry is what an index frame says of a record.
type IndexEntry struct {
	Hash    uint64 // of its key
	Unit    uint32 // its offset in the page, in units of 8 bytes
	Exptime uint32 // unix seconds, 0 never
}

// encodeIndex writes the index frame of entries, which will lie at place, to b
// and returns its length.
func encodeIndex(b []byte, place uint64, version uint32, entries []IndexEntry) int64 {
	n := indexLen(len(entries))
	for i, e := range entries {
		at := b[frameSize+i*entrySize:]
		le.PutUint64(at, e.Hash)
		le.PutUint32(at[8:], e.Unit)
		le.PutUint32(at[12:], e.Exptime)
	}
	f := frame{length: uint32(n), version: version, kind: kindIndex}
	f.seal(b, place)
	return n
}

// Index is a decoded index frame. It refers to the bytes decoded.
type Index struct {
	entries []byte
	end     uint32 // where the last record ends, in units
}

// DecodeIndex reads the index frame that b begins with, of extent e in a life of
// a page whose first byte is at base, in units of the tier. Entries are sure to
// lie in the extent, one after the other.
func DecodeIndex(b []byte, base uint64, version uint32, e Extent) (Index, error) {
	f, err := decodeFrame(b, base+uint64(e.Index)/unit)
	switch {
	case err != nil:
		return Index{}, err
	case f.kind != kindIndex:
		return Index{}, ErrLayout
	case f.version != version:
		return Index{}, ErrVersion
	}
	x := Index{entries: b[frameSize:f.length], end: e.Index / unit}
	if x.Len() != int(e.Count) {
		return Index{}, fmt.Errorf("%w: %d entries, extent says %d", ErrLayout, x.Len(), e.Count)
	}
	from := e.Start / unit
	for i := range x.Len() {
		at := x.Entry(i).Unit
		if at < from || at > x.end || x.end-at < frameSize/unit || i == 0 && at != from {
			return Index{}, ErrLayout
		}
		from = at + frameSize/unit
	}
	return x, nil
}

// Len is the number of records.
func (x Index) Len() int { return len(x.entries) / entrySize }

// Entry is what the index says of record i.
func (x Index) Entry(i int) IndexEntry {
	b := x.entries[i*entrySize : (i+1)*entrySize]
	return IndexEntry{Hash: le.Uint64(b), Unit: le.Uint32(b[8:]), Exptime: le.Uint32(b[12:])}
}

// Size is the length of record i in bytes, padding included.
func (x Index) Size(i int) int {
	next := x.end
	if i+1 < x.Len() {
		next = x.Entry(i + 1).Unit
	}
	return int(next-x.Entry(i).Unit) * unit
}
