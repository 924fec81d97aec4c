package hearth

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hearthcache/hearth/memtier"
	"github.com/klauspost/crc32"
)

// A memory file is what Close leaves of a cache without flash; memoryfile.go
// says when. All numbers are little endian.
//
//	| header | record | record | ... | trailer |
//
//	header, 48 bytes                          record, at a multiple of 8
//	 0  8  magic "hearthmf"                    0  4  CRC of bytes 4 to 31, from the low half of the salt
//	 8  4  format version, 2                   4  4  CRC of key and value, from the high half of the salt
//	12  4  CRC of bytes 16 to 47               8  8  CAS
//	16  8  salt, random                       16  4  client flags
//	24  8  the last CAS given out             20  4  exptime, unix seconds, 0 never
//	32  4  when a delayed flush of all        24  4  length of the value
//	       items is due, unix seconds, 0 none 28  1  length of the key, at least 1
//	36  4  zero                               29  1  state bits, see memtier.State; zero in version 1
//	40  8  time of writing, unix seconds      30  2  zero
//	                                          32     key, value, zeroes up to a multiple of 8
//
//	trailer, the last 32 bytes
//	 0  8  magic "hearthme"
//	 8  4  CRC of bytes 16 to 31, from the low half of the salt
//	12  4  zero
//	16  8  number of records
//	24  8  length of the file
//
// Every CRC is CRC-32C (Castagnoli); "from" is the CRC of what would have come
// before. A record's length has a CRC of its own, so that damage to a value costs
// that value alone. Behind damage to a length a reader tries every multiple of 8
// until a record begins there; the salt, which no client knows, sees to it that
// nothing inside a value can pass for one. No key is there twice, so any of the
// records may be missing and the others still are right. A reader refuses a
// version above its own before it looks at the CRC. The golden file in
// testdata/memoryfile holds this text and the code together.
const (
	imageVersion = 2

	imageHeaderBytes  = 48
	imageRecordBytes  = 32 // before the key
	imageTrailerBytes = 32
	imageAlign        = 8

	imageMagic        = "hearthmf"
	imageTrailerMagic = "hearthme"
)

// ErrMemoryFile says why Options.MemoryFile cannot be used. The file is left as
// it is.
var ErrMemoryFile = errors.New("hearth: memory file")

// errForeign is of a file that does not begin as a memory file does.
var errForeign = errors.New("no whole header")

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	le         = binary.LittleEndian
	zeroes     [imageAlign]byte
)

// imageHeader is what a memory file says of the cache as a whole.
type imageHeader struct {
	salt    uint64
	cas     uint64
	flushAt uint32
	written uint64
}

// imageRecord is one item. Its sizes are sure to be what was written, key and
// value only after the reader has checked them.
type imageRecord struct {
	cas            uint64
	flags, exptime uint32
	state          memtier.State
	key, value     []byte
	keyLen, valLen int
	sum            uint32
}

func (h *imageHeader) sum(b []byte) uint32 { return crc32.Update(uint32(h.salt), castagnoli, b) }
func (h *imageHeader) bodySum(b []byte) uint32 {
	return crc32.Update(uint32(h.salt>>32), castagnoli, b)
}

func (h *imageHeader) encode() []byte {
	b := make([]byte, imageHeaderBytes)
	copy(b, imageMagic)
	le.PutUint32(b[8:], imageVersion)
	le.PutUint64(b[16:], h.salt)
	le.PutUint64(b[24:], h.cas)
	le.PutUint32(b[32:], h.flushAt)
	le.PutUint64(b[40:], h.written)
	le.PutUint32(b[12:], crc32.Checksum(b[16:], castagnoli))
	return b
}

func decodeImageHeader(b []byte) (h imageHeader, err error) {
	if string(b[:8]) != imageMagic {
		return h, errForeign
	}
	if v := le.Uint32(b[8:]); v > imageVersion {
		return h, fmt.Errorf("%w has format %d, the newest known is %d", ErrMemoryFile, v, imageVersion)
	}
	if le.Uint32(b[12:]) != crc32.Checksum(b[16:imageHeaderBytes], castagnoli) {
		return h, errForeign
	}
	return imageHeader{le.Uint64(b[16:]), le.Uint64(b[24:]), le.Uint32(b[32:]), le.Uint64(b[40:])}, nil
}

