package oracle

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
)

// A value of bytes is a row of chunks: what was prepended, the base that a set
// wrote, what was appended. A chunk is little-endian
//
//	0   key      uint32
//	4   length   uint32, of the whole chunk
//	8   version  uint64, of the Op that wrote it; the top two bits are its place
//	16  check    uint64, of run, key, length and version
//	24  pattern  that follows from check
//
// A value of digits is version<<28 | check<<16 | increments, in decimal.
const (
	// ChunkSize is the smallest size of the bytes of an Op.
	ChunkSize = 24

	placeShift  = 62
	versionMask = 1<<placeShift - 1

	numberCheckBits = 12
	numberCountBits = 16
	numberShift     = numberCheckBits + numberCountBits

	golden = 0x9e3779b97f4a7c15
)

// The places of a chunk in a value.
const (
	basePlace = iota
	frontPlace
	backPlace
)

// content is what a value was made by: the versions of its chunks in the order
// of its bytes, and for a number how often it was incremented.
type content struct {
	parts []uint64
	base  int // index of the set's version
	count uint64
}

func (c *content) has(version uint64) bool { return slices.Contains(c.parts, version) }

// within tells whether all that is in c is in d, in the same order.
func (c *content) within(d *content) bool {
	rest := d.parts
	for _, version := range c.parts {
		i := slices.Index(rest, version)
		if i < 0 {
			return false
		}
		rest = rest[i+1:]
	}
	return c.count <= d.count
}

func (c *content) String() string {
	if c.count > 0 {
		return fmt.Sprintf("#%d+%d", c.parts[c.base], c.count)
	}
	text := ""
	for _, version := range c.parts {
		text += fmt.Sprintf("#%d", version)
	}
	return text
}

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (o *Oracle) check(key uint32, length int, version uint64) uint64 {
	return mix(mix(mix(o.run+golden)+uint64(key)<<32+uint64(length)) + version)
}

// appendChunk appends the size bytes of one chunk.
func (o *Oracle) appendChunk(dst []byte, key uint32, version uint64, size int) []byte {
	size = max(size, ChunkSize)
	check := o.check(key, size, version)
	start := len(dst)
	dst = slices.Grow(dst, size)[:start+size]
	chunk := dst[start:]
	binary.LittleEndian.PutUint32(chunk, key)
	binary.LittleEndian.PutUint32(chunk[4:], uint32(size))
	binary.LittleEndian.PutUint64(chunk[8:], version)
	binary.LittleEndian.PutUint64(chunk[16:], check)
	for i, rest := uint64(1), chunk[ChunkSize:]; len(rest) > 0; i++ {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], mix(check+i*golden))
		rest = rest[copy(rest, word[:]):]
	}
	return dst
}

// parse takes a value of bytes apart; bad says what is wrong with it.
func (o *Oracle) parse(key uint32, value []byte) (c content, bad string) {
	c.base = -1
	for off := 0; off < len(value); {
		size, version, bad := o.parseChunk(key, value[off:])
		if bad != "" {
			return c, fmt.Sprintf("%s, in the chunk at offset %d of %d bytes", bad, off, len(value))
		}
		place := version >> placeShift
		if place == basePlace && c.base < 0 {
			c.base = len(c.parts)
		} else if place == basePlace || (place == backPlace) != (c.base >= 0) {
			return c, fmt.Sprintf("the chunk at offset %d is not where it belongs", off)
		}
		c.parts = append(c.parts, version&versionMask)
		off += size
	}
	if c.base < 0 {
		return c, fmt.Sprintf("no base in %d bytes", len(value))
	}
	return c, ""
}

func (o *Oracle) parseChunk(key uint32, b []byte) (size int, version uint64, bad string) {
	if len(b) < ChunkSize {
		return 0, 0, fmt.Sprintf("%d bytes are too few", len(b))
	}
	size = int(binary.LittleEndian.Uint32(b[4:]))
	version = binary.LittleEndian.Uint64(b[8:])
	check := binary.LittleEndian.Uint64(b[16:])
	other := binary.LittleEndian.Uint32(b)
	if check != o.check(other, size, version) {
		return 0, 0, fmt.Sprintf("wrong check of %x", b[:ChunkSize])
	}
	switch {
	case other != key:
		return 0, 0, fmt.Sprintf("a value of key %d", other)
	case size < ChunkSize || size > len(b):
		return 0, 0, fmt.Sprintf("cut to %d of %d bytes", len(b), size)
	}
	return size, version, checkPattern(check, b[ChunkSize:size])
}

func checkPattern(check uint64, b []byte) (bad string) {
	for i := uint64(1); len(b) > 0; i++ {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], mix(check+i*golden))
		n := min(len(b), len(word))
		if string(b[:n]) != string(word[:n]) {
			return fmt.Sprintf("wrong bytes from pattern word %d on: %x", i, b[:n])
		}
		b = b[n:]
	}
	return ""
}

func (o *Oracle) numberOf(key uint32, version uint64) uint64 {
	check := o.check(key, 0, version) & (1<<numberCheckBits - 1)
	return version<<numberShift | check<<numberCountBits
}

// parseNumber takes a value of digits apart.
func (o *Oracle) parseNumber(key uint32, n uint64) (c content, bad string) {
	c = content{parts: []uint64{n >> numberShift}, count: n & (1<<numberCountBits - 1)}
	if o.numberOf(key, n>>numberShift) != n-c.count {
		return c, fmt.Sprintf("wrong check in the number %d", n)
	}
	return c, ""
}

func (o *Oracle) parseDigits(key uint32, value []byte) (c content, bad string) {
	n, err := strconv.ParseUint(string(value), 10, 64)
	if err != nil {
		return c, fmt.Sprintf("no number: %.40q", value)
	}
	return o.parseNumber(key, n)
}
