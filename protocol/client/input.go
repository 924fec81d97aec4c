package client

import (
	"errors"
	"fmt"
	"io"
	"net"
)

// readSize is the size of a connection's input buffer in bytes.
const readSize = 32 << 10

// input holds what was read and not yet understood.
type input struct {
	buf        []byte
	start, end int // of it in buf
}

func (in *input) rest() []byte { return in.buf[in.start:in.end] }

func (in *input) held() int { return in.end - in.start }

// fill reads once. The buffer grows only when most of it is held, so by no more
// than was received.
func (in *input) fill(nc net.Conn) error {
	in.makeRoom()
	n, err := nc.Read(in.buf[in.end:])
	in.end += n
	if n > 0 {
		return nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read: %w", err)
}

func (in *input) makeRoom() {
	switch {
	case in.held() == 0:
		in.start, in.end = 0, 0
		if len(in.buf) == 0 || len(in.buf) > keepLarge {
			in.buf = make([]byte, readSize)
		}
	case in.end < len(in.buf):
	case in.start >= len(in.buf)/2:
		in.start, in.end = 0, copy(in.buf, in.rest())
	default:
		grown := make([]byte, 2*len(in.buf))
		in.start, in.end, in.buf = 0, copy(grown, in.rest()), grown
	}
}

// malformed is ErrMalformed with the first of the bytes that are.
func malformed(b []byte) error {
	return fmt.Errorf("%w: %.60q", ErrMalformed, b[:min(len(b), 60)])
}
