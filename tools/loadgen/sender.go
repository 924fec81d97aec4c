package loadgen

import (
	"strconv"

	"github.com/hearthcache/hearth/tools/seeded"
)

// outBytes is how much of a batch is built before it is written. What is built
// may exceed it by one key or line, for which outSlack is enough.
const (
	outBytes = 256 << 10
	outSlack = 512
)

// sender turns the requests of a ring into bytes, resumable anywhere.
type sender struct {
	keys *keyspace
	part int // of the request being sent: 0 nothing yet, otherwise 1 + keys or value bytes built
}

// build appends bytes of the requests not yet sent, until about outBytes.
func (s *sender) build(dst []byte, r *ring) []byte {
	for r.sent < r.tail && len(dst) < outBytes {
		o, done := r.at(r.sent), false
		switch o.verb {
		case get:
			dst, done = s.buildGet(dst, o)
		case set:
			dst, done = s.buildSet(dst, o)
		default:
			dst, done = s.appendChange(dst, o), true
		}
		if done {
			r.sent++
			s.part = 0
		}
	}
	return dst
}

func (s *sender) buildGet(dst []byte, o *op) (_ []byte, done bool) {
	if s.part == 0 {
		dst = append(dst, "get"...)
		s.part = 1
	}
	for s.part <= len(o.asks) {
		if len(dst) >= outBytes {
			return dst, false
		}
		dst = s.keys.appendKey(append(dst, ' '), o.asks[s.part-1].key)
		s.part++
	}
	return append(dst, "\r\n"...), true
}

func (s *sender) buildSet(dst []byte, o *op) (_ []byte, done bool) {
	a := o.asks[0]
	size := s.keys.valueSize(a.key)
	if s.part == 0 {
		dst = s.appendSetLine(dst, a.key, size)
		s.part = 1
	}
	off := s.part - 1
	n := min(size-off, max(0, outBytes-len(dst)))
	value := seeded.NewStream(a.key, a.version, size)
	dst = dst[:len(dst)+n]
	value.Fill(dst[len(dst)-n:], off)
	s.part += n
	if off+n < size {
		return dst, false
	}
	return append(dst, "\r\n"...), true
}

func (s *sender) appendSetLine(dst []byte, key uint64, size int) []byte {
	dst = s.keys.appendKey(append(dst, "set "...), key)
	dst = strconv.AppendUint(append(dst, ' '), uint64(keyFlags(key)), 10)
	dst = strconv.AppendUint(append(dst, ' '), uint64(s.keys.ttlSeconds(key)), 10)
	dst = strconv.AppendUint(append(dst, ' '), uint64(size), 10)
	return append(dst, "\r\n"...)
}

// appendChange is a delete or a touch.
func (s *sender) appendChange(dst []byte, o *op) []byte {
	key := o.asks[0].key
	dst = s.keys.appendKey(append(append(dst, o.verb.String()...), ' '), key)
	if o.verb == touch {
		dst = strconv.AppendUint(append(dst, ' '), uint64(s.keys.ttlSeconds(key)), 10)
	}
	return append(dst, "\r\n"...)
}
