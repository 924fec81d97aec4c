package seeded

import "encoding/binary"

// Stream is the bytes of one value, any part of which can be generated or
// checked alone. In 8-byte little-endian words:
//
//	word 0     the version, xor Mix(key number)
//	word i>0   wordAt(seed + i*golden), the seed from key number and version
//	the rest   the first bytes of one more word
//
// So a value tells its own version, and a value of another key, of another
// place in the same value or of a mixture of versions differs. A value shorter
// than HeadSize has no version: its bytes follow from the key alone.
type Stream struct{ head, seed uint64 }

// HeadSize is how many bytes a value must have to tell its version.
const HeadSize = 8

// NewStream is of the value of that key and version, of size bytes.
func NewStream(key, version uint64, size int) Stream {
	if size < HeadSize {
		version = 0
	}
	k := Mix(key + golden)
	return Stream{head: version ^ k, seed: Mix(k + version*golden)}
}

// VersionIn is the version that the first bytes of key's value tell.
func VersionIn(key uint64, head []byte) uint64 {
	if len(head) < HeadSize {
		return 0
	}
	return binary.LittleEndian.Uint64(head) ^ Mix(key+golden)
}

func wordAt(x uint64) uint64 {
	x = (x ^ x>>32) * 0xd6e8feb86659fd93
	return x ^ x>>29
}

func (s *Stream) word(i int) uint64 {
	if i == 0 {
		return s.head
	}
	return wordAt(s.seed + uint64(i)*golden)
}

// ByteAt is the byte at an offset.
func (s *Stream) ByteAt(off int) byte { return byte(s.word(off/8) >> (off % 8 * 8)) }

// Fill writes the value's bytes from offset off on into dst.
func (s *Stream) Fill(dst []byte, off int) {
	if off%8 != 0 || off == 0 {
		n := s.fillWord(dst, off)
		dst, off = dst[n:], off+n
	}
	x := s.seed + uint64(off/8)*golden
	for len(dst) >= 32 { // four words at a time keep the CPU's multipliers busy
		binary.LittleEndian.PutUint64(dst, wordAt(x))
		binary.LittleEndian.PutUint64(dst[8:], wordAt(x+golden))
		binary.LittleEndian.PutUint64(dst[16:], wordAt(x+golden2))
		binary.LittleEndian.PutUint64(dst[24:], wordAt(x+golden3))
		x += golden4
		dst, off = dst[32:], off+32
	}
	for len(dst) > 0 {
		n := s.fillWord(dst, off)
		dst, off = dst[n:], off+n
	}
}

// fillWord writes the rest of the word at off, or what dst has room for.
func (s *Stream) fillWord(dst []byte, off int) int {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], s.word(off/8))
	return copy(dst, b[off%8:])
}

// Check compares src with the value's bytes from offset off on and gives the
// offset of the first that differs, or -1.
func (s *Stream) Check(src []byte, off int) int {
	if off%8 != 0 || off == 0 {
		n := min(8-off%8, len(src))
		if bad := s.checkBytes(src[:n], off); bad >= 0 {
			return bad
		}
		src, off = src[n:], off+n
	}
	n := s.right(src, off)
	return s.checkBytes(src[n:], off+n)
}

// right is how many bytes of src are right for certain, counted in steps of 32
// and then 8. off is a multiple of 8, not 0.
func (s *Stream) right(src []byte, off int) (n int) {
	whole := len(src)
	x := s.seed + uint64(off/8)*golden
	for len(src) >= 32 {
		differ := binary.LittleEndian.Uint64(src) ^ wordAt(x)
		differ |= binary.LittleEndian.Uint64(src[8:]) ^ wordAt(x+golden)
		differ |= binary.LittleEndian.Uint64(src[16:]) ^ wordAt(x+golden2)
		differ |= binary.LittleEndian.Uint64(src[24:]) ^ wordAt(x+golden3)
		if differ != 0 {
			break
		}
		x += golden4
		src = src[32:]
	}
	for len(src) >= 8 && binary.LittleEndian.Uint64(src) == wordAt(x) {
		x += golden
		src = src[8:]
	}
	return whole - len(src)
}

func (s *Stream) checkBytes(src []byte, off int) int {
	for i, b := range src {
		if b != s.ByteAt(off+i) {
			return off + i
		}
	}
	return -1
}