func (h *imageHeader) encodeTrailer(records, length int64) []byte {
	b := make([]byte, imageTrailerBytes)
	copy(b, imageTrailerMagic)
	le.PutUint64(b[16:], uint64(records))
	le.PutUint64(b[24:], uint64(length))
	le.PutUint32(b[8:], h.sum(b[16:]))
	return b
}

// decodeTrailer gives the number of records in a file of size bytes, or false
// if b is not its trailer.
func (h *imageHeader) decodeTrailer(b []byte, size int64) (records int64, ok bool) {
	records = int64(le.Uint64(b[16:]))
	return records, records >= 0 && string(b[:8]) == imageTrailerMagic &&
		le.Uint32(b[8:]) == h.sum(b[16:imageTrailerBytes]) && int64(le.Uint64(b[24:])) == size
}

// encodeRecord writes all of r's record but key and value, of which sum is the
// CRC, into b.
func (h *imageHeader) encodeRecord(b []byte, r *imageRecord) {
	le.PutUint32(b[4:], r.sum)
	le.PutUint64(b[8:], r.cas)
	le.PutUint32(b[16:], r.flags)
	le.PutUint32(b[20:], r.exptime)
	le.PutUint32(b[24:], uint32(len(r.value)))
	le.PutUint32(b[28:], uint32(len(r.key))|uint32(r.state)<<8)
	le.PutUint32(b, h.sum(b[4:imageRecordBytes]))
}

// decodeRecord reads what encodeRecord has written; false if b is no such thing.
func (h *imageHeader) decodeRecord(b []byte) (r imageRecord, ok bool) {
	key, value := b[28], le.Uint32(b[24:])
	if key < 1 || key > MaxKey || value > maxMaxItem || le.Uint16(b[30:]) != 0 || le.Uint32(b) != h.sum(b[4:imageRecordBytes]) {
		return r, false
	}
	return imageRecord{
		cas: le.Uint64(b[8:]), flags: le.Uint32(b[16:]), exptime: le.Uint32(b[20:]), state: memtier.State(b[29]),
		keyLen: int(key), valLen: int(value), sum: le.Uint32(b[4:]),
	}, true
}

// padding is how many zeroes follow a body of n bytes.
func padding(n int) int { return -n & (imageAlign - 1) }

// imageWriter writes a memory file from its first byte to its last.
type imageWriter struct {
	w       *bufio.Writer
	head    imageHeader
	records int64
	length  int64
	frame   [imageRecordBytes]byte
}

func newImageWriter(to io.Writer, head imageHeader) (*imageWriter, error) {
	w := &imageWriter{w: bufio.NewWriterSize(to, 1<<20), head: head}
	return w, w.write(head.encode())
}

func (w *imageWriter) write(b []byte) error {
	n, err := w.w.Write(b)
	w.length += int64(n)
	return err
}

// put appends a record; its sizes and sum follow from key and value.
func (w *imageWriter) put(r *imageRecord) error {
	sum := w.head.bodySum(r.key)
	r.sum = crc32.Update(sum, castagnoli, r.value)
	w.head.encodeRecord(w.frame[:], r)
	w.records++
	for _, part := range [...][]byte{w.frame[:], r.key, r.value, zeroes[:padding(len(r.key)+len(r.value))]} {
		if err := w.write(part); err != nil {
			return err
		}
	}
	return nil
}

// end writes the trailer and whatever is buffered.
func (w *imageWriter) end() error {
	if err := w.write(w.head.encodeTrailer(w.records, w.length+imageTrailerBytes)); err != nil {
		return err
	}
	return w.w.Flush()
}

// imageReader reads what is whole of a memory file, which may be damaged in any
// way.
type imageReader struct {
	r    *bufio.Reader
	head imageHeader
	left int64 // bytes before the trailer, or the end, that are not read yet
	most int   // bytes of key and value that are read into memory
	body []byte

	records int64 // by the trailer; -1 without a whole one
	whole   int64 // records found, those over most included
	large   int64 // of these, those over most: not read, and not given out
	bad     int64 // damaged stretches
	astray  bool  // within one, looking for the next record
	err     error // of reading
}

