// Package flashtier is the flash tier of the cache: page files of checksummed
// records, written a buffer at a time, read a record at a time, reclaimed a page
// at a time. It is a passive structure with locks: who moves what, and when, is
// the business of the package above. It touches page files only through an
// ioq.Queue.
//
// # A directory
//
//	DIR/lock      held by the tier that uses the directory
//	DIR/pages/    the page files
//	DIR/catalog/  what of them exists, a pebble store; see catalogformat.go
//	DIR/journal   what has changed since, a mapped ring; see journal.go
//	DIR/hot       what had a copy in RAM at the last graceful stop; see hotlist.go
//	DIR/aside/    what could not be trusted, until its room is needed
//
// A record comes into being, for a restart, in this order: its bytes are written
// and synced, the owner points an index slot at it, and Batch.Commit hands its
// line to the catalog. It ceases to be with a line in the journal, which is there
// before whoever caused that is answered. The catalog alone says what exists, so
// no page is read at a start; and it says so only of bytes that are synced, so a
// power loss takes no more than the last lines of the journal.
//
// A page leaves the catalog, synced, before its slots are dropped and its bytes
// are written over. So what of it dies from then on needs no journal.
//
// # A page file
//
// Pages lie in DIR/pages, one file a page, named by the page's id in eight
// digits. All numbers are little endian. A page is PageSize bytes, a multiple of
// 4096 from 1 MiB to 1 GiB:
//
//	0              4096                                  PageSize-16384   PageSize
//	| header       | extent | extent | ... | zeroes      | trailer        |
//
// The header is there as soon as the page's first extent is; the trailer is
// written at the seal, so an unsealed page has zeroes, or an older life's
// trailer, in its place. Offsets in a page count from its first byte.
//
//	header, 4096 bytes                     trailer, 16384 bytes
//	 0  8  magic "hearthpg"                 0  8  magic "hearthtr"
//	 8  4  format version, 2                8  4  format version, 2
//	12  4  CRC of bytes 16 to 4095         12  4  CRC of bytes 16 to 16383
//	16  4  page id                         16  4  page id
//	20  4  page version                    20  4  page version
//	24  8  page size in bytes              24  4  number of extents, at most 1360
//	32  8  time of creation, unix seconds  28  4  zero
//	40  4  bucket                          32  8  number of records
//	44     zeroes                          40  8  time of the seal, unix seconds
//	                                       48     zeroes
//	                                       64     12 bytes an extent, in the order of the page:
//	                                         0  4  offset of the extent
//	                                         4  4  offset of its index frame
//	                                         8  4  number of its records, at least 1
//	                                              then zeroes
//
// An extent is what one write buffer brought: it begins at a multiple of 4096
// with a record frame, holds one or more back to back, then one index frame,
// then zeroes up to the next multiple of 4096. The first extent begins at 4096.
// A failed write leaves a hole that the trailer does not list. A frame begins at
// a multiple of 8:
//
//	frame header, 24 bytes
//	 0  4  CRC, see below
//	 4  4  bits 0 to 27: length, this header included
//	       bits 28 to 31: kind: 0 unwritten, 1 record, 2 index, 3 record with client flags
//	 8  8  CAS
//	16  4  exptime, unix seconds, 0 never
//	20  1  length of the key
//	21  1  state bits, opaque here
//	22  2  low 16 bits of the page version
//
// In a record frame the key follows, then the value, then, of kind 3, four bytes
// of client flags, which are not 0; then zeroes, outside length and CRC, up to a
// multiple of 8. In an index frame the fields from CAS to state are zero. Of each
// record of the extent, in its order, it has
//
//	8 bytes  the hash of the key, all of them first
//	a varint of as few bytes as will do: the length of the record, its padding
//	         included, in units of 8 bytes
//
// So a record under 1 KiB, padding included, without client flags takes at most
// 40 bytes more than its key and value: 24 of the header, 7 of padding, 9 in the
// index.
//
// Every CRC is CRC-32C (Castagnoli). That of a frame goes on from the page
// version, as if that were the CRC of what came before, over the frame's place,
// eight bytes, then its bytes from 4 to its length. The place is page id * page
// size + offset in the page, in units of 8 bytes. A page version grows at each
// reuse of the page, so the CRC of a frame from an older life does not hold. The
// 16 bits in the frame are only there to tell such a frame from a damaged one.
//
// Bytes said to be zero are written as zero, and a reader does not look at them
// but for the CRC of their structure. A reader refuses a format version above its
// own with ErrFormat, before it looks at the CRC. Pages of format 1, which
// format1.go describes, are read and no longer written. The golden files in
// testdata/pages hold this text and the code together.
package flashtier

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/crc32"
)

