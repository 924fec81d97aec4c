package dump

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// reader takes a dump apart, block by block.
type reader struct {
	in      io.Reader
	header  header
	block   block
	at      int64 // offset of block, and behind it of what comes next
	next    int64
	payload bytes.Buffer
	rest    []byte // of the payload
	left    uint32 // items of it
}

func newReader(in io.Reader) (*reader, error) {
	r := &reader{in: in, next: headerSize}
	b := make([]byte, headerSize)
	_, err := io.ReadFull(in, b)
	switch {
	case err == nil:
		err = r.header.parse(b)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = ErrNotDump
	}
	if err != nil {
		return nil, &FormatError{0, "header", err}
	}
	return r, nil
}

// nextBlock goes on to the next block, which is io.EOF at the end. Its payload is
// as it was written.
func (r *reader) nextBlock() error {
	r.at = r.next
	var b [blockSize]byte
	if _, err := io.ReadFull(r.in, b[:]); err != nil {
		return r.failed(err)
	}
	if err := r.block.parse(b[:]); err != nil {
		return r.failed(err)
	}
	r.payload = bytes.Buffer{}                                                   // items of the last one may be under way
	if _, err := io.CopyN(&r.payload, r.in, int64(r.block.length)); err != nil { // grows as bytes come
		return r.failed(err)
	}
	if checksum(r.payload.Bytes()) != r.block.crc {
		return r.failed(ErrDamaged)
	}
	r.rest, r.left = r.payload.Bytes(), r.block.items
	r.next = r.at + blockSize + int64(r.block.length)
	if r.block.kind == kindEnd {
		return io.EOF
	}
	return nil
}

func (r *reader) failed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = ErrCutShort
	}
	return &FormatError{r.at, "block", err}
}

// nextItem returns the next item of the block; false at its end.
func (r *reader) nextItem() (it item, ok bool, err error) {
	if r.left == 0 && len(r.rest) == 0 {
		return it, false, nil
	}
	offset := r.next - int64(len(r.rest))
	rest, ok := it.parse(r.rest)
	if !ok || r.left == 0 {
		return it, false, &FormatError{offset, "item", ErrDamaged}
	}
	r.rest = rest
	r.left--
	return it, true, nil
}

// skipTo goes on at the block that begins at offset.
func (r *reader) skipTo(offset int64) error {
	seeker, ok := r.in.(io.Seeker)
	if !ok {
		return fmt.Errorf("cannot go on at byte %d of what is no file", offset)
	}
	_, err := seeker.Seek(offset, io.SeekStart)
	r.next = offset
	return err
}
