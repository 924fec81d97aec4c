package flashtier

import "github.com/klauspost/crc32"

// Record is an item as it lies in a page.
type Record struct {
	Key, Value []byte // slices of the bytes decoded
	Flags      uint32 // the client's
	Exptime    uint32 // unix seconds, 0 never
	CAS        uint64
	State      uint8 // bits that mean something to the caller only
	Addr       Addr  // where it was read from
}

// frame is what a frame's header says.
type frame struct {
	length  uint32 // padding excluded
	valEnd  uint32 // where a record's value ends
	exptime uint32
	flags   uint32
	cas     uint64
	version uint32 // of the page
	head    uint8  // length of the header, where key or index begins
	keyLen  uint8
	kind    uint8 // kindRecord or kindIndex
	state   uint8
}

// recordLen is the length in bytes of a record's frame, padding excluded.
func recordLen(keyLen, valLen int, flagged bool) int64 {
	n := frameSize + int64(keyLen) + int64(valLen)
	if flagged {
		n += flagsSize
	}
	return n
}

// padded is the length in bytes of a frame of length n with its padding.
func padded(n int64) int64 { return alignUp(n, unit) }

// frameSum is the checksum of frame b, which lies at place. The place goes in so
// that a sound frame that a device wrote to, or read from, the wrong place is not
// taken for the one that should be there; seed, the page version, so that one of
// an older life is not either.
func frameSum(b []byte, seed uint32, place uint64) uint32 {
	crc := ^seed
	for range 8 { // by hand, because bytes on the stack would escape to the heap
		crc = castagnoli[byte(crc)^byte(place)] ^ crc>>8
		place >>= 8
	}
	return crc32.Update(^crc, castagnoli, b[4:])
}

// seal writes f's header, and client flags, to b, of which the first f.length
// bytes are otherwise complete and will lie at off in a page, and zeroes the
// padding after them.
func (f *frame) seal(b []byte, l Life, off int64) {
	kind := f.kind
	if f.flags != 0 {
		kind = kindFlagged
		le.PutUint32(b[f.length-flagsSize:], f.flags)
	}
	le.PutUint32(b[4:], f.length|uint32(kind)<<lengthBits)
	le.PutUint64(b[8:], f.cas)
	le.PutUint32(b[16:], f.exptime)
	b[20], b[21] = f.keyLen, f.state
	le.PutUint16(b[22:], uint16(l.Version))
	clear(b[f.length:padded(int64(f.length))])
	le.PutUint32(b, frameSum(b[:f.length], l.Version, l.place(off)))
}

// decodeFrame reads the frame at off in a page, which b begins with. Nothing of
// it is believed before its CRC holds but its length, and that only within b.
func decodeFrame(b []byte, l Life, off int64) (frame, error) {
	if l.Format == format1 {
		return decodeFrame1(b, l, off)
	}
	if len(b) < frameSize {
		return frame{}, ErrTorn
	}
	if [frameSize]byte(b) == ([frameSize]byte{}) {
		return frame{}, ErrUnwritten
	}
	n := le.Uint32(b[4:]) & maxFrame
	switch {
	case n < frameSize:
		return frame{}, ErrCRC
	case int64(n) > int64(len(b)):
		return frame{}, ErrTorn
	case l.sum(b[:n], off) != le.Uint32(b):
		return frame{}, l.misfit(b[:n], off)
	}
	return parseFrame(b[:n], l)
}

// sum is the checksum of frame b, which lies at off.
func (l Life) sum(b []byte, off int64) uint32 {
	if l.Format == format1 {
		return frameSum(b, 0, l.place(off))
	}
	return frameSum(b, l.Version, l.place(off))
}

// misfit tells why the CRC of frame b does not hold: because it is of an older
// life, or else because it is damaged.
func (l Life) misfit(b []byte, off int64) error {
	if older := l.older(b); older != l && older.sum(b, off) == le.Uint32(b) {
		return ErrVersion
	}
	return ErrCRC
}

// older is the life of the page that frame b says it is of, if it is whole. Of
// format 2, which has no more than 16 bits of the version, only the last 65535
// versions are known; a frame without a kind where that has one is of format 1.
func (l Life) older(b []byte) Life {
	if l.Format == format1 || b[7]>>(lengthBits-24) == 0 {
		return Life{Format: format1, Version: le.Uint32(b[8:]), Base: l.Base}
	}
	l.Version -= uint32(uint16(l.Version) - le.Uint16(b[22:]))
	return l
}

// parseFrame reads the fields of b, all of a frame whose CRC holds.
func parseFrame(b []byte, l Life) (frame, error) {
	f := frame{
		length: uint32(len(b)), valEnd: uint32(len(b)), head: frameSize,
		kind: b[7] >> (lengthBits - 24), cas: le.Uint64(b[8:]), exptime: le.Uint32(b[16:]),
		keyLen: b[20], state: b[21], version: l.Version,
	}
	ok := le.Uint16(b[22:]) == uint16(l.Version)
	switch f.kind {
	case kindFlagged:
		if f.kind = kindRecord; len(b) < frameSize+flagsSize {
			return frame{}, ErrLayout
		}
		f.valEnd -= flagsSize
		f.flags = le.Uint32(b[f.valEnd:])
		ok = ok && f.flags != 0
		fallthrough
	case kindRecord:
		ok = ok && f.keyLen > 0 && f.valEnd >= frameSize+uint32(f.keyLen)
	case kindIndex:
	default:
		ok = false
	}
	if !ok {
		return frame{}, ErrLayout
	}
	return f, nil
}

// peekRecord gives what the record frame that b begins with seems to say, whatever
// its CRC; nothing if that makes no sense.
func (l Life) peekRecord(b []byte) (rec Record) {
	if len(b) < minRecord || l.frameLength(b) > int64(len(b)) || l.frameLength(b) < frameSize {
		return rec
	}
	parse := parseFrame
	if l = l.older(b); l.Format == format1 {
		parse = parseFrame1
	}
	if f, err := parse(b[:l.frameLength(b)], l); err == nil && f.kind == kindRecord {
		rec = f.record(b)
	}
	return rec
}

// frameLength is what the frame that b begins with says of its length.
func (l Life) frameLength(b []byte) int64 {
	n := le.Uint32(b[4:])
	if l.Format != format1 {
		n &= maxFrame
	}
	return int64(n)
}

// record gives the item of a record frame, whose bytes are b.
func (f *frame) record(b []byte) Record {
	head, split := int(f.head), int(f.head)+int(f.keyLen)
	return Record{
		Key:     b[head:split:split],
		Value:   b[split:f.valEnd:f.valEnd],
		Flags:   f.flags,
		Exptime: f.exptime,
		CAS:     f.cas,
		State:   f.state,
	}
}

// DecodeRecord reads the record frame at off in a page in life l, which b begins
// with, and gives its length, padding included. The error is ErrVersion for a
// sound record of another life. Of format 2, one whose page was reused more than
// 65535 times since, or counts as if it were, is ErrCRC.
func DecodeRecord(b []byte, l Life, off int64) (rec Record, n int, err error) {
	f, err := decodeFrame(b, l, off)
	if err != nil {
		return Record{}, 0, err
	}
	if f.kind != kindRecord {
		return Record{}, 0, ErrLayout
	}
	return f.record(b), int(padded(int64(f.length))), nil
}
