package flashtier

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Field is a named place in a header, a trailer or a frame.
type Field struct {
	Offset, Size int // in the bytes that were asked about
	Name         string
	Value        string // what it says; empty where the bytes say it themselves
}

// fields are put together in the order of the bytes.
type fields struct {
	list []Field
	at   int
	end  int // where the bytes end; what lies beyond is left out
}

func (x *fields) add(size int, name, format string, args ...any) {
	if size <= 0 {
		return // what says where it ends is wrong
	}
	if x.at+size <= x.end {
		x.list = append(x.list, Field{x.at, size, name, fmt.Sprintf(format, args...)})
	}
	x.at += size
}

func moment(unixSeconds uint64) string {
	if unixSeconds == 0 {
		return "0, never"
	}
	return fmt.Sprintf("%d, %s", unixSeconds, time.Unix(int64(unixSeconds), 0).UTC().Format(time.RFC3339))
}

// HeaderFields names the fields of the page header that b begins with, sound or
// not.
func HeaderFields(b []byte) []Field {
	x := fields{end: min(len(b), blockSize)}
	if x.end < blockSize {
		return nil
	}
	x.framing(b)
	x.add(4, "page id", "%d", le.Uint32(b[16:]))
	x.add(4, "page version", "%d", le.Uint32(b[20:]))
	x.add(8, "page size", "%d", le.Uint64(b[24:]))
	x.add(8, "created", "%s", moment(le.Uint64(b[32:])))
	x.add(4, "bucket", "%d, %s", le.Uint32(b[40:]), BucketName(le.Uint32(b[40:])))
	return x.list
}

func (x *fields) framing(b []byte) {
	x.add(8, "magic", "%q", b[:8])
	x.add(4, "format version", "%d", le.Uint32(b[8:]))
	x.add(4, "checksum", "%08x", le.Uint32(b[12:]))
}

// TrailerFields names the fields of the page trailer that b begins with, sound or
// not.
func TrailerFields(b []byte) []Field {
	x := fields{end: min(len(b), trailerSize)}
	if x.end < trailerSize {
		return nil
	}
	x.framing(b)
	n := le.Uint32(b[24:])
	x.add(4, "page id", "%d", le.Uint32(b[16:]))
	x.add(4, "page version", "%d", le.Uint32(b[20:]))
	x.add(4, "extents", "%d", n)
	x.add(4, "zero", "")
	x.add(8, "records", "%d", le.Uint64(b[32:]))
	x.add(8, "sealed", "%s", moment(le.Uint64(b[40:])))
	x.add(16, "zeroes", "")
	for i := range min(n, maxExtents) {
		e := decodeExtent(b[x.at:])
		x.add(4, fmt.Sprintf("extent %d", i), "begins at %d", e.Start)
		x.add(4, "", "index frame at %d", e.Index)
		x.add(4, "", "%d records", e.Count)
	}
	return x.list
}

// Fields names the fields of the frame that p is, sound or not; nothing of a
// PartSpace.
func (p *Part) Fields() []Field {
	x := fields{end: min(len(p.Bytes), int(p.Size))}
	if p.Kind == PartSpace || x.end < frameSize || p.format == format1 && x.end < frameSize1 {
		return nil
	}
	if p.format == format1 {
		x.frame1(p.Bytes)
	} else {
		x.frame2(p.Bytes)
	}
	return x.list
}

// contents names key, value, client flags and padding of a record of end bytes.
func (x *fields) contents(b []byte, keyLen uint8, valEnd, end int) {
	x.add(int(keyLen), "key", "")
	x.add(valEnd-x.at, "value", "%d bytes", valEnd-x.at)
	if end > valEnd && valEnd > 0 && end <= len(b) {
		x.add(flagsSize, "client flags", "%d", le.Uint32(b[valEnd:]))
	}
	x.add(x.end-x.at, "padding", "")
}

func (x *fields) frame1(b []byte) {
	n, kind := int(le.Uint32(b[4:])), b[29]
	x.add(4, "checksum", "%08x", le.Uint32(b))
	x.add(4, "length", "%d", n)
	x.add(4, "page version", "%d", le.Uint32(b[8:]))
	x.add(4, "expires", "%s", moment(uint64(le.Uint32(b[12:]))))
	x.add(8, "CAS", "%d", le.Uint64(b[16:]))
	x.add(4, "client flags", "%d", le.Uint32(b[24:]))
	x.add(1, "key length", "%d", b[28])
	x.add(1, "kind", "%d", kind)
	x.add(1, "state bits", "%d", b[30])
	x.add(1, "zero", "")
	if kind == kindRecord {
		x.contents(b, b[28], n, n)
		return
	}
	for kind == kindIndex && x.at+entrySize1 <= min(n, x.end) {
		at := b[x.at:]
		x.add(8, "hash", "%016x", le.Uint64(at))
		x.add(4, "", "record at %d", int64(le.Uint32(at[8:]))*unit)
		x.add(4, "", "expires %s", moment(uint64(le.Uint32(at[12:]))))
	}
	x.add(x.end-x.at, "padding", "")
}

func (x *fields) frame2(b []byte) {
	n, kind := int(le.Uint32(b[4:])&maxFrame), b[7]>>(lengthBits-24)
	x.add(4, "checksum", "%08x", le.Uint32(b))
	x.add(4, "length", "%d, kind %d", n, kind)
	x.add(8, "CAS", "%d", le.Uint64(b[8:]))
	x.add(4, "expires", "%s", moment(uint64(le.Uint32(b[16:]))))
	x.add(1, "key length", "%d", b[20])
	x.add(1, "state bits", "%d", b[21])
	x.add(2, "page version", "%d in its low 16 bits", le.Uint16(b[22:]))
	switch kind {
	case kindRecord:
		x.contents(b, b[20], n, n)
	case kindFlagged:
		x.contents(b, b[20], n-flagsSize, n)
	case kindIndex:
		x.index2(b[:min(n, x.end)])
	}
}

// index2 names the entries of an index frame of format 2: as many hashes as there
// are lengths behind them.
func (x *fields) index2(b []byte) {
	if len(b) < x.at {
		return
	}
	count := indexed2(b[x.at:])
	for range count {
		x.add(hashSize, "hash", "%016x", le.Uint64(b[x.at:]))
	}
	for range count {
		size, n := binary.Uvarint(b[x.at:])
		x.add(n, "length", "%d", size*unit)
	}
	x.add(x.end-x.at, "padding", "")
}

// indexed2 is how many records an index of format 2 is of, which is not in it: the
// one number of hashes that leaves as many varints.
func indexed2(b []byte) int {
	varints := 0 // in b[at:]
	at := len(b)
	for n := len(b) / hashSize; n > 0; n-- {
		for ; at > n*hashSize; at-- {
			if b[at-1] < 0x80 {
				varints++
			}
		}
		if varints == n {
			return n
		}
	}
	return 0
}