// These are part of the format and must not be changed: a change of the layout
// takes a new FormatVersion, which older readers refuse.
const (
	// FormatVersion is the newest format this package reads, and the one it
	// writes.
	FormatVersion = 2
	// MinPageSize and MaxPageSize bound a page, in bytes.
	MinPageSize = 1 << 20
	MaxPageSize = 1 << 30

	blockSize   = 4096 // of the header, and what extents are aligned to
	trailerSize = 16384
	frameSize   = 24 // of a frame's header
	flagsSize   = 4  // of a record's client flags
	hashSize    = 8  // of a hash in an index frame
	minRecord   = 32 // the shortest record, padding included
	extentSize  = 12 // of an extent in the trailer
	extentsAt   = 64 // where extents begin in the trailer
	maxExtents  = (trailerSize - extentsAt) / extentSize
	unit        = 8                 // what frames are aligned to
	lengthBits  = 28                // of a frame's length
	maxFrame    = 1<<lengthBits - 1 // a frame's greatest length in bytes
	sumFrom     = 16                // where the CRC of header and trailer begins

	kindRecord  = 1
	kindIndex   = 2
	kindFlagged = 3 // a record with client flags

	headerMagic  = "hearthpg"
	trailerMagic = "hearthtr"
)

var (
	// ErrFormat is returned for what a newer version has written.
	ErrFormat = errors.New("flashtier: newer format")
	// ErrMagic is returned for bytes that are no page header or trailer.
	ErrMagic = errors.New("flashtier: not a page")
	// ErrCRC is returned for bytes whose checksum does not hold, or whose
	// length cannot be right. Of a read, it says that the address has no
	// whole record.
	ErrCRC = errors.New("flashtier: checksum does not hold")
	// ErrLayout is returned for fields that no writer writes, although their
	// checksum holds.
	ErrLayout = errors.New("flashtier: impossible layout")
	// ErrTorn is returned for a structure that goes on past the end of the
	// bytes there are.
	ErrTorn = errors.New("flashtier: cut short")
	// ErrUnwritten is returned for a frame header of zeroes.
	ErrUnwritten = errors.New("flashtier: unwritten space")
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	le         = binary.LittleEndian
	be         = binary.BigEndian
)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// alignUp rounds n up to a multiple of to, a power of two.
func alignUp(n, to int64) int64 { return (n + to - 1) &^ (to - 1) }

// PageHeader is what the first block of a page says.
type PageHeader struct {
	Format  uint32 // set by DecodeHeader
	ID      PageID
	Version uint32
	Size    int64  // of the page, bytes
	Created uint64 // unix seconds
	Bucket  uint32
}

// Extent is one write buffer's place in a page. Offsets are in bytes.
type Extent struct {
	Start uint32 // of its first record
	Index uint32 // of its index frame, where its last record ends
	Count uint32 // of its records
}

// leastEnd is where e ends, padding included, if its index is as short as can be.
func (e Extent) leastEnd() int64 {
	return alignUp(int64(e.Index)+frameSize+(hashSize+1)*int64(e.Count), blockSize)
}

// Life is one life of a page. Frames are read as those of a life, and those of
// another are refused.
type Life struct {
	Format  uint32 // of the page
	Version uint32 // of the page
	Base    uint64 // the place of the page's first byte, in units of 8 bytes
}

// Life is the life that the page had when its header was written.
func (h PageHeader) Life() Life {
	return Life{Format: h.Format, Version: h.Version, Base: uint64(h.ID) * uint64(h.Size) / unit}
}

// place is the place of the page's byte at off.
func (l Life) place(off int64) uint64 { return l.Base + uint64(off)/unit }

// Trailer is what the last blocks of a sealed page say.
type Trailer struct {
	Format  uint32 // set by DecodeTrailer
	ID      PageID
	Version uint32
	Records uint64
	Sealed  uint64   // unix seconds
	Extents []Extent // in the order of the page
}

// dataEnd is where a page's trailer begins and its extents must end.
func dataEnd(pageSize int64) int64 { return pageSize - trailerSize }

// validPageSize tells whether a page may have size bytes.
func validPageSize(size int64) bool {
	return size >= MinPageSize && size <= MaxPageSize && size%blockSize == 0
}

// putFraming writes what header and trailer begin with. It comes last: b is
// otherwise complete.
func putFraming(b []byte, magic string) {
	copy(b, magic)
	le.PutUint32(b[8:], FormatVersion)
	le.PutUint32(b[12:], checksum(b[sumFrom:]))
}

