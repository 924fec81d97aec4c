package flashtier

import (
	"errors"
	"fmt"
)

// BadPlace is the error for a place in a page where no sound record is.
type BadPlace struct {
	Page   PageID
	Offset int64 // in the page, bytes
	Err    error // ErrCRC, ErrTorn, ErrVersion or ErrLayout
}

// Error names page and offset.
func (e *BadPlace) Error() string {
	return fmt.Sprintf("page %d at %d: %v", e.Page, e.Offset, e.Err)
}

// Unwrap gives the cause.
func (e *BadPlace) Unwrap() error { return e.Err }

// Scanner reads the records of a page image in the order of the page. Of a
// sealed page it reads the extents that the trailer lists, and goes on after a
// bad place. Of an unsealed one it reads frame after frame and stops at the
// first place where none of this life of the page is: that is how a write that
// was cut short ends.
type Scanner struct {
	image   []byte
	header  PageHeader
	trailer Trailer
	sealed  bool
	at      int64 // where the next frame is expected
	end     int64 // where data ends
	extent  int   // of a sealed page, which one at is in
	rec     Record
	err     error
}

// NewScanner makes a Scanner for the page that image is, or begins with: an
// image that is cut short is read as far as it goes. The error is that of the
// header.
func NewScanner(image []byte) (*Scanner, error) {
	h, err := DecodeHeader(image)
	if err != nil {
		return nil, fmt.Errorf("page header: %w", err)
	}
	s := &Scanner{image: image, header: h, at: blockSize, end: min(int64(len(image)), dataEnd(h.Size))}
	if int64(len(image)) < h.Size {
		return s, nil
	}
	t, err := DecodeTrailer(image[dataEnd(h.Size):], h.Size)
	if errors.Is(err, ErrFormat) {
		return nil, fmt.Errorf("page trailer: %w", err)
	}
	if err == nil && t.ID == h.ID && t.Version == h.Version && t.Format == h.Format {
		s.trailer, s.sealed = t, true
	}
	return s, nil
}

// Header is the page's header.
func (s *Scanner) Header() PageHeader { return s.header }

// Trailer is the page's trailer; ok is false if the page is not sealed.
func (s *Scanner) Trailer() (t Trailer, ok bool) { return s.trailer, s.sealed }

// Offset is where the scan has come to, in bytes from the page's start.
func (s *Scanner) Offset() int64 { return s.at }

// Next moves to the next record or bad place. It is false at the end.
func (s *Scanner) Next() bool {
	s.rec, s.err = Record{}, nil
	if s.sealed {
		return s.nextSealed()
	}
	return s.nextUnsealed()
}

// Record is what Next has moved to: a record, or a *BadPlace.
func (s *Scanner) Record() (Record, error) { return s.rec, s.err }

func (s *Scanner) nextSealed() bool {
	for s.extent < len(s.trailer.Extents) {
		e := s.trailer.Extents[s.extent]
		s.at = max(s.at, int64(e.Start))
		if s.at >= int64(e.Index) {
			s.extent++
			continue
		}
		f, err := s.frame(s.image[s.at:e.Index])
		if err == nil && f.kind != kindRecord {
			err = ErrLayout
		}
		if err != nil {
			s.bad(err)
			s.at = s.after(e)
			return true
		}
		s.take(f)
		return true
	}
	return false
}

// after is where the record after s.at begins, as the index of e has it; without
// a sound index, e is given up.
func (s *Scanner) after(e Extent) int64 {
	x, err := DecodeIndex(s.image[e.Index:s.end], s.header.Life(), e)
	if err != nil {
		return int64(e.Index)
	}
	for r := range x.All() {
		if at := int64(r.Unit) * unit; at > s.at {
			return at
		}
	}
	return int64(e.Index)
}

func (s *Scanner) nextUnsealed() bool {
	for s.at < s.end {
		f, err := s.frame(s.image[s.at:s.end])
		switch {
		case err == nil && f.kind == kindRecord:
			s.take(f)
			return true
		case err == nil: // an index ends its extent
			s.at = alignUp(s.at+int64(f.length), blockSize)
			continue
		case errors.Is(err, ErrUnwritten) || errors.Is(err, ErrVersion):
			s.end = s.at
			return false
		}
		s.bad(err)
		s.end = s.at
		return true
	}
	return false
}

// frame decodes the frame at s.at, which b begins with.
func (s *Scanner) frame(b []byte) (frame, error) { return decodeFrame(b, s.header.Life(), s.at) }

// take makes the record frame f, which is at s.at, the current record.
func (s *Scanner) take(f frame) {
	s.rec = f.record(s.image[s.at:])
	size := padded(int64(f.length))
	s.rec.Addr = NewAddr(s.header.Life().place(s.at), ClassFor(int(size)))
	s.at += size
}

func (s *Scanner) bad(err error) {
	s.err = &BadPlace{Page: s.header.ID, Offset: s.at, Err: err}
}