func newImageReader(from io.ReaderAt, size int64, most int) (*imageReader, error) {
	r := &imageReader{most: most, records: -1}
	b := make([]byte, imageHeaderBytes)
	if _, err := from.ReadAt(b, 0); errors.Is(err, io.EOF) {
		return nil, errForeign
	} else if err != nil {
		return nil, err
	}
	var err error
	if r.head, err = decodeImageHeader(b); err != nil {
		return nil, err
	}
	end := size - imageTrailerBytes
	if end >= imageHeaderBytes {
		if _, err := from.ReadAt(b[:imageTrailerBytes], end); err != nil {
			return nil, err
		}
		if n, ok := r.head.decodeTrailer(b, size); ok {
			r.records, size = n, end
		}
	}
	r.left = size - imageHeaderBytes
	r.r = bufio.NewReaderSize(io.NewSectionReader(from, imageHeaderBytes, r.left), int(max(imageRecordBytes, min(1<<20, r.left))))
	return r, nil
}

// next gives the next whole record, whose key and value hold until next is
// called again; false after the last.
func (r *imageReader) next() (imageRecord, bool) {
	for r.left > 0 {
		rec, ok := r.peek()
		size := rec.keyLen + rec.valLen
		switch {
		case !ok:
			r.stray()
		case size > r.most:
			r.skip(int64(imageRecordBytes + size + padding(size)))
			r.whole, r.large = r.whole+1, r.large+1
		case r.load(&rec):
			r.whole++
			return rec, true
		}
	}
	return imageRecord{}, false
}

// peek decodes the record that begins here, if one does and does not end beyond
// the end.
func (r *imageReader) peek() (rec imageRecord, ok bool) {
	if r.left < imageRecordBytes {
		return rec, false
	}
	b, err := r.r.Peek(imageRecordBytes)
	if err != nil {
		r.fail(err)
		return rec, false
	}
	rec, ok = r.head.decodeRecord(b)
	size := rec.keyLen + rec.valLen
	if !ok || int64(imageRecordBytes+size+padding(size)) > r.left {
		return rec, false
	}
	r.astray = false
	return rec, true
}

// load reads the body of a record that was peeked at.
func (r *imageReader) load(rec *imageRecord) bool {
	size := rec.keyLen + rec.valLen
	if cap(r.body) < size {
		r.body = make([]byte, min(size+size/4, r.most))
	}
	b := r.body[:size]
	r.skip(imageRecordBytes)
	if _, err := io.ReadFull(r.r, b); err != nil {
		r.fail(err)
		return false
	}
	r.left -= int64(size)
	r.skip(int64(padding(size)))
	if r.head.bodySum(b) != rec.sum {
		r.bad++
		return false
	}
	rec.key, rec.value = b[:rec.keyLen:rec.keyLen], b[rec.keyLen:]
	return true
}

// stray goes on by a step in a damaged stretch.
func (r *imageReader) stray() {
	if r.left == 0 {
		return // the read failed, and that is counted
	}
	if !r.astray {
		r.astray = true
		r.bad++
	}
	r.skip(min(imageAlign, r.left))
}

func (r *imageReader) skip(n int64) {
	if r.left == 0 {
		return
	}
	if _, err := r.r.Discard(int(n)); err != nil {
		r.fail(err)
		return
	}
	r.left -= n
}

// fail ends the reading: what comes behind a place that cannot be read is lost.
func (r *imageReader) fail(err error) {
	if r.err == nil {
		r.err = err
		r.bad++
	}
	r.left = 0
}

// lost is how many records are missing, or at least how many when the trailer
// does not tell.
func (r *imageReader) lost() int64 {
	if r.records >= 0 {
		return max(0, r.records-r.whole)
	}
	return r.bad
}

// sound tells whether all that was written has been found, and nothing else.
func (r *imageReader) sound() bool { return r.records == r.whole && r.bad == 0 }
