package flashtier

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/crc32"
)

// PartKind says what a part of a page is.
type PartKind uint8

// The kinds of parts.
const (
	PartRecord PartKind = iota // a sound record
	PartIndex                  // the sound index frame of an extent
	PartBad                    // where a record or an index frame should be and no sound one is
	PartSpace                  // bytes that no extent has: a hole, or what is not written yet
)

// Part is a piece of a page between its header and its trailer. What it refers to
// holds until the function that was given it returns.
type Part struct {
	Kind   PartKind
	Offset int64 // in the page, bytes
	Size   int64 // padding included
	Extent int   // which one it is in, or comes after, from 0
	// Version is the page version of a PartRecord: the page's, or that of an
	// older life which still lies there.
	Version uint32
	// Record is that of a PartRecord. Of a PartBad it is what the bytes seem to
	// say, or has no key if they make no sense.
	Record Record
	Index  Index  // of a PartIndex
	Bytes  []byte // the frame's, and maybe more; of a PartBad what can be read
	Err    error  // of a PartBad
	format uint32 // of the frame
}

// PageFile is what is known of a page before it is walked.
type PageFile struct {
	ID      PageID
	Format  uint32 // of the page
	Version uint32 // of the life to walk
	Size    int64  // of the page, bytes
	// Extents are those of the trailer, or of the catalog. Without them the
	// walk looks for frames of this life, at every block.
	Extents []Extent
	// Older has the walk look for what older lives have left, too.
	Older bool
}

// PartEntry is what the index frame of an extent says of one of its records.
type PartEntry struct {
	Offset, Size int64 // of the record, bytes; padding included
	Hash         uint64
}

// Entries appends what a PartIndex says of each record to list.
func (p *Part) Entries(list []PartEntry) []PartEntry {
	for e := range p.Index.All() {
		list = append(list, PartEntry{int64(e.Unit) * unit, int64(e.Size), e.Hash})
	}
	return list
}

// windowSize is how much of a page a Walker reads at a time. A longer frame makes
// room for itself once its checksum holds.
const windowSize = 1 << 20

// Walker goes through page files, a window at a time, and gives what is in them
// part by part. Unlike a Scanner it needs no image, goes on after what is bad, and
// tells of all bytes of the page. The zero Walker is ready; it keeps its buffer
// from one page to the next. It is for one goroutine. It reads whole blocks of 4096
// bytes into aligned memory, so that files may be open for direct IO.
type Walker struct {
	file   io.ReaderAt
	page   PageFile
	end    int64  // of what extents may take
	mem    []byte // the buffer
	from   int64  // where in the file mem[:n] is
	n      int
	err    error // of the last read, if it was not the file's end
	extent int
	found  Extent // of an extent that is not known, what of it was found so far
	older  bool   // it is looking for what older lives have left
	fn     func(*Part) error
	part   Part
}

// ReadHeader reads the header of the page in file.
func ReadHeader(file io.ReaderAt) (PageHeader, error) {
	b, err := readBlock(file, 0, blockSize)
	if err != nil {
		return PageHeader{}, err
	}
	return DecodeHeader(b)
}

// ReadTrailer reads the trailer of the page of pageSize bytes in file.
func ReadTrailer(file io.ReaderAt, pageSize int64) (Trailer, error) {
	b, err := readBlock(file, TrailerOffset(pageSize), trailerSize)
	if err != nil {
		return Trailer{}, err
	}
	return DecodeTrailer(b, pageSize)
}

// HeaderSize is the bytes of a page's header.
const HeaderSize = blockSize

// TrailerOffset is where in a page of pageSize bytes the trailer begins.
func TrailerOffset(pageSize int64) int64 { return dataEnd(pageSize) }

func readBlock(file io.ReaderAt, off int64, n int) ([]byte, error) {
	b := make([]byte, n)
	got, err := file.ReadAt(b, off)
	if got < n && (err == nil || errors.Is(err, io.EOF)) {
		return nil, fmt.Errorf("%w: %d bytes of %d", ErrTorn, got, n)
	}
	if got == n {
		err = nil
	}
	return b, err
}

// Walk calls fn for every part of the page in file, in the order of the page. The
// parts leave out nothing between header and trailer. It stops at the first error
// of fn, and gives that.
func (w *Walker) Walk(file io.ReaderAt, page PageFile, fn func(*Part) error) error {
	w.file, w.page, w.fn = file, page, fn
	w.end, w.from, w.n, w.extent = dataEnd(page.Size), 0, 0, 0
	if page.Extents == nil {
		return w.search(blockSize, w.end)
	}
	at := int64(blockSize)
	for i, e := range page.Extents {
		w.extent = i
		if err := w.space(at, int64(e.Start)); err != nil {
			return err
		}
		var err error
		if at, err = w.listed(e); err != nil {
			return err
		}
	}
	return w.space(at, w.end)
}

