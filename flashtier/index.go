package flashtier

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"
)

// IndexEntry is what an index frame says of a record.
type IndexEntry struct {
	Hash uint64 // of its key
	Unit uint32 // its offset in the page, in units of 8 bytes
	Size uint32 // its length in bytes, padding included
}

// indexed is how much an index frame grows by a record of size bytes.
func indexed(size int64) int64 {
	return hashSize + int64(bits.Len64(uint64(size)/unit|1)+6)/7
}

// indexEnd is where the index frame of e ends at the latest. A length takes
// another byte for every factor of 128, so at most one for every 128 units.
func (l Life) indexEnd(e Extent) int64 {
	if l.Format == format1 {
		return indexEnd1(e)
	}
	data := int64(e.Index) - int64(e.Start)
	return int64(e.Index) + frameSize + (hashSize+1)*int64(e.Count) + data/(128*unit)
}

// encodeIndex writes the index frame of entries, which will lie at off in a page,
// to b and returns its length.
func encodeIndex(b []byte, l Life, off int64, entries []IndexEntry) int64 {
	at := frameSize
	for i := range entries {
		le.PutUint64(b[at:], entries[i].Hash)
		at += hashSize
	}
	for i := range entries {
		at += binary.PutUvarint(b[at:], uint64(entries[i].Size/unit))
	}
	f := frame{length: uint32(at), kind: kindIndex}
	f.seal(b, l, off)
	return int64(at)
}

// Index is a decoded index frame. It refers to the bytes decoded.
type Index struct {
	count int
	all   iter.Seq[IndexEntry]
}

// Len is the number of records.
func (x Index) Len() int { return x.count }

// All gives the records in the order of the extent; of an Index that is the zero
// value, none.
func (x Index) All() iter.Seq[IndexEntry] {
	if x.all == nil {
		return func(func(IndexEntry) bool) {}
	}
	return x.all
}

// DecodeIndex reads the index frame that b begins with, of extent e of a page in
// life l. Entries are sure to fill the extent, one after the other.
func DecodeIndex(b []byte, l Life, e Extent) (Index, error) {
	f, err := decodeFrame(b, l, int64(e.Index))
	switch {
	case err != nil:
		return Index{}, err
	case f.kind != kindIndex:
		return Index{}, ErrLayout
	case l.Format == format1:
		return decodeIndex1(b[f.head:f.length], e)
	}
	b = b[f.head:f.length]
	n := int(e.Count)
	if len(b) < n*(hashSize+1) {
		return Index{}, fmt.Errorf("%w: index of %d bytes for %d records", ErrLayout, len(b), n)
	}
	hashes, sizes := b[:n*hashSize], b[n*hashSize:]
	if err := checkLengths(sizes, e); err != nil {
		return Index{}, err
	}
	return Index{n, func(yield func(IndexEntry) bool) { eachEntry(hashes, sizes, e, yield) }}, nil
}

// checkLengths verifies that records of these lengths fill e.
func checkLengths(sizes []byte, e Extent) error {
	left := uint64(e.Index-e.Start) / unit
	for range e.Count {
		size, n := binary.Uvarint(sizes)
		if n <= 0 || n > 1 && sizes[n-1] == 0 || size < minRecord/unit || size > left {
			return ErrLayout
		}
		left -= size
		sizes = sizes[n:]
	}
	if left != 0 || len(sizes) != 0 {
		return ErrLayout
	}
	return nil
}

func eachEntry(hashes, sizes []byte, e Extent, yield func(IndexEntry) bool) {
	at := e.Start / unit
	for ; len(hashes) > 0; hashes = hashes[hashSize:] {
		size, n := binary.Uvarint(sizes)
		sizes = sizes[n:]
		if !yield(IndexEntry{Hash: le.Uint64(hashes), Unit: at, Size: uint32(size) * unit}) {
			return
		}
		at += uint32(size)
	}
}
