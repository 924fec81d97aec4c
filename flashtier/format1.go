package flashtier

import (
	"fmt"
	"iter"
)

// Format 1 is that of pages written before format 2. It is read, so that an older
// version's directory starts warm, and never written. Header and trailer are
// those of format 2 but for the number 1; frames are these:
//
//	frame header, 32 bytes               entry of an index frame, 16 bytes
//	 0  4  CRC, see below                 0  8  hash of the key
//	 4  4  length, this header included   8  4  offset of the record, in units of 8 bytes
//	 8  4  page version                  12  4  exptime of the record
//	12  4  exptime, unix seconds, 0 never
//	16  8  CAS
//	24  4  client flags
//	28  1  length of the key
//	29  1  kind: 0 unwritten, 1 record, 2 index
//	30  1  state bits
//	31  1  zero
//
// In a record frame the key follows, then the value up to the frame's length. In
// an index frame the entries follow, one a record of the extent and in the same
// order, and the fields from exptime to key length are zero. A record ends where
// the next one begins, or the index frame. The CRC is over the place and the
// bytes from 4 to the length, without the page version before it.
const (
	format1    = 1
	frameSize1 = 32
	entrySize1 = 16
	maxFrame1  = 1 << 28
)

// decodeFrame1 is decodeFrame for pages of format 1.
func decodeFrame1(b []byte, l Life, off int64) (frame, error) {
	if len(b) < frameSize1 {
		return frame{}, ErrTorn
	}
	if [frameSize1]byte(b) == ([frameSize1]byte{}) {
		return frame{}, ErrUnwritten
	}
	n := le.Uint32(b[4:])
	switch {
	case n < frameSize1 || n > maxFrame1:
		return frame{}, ErrCRC
	case int64(n) > int64(len(b)):
		return frame{}, ErrTorn
	case l.sum(b[:n], off) != le.Uint32(b):
		return frame{}, ErrCRC
	}
	return parseFrame1(b[:n], l)
}

// parseFrame1 is parseFrame for pages of format 1.
func parseFrame1(b []byte, l Life) (frame, error) {
	n := uint32(len(b))
	if n < frameSize1 {
		return frame{}, ErrLayout
	}
	f := frame{
		length: n, valEnd: n, head: frameSize1, exptime: le.Uint32(b[12:]), cas: le.Uint64(b[16:]),
		flags: le.Uint32(b[24:]), keyLen: b[28], kind: b[29], state: b[30], version: l.Version,
	}
	switch {
	case f.kind == kindRecord && f.keyLen > 0 && n >= frameSize1+uint32(f.keyLen):
	case f.kind == kindIndex && n > frameSize1 && (n-frameSize1)%entrySize1 == 0:
	default:
		return frame{}, ErrLayout
	}
	if le.Uint32(b[8:]) != l.Version {
		return frame{}, ErrVersion
	}
	return f, nil
}

// indexEnd1 is where the index frame of e ends.
func indexEnd1(e Extent) int64 { return int64(e.Index) + frameSize1 + entrySize1*int64(e.Count) }

// decodeIndex1 reads the entries of an index frame of extent e.
func decodeIndex1(entries []byte, e Extent) (Index, error) {
	n := len(entries) / entrySize1
	if n != int(e.Count) {
		return Index{}, fmt.Errorf("%w: %d entries, extent says %d", ErrLayout, n, e.Count)
	}
	from := e.Start / unit
	for i := range n {
		at, end := entry1(entries, i, e).Unit, e.Index/unit
		if at < from || at > end || end-at < frameSize1/unit || i == 0 && at != from {
			return Index{}, ErrLayout
		}
		from = at + frameSize1/unit
	}
	return Index{n, entries1(entries, e)}, nil
}

func entries1(entries []byte, e Extent) iter.Seq[IndexEntry] {
	return func(yield func(IndexEntry) bool) {
		for i := range int(e.Count) {
			if !yield(entry1(entries, i, e)) {
				return
			}
		}
	}
}

// entry1 is what the index of extent e says of record i.
func entry1(entries []byte, i int, e Extent) IndexEntry {
	b := entries[i*entrySize1:]
	x := IndexEntry{Hash: le.Uint64(b), Unit: le.Uint32(b[8:])}
	next := e.Index / unit
	if len(b) > entrySize1 {
		next = le.Uint32(b[entrySize1+8:])
	}
	x.Size = (next - x.Unit) * unit
	return x
}