// listed gives the parts of an extent that is known, and tells where it ends.
func (w *Walker) listed(e Extent) (end int64, err error) {
	for at := int64(e.Start); at < int64(e.Index); {
		f, b, err := w.frame(at, int64(e.Index))
		if err == nil && f.kind != kindRecord {
			err = ErrLayout
		}
		next := at + padded(int64(f.length))
		if err != nil {
			next = w.after(e, at)
			err = w.bad(at, next, err)
		} else {
			err = w.record(at, f, b)
		}
		if err != nil {
			return 0, err
		}
		at = next
	}
	at, l := int64(e.Index), w.life()
	b := w.bytes(at, l.indexEnd(e)-at)
	x, err := DecodeIndex(b, l, e)
	if err != nil {
		end = e.leastEnd()
		return end, w.bad(at, end, w.because(err))
	}
	end = alignUp(at+l.frameLength(b), blockSize)
	return end, w.give(Part{Kind: PartIndex, Offset: at, Size: end - at, Version: l.Version, Index: x, Bytes: b})
}

// after is where the record after at begins, as the index of e has it; without a
// sound index, e is given up.
func (w *Walker) after(e Extent, at int64) int64 {
	l := w.life()
	x, err := DecodeIndex(w.bytes(int64(e.Index), l.indexEnd(e)-int64(e.Index)), l, e)
	if err != nil {
		return int64(e.Index)
	}
	for r := range x.All() {
		if next := int64(r.Unit) * unit; next > at {
			return next
		}
	}
	return int64(e.Index)
}

// search gives the parts from one block to another where the extents are not
// known. What follows a sound record and is not one is bad, up to the next block;
// what else is no frame of this life is space.
func (w *Walker) search(from, to int64) error {
	var broken error // why the extent before what is skipped broke off
	skipped, begun := from, false
	for at := from; at < to; {
		f, b, err := w.frame(at, to)
		if err != nil {
			if begun {
				broken, begun = err, false
			}
			at = alignUp(at+1, blockSize)
			continue
		}
		if !begun {
			if err := w.skip(skipped, at, broken); err != nil {
				return err
			}
			broken, w.found = nil, Extent{Start: uint32(at)}
		}
		next, err := w.foundFrame(at, f, b)
		if err != nil {
			return err
		}
		at, skipped, begun = next, next, f.kind == kindRecord
	}
	return w.skip(skipped, to, broken)
}

// skip gives what lies between extents: where one broke off, what there is of that
// block is bad.
func (w *Walker) skip(from, to int64, broken error) error {
	if w.older || broken == nil || errors.Is(broken, ErrUnwritten) || errors.Is(broken, ErrVersion) {
		return w.space(from, to)
	}
	end := min(alignUp(from+1, blockSize), to)
	if err := w.bad(from, end, broken); err != nil {
		return err
	}
	w.extent++
	return w.space(end, to)
}

// foundFrame gives the frame at at, of an extent that is not known, and tells where to
// go on.
func (w *Walker) foundFrame(at int64, f frame, b []byte) (next int64, err error) {
	if f.kind == kindRecord {
		w.found.Count++
		return at + padded(int64(f.length)), w.record(at, f, b)
	}
	next = alignUp(at+int64(f.length), blockSize)
	l := w.life()
	if f.version != l.Version {
		l = l.older(b)
	}
	w.found.Index = uint32(at)
	x, err := DecodeIndex(b, l, w.found)
	if err != nil && !w.older {
		err = w.bad(at, next, err)
	} else { // of what an older life has left the records may be gone
		err = w.give(Part{Kind: PartIndex, Offset: at, Size: next - at, Version: f.version, Index: x, Bytes: b})
	}
	w.extent++
	return next, err
}

func (w *Walker) record(at int64, f frame, b []byte) error {
	size := padded(int64(f.length))
	rec := f.record(b)
	rec.Addr = NewAddr(w.life().place(at), ClassFor(int(size)))
	return w.give(Part{Kind: PartRecord, Offset: at, Size: size, Version: f.version, Record: rec, Bytes: b})
}

// bad gives a part that is bad because of why, with what its bytes seem to say.
func (w *Walker) bad(at, next int64, why error) error {
	b := w.bytes(at, min(next-at, windowSize))
	p := Part{Kind: PartBad, Offset: at, Size: next - at, Bytes: b, Err: why}
	p.Record = w.life().peekRecord(b)
	return w.give(p)
}

