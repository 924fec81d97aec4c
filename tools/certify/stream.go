package certify

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"
)

// stream is one connection of a check.
type stream struct {
	conn     net.Conn
	in       *bufio.Reader
	timeout  time.Duration
	got      []byte // received in this step
	bodySize uint32 // of the packet being matched, where it is not known before
	closed   bool   // the server has closed it, as it had to
}

// quietTime is how long a failed check waits for more of a wrong reply.
const quietTime = 50 * time.Millisecond

// keepMost is how much of a wrong reply is kept, in bytes.
const keepMost = 64 << 10

// errMismatch says that other bytes came than those expected.
var errMismatch = errors.New("other bytes")

// send writes what a client would, and byte by byte if so asked: each byte is a
// packet of its own, since Go's sockets do not wait for more.
func (s *stream) send(out []byte, bytely bool) error {
	size := len(out)
	if bytely {
		size = 1
	}
	for len(out) > 0 {
		if err := s.conn.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil {
			return err
		}
		n := min(size, len(out))
		if _, err := s.conn.Write(out[:n]); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		out = out[n:]
	}
	return nil
}

// expect reads what the elements match. The error says how what came differs:
// errMismatch, a timeout, or an end.
func (s *stream) expect(elements []element, e *env) error {
	if err := s.conn.SetReadDeadline(time.Now().Add(s.timeout)); err != nil {
		return err
	}
	for i, el := range elements {
		var next []byte
		if i+1 < len(elements) {
			next = elements[i+1].text
		}
		if err := s.match(&el, next, e); err != nil {
			return err
		}
	}
	return nil
}

func (s *stream) match(el *element, next []byte, e *env) error {
	switch el.kind {
	case literal:
		return s.literal(el.text)
	case number:
		return s.number(el, e)
	case word:
		b, err := s.take(8)
		if err != nil {
			return err
		}
		n := binary.BigEndian.Uint64(b)
		e.name(el.name, n)
		return mismatchUnless(n != 0)
	case bodyLength:
		b, err := s.take(4)
		if err == nil {
			s.bodySize = binary.BigEndian.Uint32(b)
		}
		return err
	case bodyRest:
		_, err := s.take(int(s.bodySize) - int(el.low))
		return err
	case oneOf:
		return s.oneOf(el.alts)
	case restOfLine:
		return s.skip([]byte("\r"))
	case skip:
		return s.skip(next)
	case eof:
		return s.end()
	}
	panic(fmt.Sprintf("element of kind %d", el.kind))
}

func mismatchUnless(ok bool) error {
	if ok {
		return nil
	}
	return errMismatch
}

// read takes one byte.
func (s *stream) read() (byte, error) {
	b, err := s.in.ReadByte()
	if err == nil && len(s.got) < keepMost {
		s.got = append(s.got, b)
	}
	return b, err
}

func (s *stream) unread() {
	_ = s.in.UnreadByte() // what was read just now
	s.got = s.got[:max(len(s.got)-1, 0)]
}

func (s *stream) take(n int) ([]byte, error) {
	if n < 0 {
		return nil, errMismatch
	}
	b := make([]byte, 0, min(n, keepMost))
	for range n {
		c, err := s.read()
		if err != nil {
			return nil, err
		}
		if len(b) < keepMost {
			b = append(b, c)
		}
	}
	return b, nil
}

func (s *stream) literal(text []byte) error {
	for _, want := range text {
		got, err := s.read()
		if err != nil {
			return err
		}
		if got != want {
			return errMismatch
		}
	}
	return nil
}

func (s *stream) number(el *element, e *env) error {
	var digits []byte
	for {
		b, err := s.read()
		if err != nil {
			return err
		}
		if b < '0' || b > '9' {
			s.unread()
			break
		}
		digits = append(digits, b)
	}
	n, err := strconv.ParseUint(string(digits), 10, 64)
	e.name(el.name, n)
	return mismatchUnless(err == nil && n >= el.low && n <= el.high)
}

// oneOf takes the longest of alts that comes.
func (s *stream) oneOf(alts []string) error {
	longest := -1
	for n := 0; ; n++ {
		more := false
		seen, err := s.in.Peek(n)
		for _, alt := range alts {
			if len(alt) >= n && alt[:n] == string(seen) && err == nil {
				more = more || len(alt) > n
				if len(alt) == n {
					longest = n
				}
			}
		}
		if more {
			continue
		}
		if longest < 0 {
			return errors.Join(err, mismatchUnless(err != nil))
		}
		_, err = s.take(longest)
		return err
	}
}

// skip passes over what comes before text.
func (s *stream) skip(text []byte) error {
	for {
		seen, err := s.in.Peek(len(text))
		if err != nil {
			return err
		}
		if bytes.Equal(seen, text) {
			return nil
		}
		if _, err := s.read(); err != nil {
			return err
		}
	}
}

// end is what is expected when the server closes the connection.
func (s *stream) end() error {
	_, err := s.read()
	if err == nil {
		return errMismatch
	}
	s.closed = !errors.Is(err, os.ErrDeadlineExceeded)
	if s.closed {
		return nil
	}
	return err
}

// rest adds to got what comes within quietTime, for the report.
func (s *stream) rest() []byte {
	for len(s.got) < keepMost {
		_ = s.conn.SetReadDeadline(time.Now().Add(quietTime)) // else the next read fails
		if _, err := s.read(); err != nil {
			break
		}
	}
	return s.got
}

// reason puts the error of expect in a report's words.
func (s *stream) reason(err error) string {
	switch {
	case errors.Is(err, errMismatch):
		return fmt.Sprintf("differs at byte %d", max(len(s.got), 1))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("no more came after byte %d", len(s.got))
	case errors.Is(err, io.EOF):
		return "the connection was closed"
	}
	return err.Error()
}