// checkFraming verifies what header and trailer begin with. The format version is
// checked apart from the magic, and before the CRC, so that a newer file is
// never taken for a broken one.
func checkFraming(b []byte, magic string) (format uint32, err error) {
	if string(b[:8]) != magic {
		return 0, ErrMagic
	}
	switch format = le.Uint32(b[8:]); {
	case format > FormatVersion:
		return 0, fmt.Errorf("%w: %d, newest known is %d", ErrFormat, format, FormatVersion)
	case format == 0:
		return 0, ErrLayout
	case checksum(b[sumFrom:]) != le.Uint32(b[12:]):
		return 0, ErrCRC
	}
	return format, nil
}

// EncodeHeader writes h into the first block of b, in the newest format.
func EncodeHeader(b []byte, h PageHeader) {
	b = b[:blockSize]
	clear(b)
	le.PutUint32(b[16:], uint32(h.ID))
	le.PutUint32(b[20:], h.Version)
	le.PutUint64(b[24:], uint64(h.Size))
	le.PutUint64(b[32:], h.Created)
	le.PutUint32(b[40:], h.Bucket)
	putFraming(b, headerMagic)
}

// DecodeHeader reads the header of the page that b begins with.
func DecodeHeader(b []byte) (PageHeader, error) {
	if len(b) < blockSize {
		return PageHeader{}, ErrTorn
	}
	b = b[:blockSize]
	format, err := checkFraming(b, headerMagic)
	if err != nil {
		return PageHeader{}, err
	}
	h := PageHeader{
		Format:  format,
		ID:      PageID(le.Uint32(b[16:])),
		Version: le.Uint32(b[20:]),
		Size:    int64(le.Uint64(b[24:])),
		Created: le.Uint64(b[32:]),
		Bucket:  le.Uint32(b[40:]),
	}
	if !validPageSize(h.Size) || h.Version == 0 {
		return PageHeader{}, ErrLayout
	}
	return h, nil
}

// EncodeTrailer writes t into the first 16 KiB of b, in the newest format.
func EncodeTrailer(b []byte, t Trailer) {
	b = b[:trailerSize]
	clear(b)
	le.PutUint32(b[16:], uint32(t.ID))
	le.PutUint32(b[20:], t.Version)
	le.PutUint32(b[24:], uint32(len(t.Extents)))
	le.PutUint64(b[32:], t.Records)
	le.PutUint64(b[40:], t.Sealed)
	for i, e := range t.Extents {
		at := b[extentsAt+i*extentSize:]
		le.PutUint32(at, e.Start)
		le.PutUint32(at[4:], e.Index)
		le.PutUint32(at[8:], e.Count)
	}
	putFraming(b, trailerMagic)
}

// DecodeTrailer reads the trailer that b begins with, of a page of pageSize
// bytes. Extents are sure to lie in the page, one after the other.
func DecodeTrailer(b []byte, pageSize int64) (Trailer, error) {
	if len(b) < trailerSize {
		return Trailer{}, ErrTorn
	}
	b = b[:trailerSize]
	format, err := checkFraming(b, trailerMagic)
	if err != nil {
		return Trailer{}, err
	}
	t := Trailer{
		Format:  format,
		ID:      PageID(le.Uint32(b[16:])),
		Version: le.Uint32(b[20:]),
		Records: le.Uint64(b[32:]),
		Sealed:  le.Uint64(b[40:]),
	}
	n := le.Uint32(b[24:])
	if n > maxExtents || t.Version == 0 {
		return Trailer{}, ErrLayout
	}
	t.Extents = make([]Extent, n)
	at, records := int64(blockSize), uint64(0)
	for i := range t.Extents {
		e := decodeExtent(b[extentsAt+i*extentSize:])
		if !e.valid(at, dataEnd(pageSize)) {
			return Trailer{}, ErrLayout
		}
		t.Extents[i] = e
		at = e.leastEnd()
		records += uint64(e.Count)
	}
	if records != t.Records {
		return Trailer{}, ErrLayout
	}
	return t, nil
}

func decodeExtent(b []byte) Extent {
	return Extent{Start: le.Uint32(b), Index: le.Uint32(b[4:]), Count: le.Uint32(b[8:])}
}

// valid tells whether a writer of any format could have put e between from and
// to.
func (e Extent) valid(from, to int64) bool {
	return e.Count > 0 && int64(e.Start) >= from && e.Start%blockSize == 0 &&
		e.Index%unit == 0 && int64(e.Index) <= to && e.leastEnd() <= to &&
		int64(e.Index)-int64(e.Start) >= int64(e.Count)*minRecord
}