// space gives bytes that this life has not written.
func (w *Walker) space(from, to int64) error {
	if from >= to {
		return nil
	}
	if w.page.Older && !w.older {
		extent := w.extent
		w.older = true
		err := w.search(from, to)
		w.older, w.extent = false, extent
		return err
	}
	return w.give(Part{Kind: PartSpace, Offset: from, Size: to - from})
}

func (w *Walker) give(p Part) error {
	w.part = p
	w.part.Extent = w.extent
	if w.part.format = w.page.Format; w.older && len(p.Bytes) >= minRecord {
		w.part.format = w.life().older(p.Bytes).Format
	}
	return w.fn(&w.part)
}

func (w *Walker) life() Life {
	return PageHeader{Format: w.page.Format, ID: w.page.ID, Version: w.page.Version, Size: w.page.Size}.Life()
}

// frame decodes the frame at off, which must end by end, and gives its bytes.
func (w *Walker) frame(off, end int64) (frame, []byte, error) {
	l := w.life()
	b := w.bytes(off, minRecord)
	if len(b) < minRecord {
		return frame{}, nil, w.because(ErrTorn)
	}
	n, older := l.frameLength(b), l.older(b)
	switch {
	case n <= maxFrame && off+n > end:
		return frame{}, nil, fmt.Errorf("%w: length %d goes past %d", ErrTorn, n, end)
	case n > windowSize && n <= maxFrame && (older.Version != l.Version || !w.sumHolds(l, off, n)):
		return frame{}, nil, ErrCRC
	case n > int64(len(b)) && n <= maxFrame:
		b = w.bytes(off, n)
	}
	f, err := decodeFrame(b, l, off)
	switch {
	case errors.Is(err, ErrVersion) && w.older:
		f, err = decodeFrame(b, older, off)
	case errors.Is(err, ErrVersion):
		err = fmt.Errorf("%w: %d, the page has %d", err, older.Version, l.Version)
	case err != nil:
		err = w.because(l.explainSum(b, off, err))
	}
	return f, b, err
}

// explainSum adds to an error of a checksum what the two are.
func (l Life) explainSum(b []byte, off int64, err error) error {
	if n := l.frameLength(b); errors.Is(err, ErrCRC) && n >= frameSize && n <= int64(len(b)) {
		return fmt.Errorf("%w: %08x is stored, its bytes have %08x", err, le.Uint32(b), l.sum(b[:n], off))
	}
	return err
}

// because is err, or why the bytes that it is about could not be read.
func (w *Walker) because(err error) error {
	if w.err != nil && errors.Is(err, ErrTorn) {
		return w.err
	}
	return err
}

// sumHolds tells whether the checksum of the frame of n bytes at off holds, as one
// of life l, without room for it: a length made of garbage takes none. It is asked
// only if the frame says that it is of this life, or garbage would take long: so
// frames of older lives that are longer than a window are not found.
func (w *Walker) sumHolds(l Life, off, n int64) bool {
	head := [frameSize]byte(w.bytes(off, frameSize))
	crc := l.sum(head[:], off)
	for at := off + frameSize; at < off+n; {
		b := w.bytes(at, 1)
		if len(b) == 0 {
			return false
		}
		b = b[:min(int64(len(b)), off+n-at)]
		crc = crc32.Update(crc, castagnoli, b)
		at += int64(len(b))
	}
	return crc == le.Uint32(head[:])
}

// bytes gives the file from off on: at least n bytes, if it has them.
func (w *Walker) bytes(off, n int64) []byte {
	if off < w.from || off+n > w.from+int64(w.n) {
		w.move(off, n)
	}
	if off >= w.from+int64(w.n) {
		return nil
	}
	return w.mem[off-w.from : w.n]
}

// move reads the n bytes from off on, and what else there is room for, up to the
// end of the page. What the window has of them is kept.
func (w *Walker) move(off, n int64) {
	from := off &^ (blockSize - 1)
	need := alignUp(off+n, blockSize) - from
	old := w.mem[:w.n]
	if int64(len(w.mem)) < need || w.mem == nil {
		w.mem = alignedBlocks(int(max(need, windowSize)))
	}
	kept := 0
	if from >= w.from && from < w.from+int64(w.n) && w.n%blockSize == 0 {
		kept = copy(w.mem, old[from-w.from:])
	}
	w.from = from
	most := max(min(int64(len(w.mem)), w.page.Size-from), int64(kept))
	got, err := w.file.ReadAt(w.mem[kept:most], from+int64(kept))
	w.n, w.err = kept+got, nil
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
}
