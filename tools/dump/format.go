package dump

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/hearthcache/hearth/protocol"
)

// Part of the format, and not to be changed.
const (
	magic      = "HEARTHDU"
	version    = 1
	headerSize = 40
	blockSize  = 32
	maxPayload = 1<<30 + 1<<20

	kindItems, kindEnd = 1, 2
)

// What is wrong with a file. A FormatError says where.
var (
	// ErrNotDump says that a file is no dump.
	ErrNotDump = errors.New("not a dump of hearth")
	// ErrVersion says that a file has a version that this program does not know.
	ErrVersion = errors.New("a dump of another version")
	// ErrDamaged says that bytes are not those that were written.
	ErrDamaged = errors.New("damaged")
	// ErrCutShort says that a dump has no end.
	ErrCutShort = errors.New("cut short")
)

// FormatError is what is wrong with a file, and where.
type FormatError struct {
	Offset int64  // of the header, block or item in the file
	What   string // what should have been there
	Err    error  // one of the above
}

// Error gives place, part and reason.
func (e *FormatError) Error() string {
	return fmt.Sprintf("%s at byte %d: %v", e.What, e.Offset, e.Err)
}

// Unwrap returns the reason.
func (e *FormatError) Unwrap() error { return e.Err }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// fileID tells dumps apart.
type fileID [16]byte

// header is what a file begins with.
type header struct {
	id    fileID
	begun time.Time
}

func (h *header) append(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, magic...)
	dst = binary.LittleEndian.AppendUint16(dst, version)
	dst = append(dst, 0, 0)
	dst = append(dst, h.id[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.begun.Unix()))
	return binary.LittleEndian.AppendUint32(dst, checksum(dst[at:]))
}

// parse takes the headerSize bytes of b.
func (h *header) parse(b []byte) error {
	switch {
	case !bytes.HasPrefix(b, []byte(magic)):
		return ErrNotDump
	case binary.LittleEndian.Uint16(b[8:]) != version:
		return fmt.Errorf("%w, %d", ErrVersion, binary.LittleEndian.Uint16(b[8:]))
	case binary.LittleEndian.Uint32(b[36:]) != checksum(b[:36]):
		return ErrDamaged
	}
	h.id = fileID(b[12:28])
	h.begun = time.Unix(int64(binary.LittleEndian.Uint64(b[28:])), 0)
	return nil
}

// block is what stands before a payload.
type block struct {
	kind, length, items, crc uint32
	position                 uint64
}

func (k *block) append(dst []byte) []byte {
	at := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, k.kind)
	dst = binary.LittleEndian.AppendUint32(dst, k.length)
	dst = binary.LittleEndian.AppendUint32(dst, k.items)
	dst = binary.LittleEndian.AppendUint32(dst, k.crc)
	dst = binary.LittleEndian.AppendUint64(dst, k.position)
	dst = append(dst, 0, 0, 0, 0)
	return binary.LittleEndian.AppendUint32(dst, checksum(dst[at:]))
}

// parse takes the blockSize bytes of b.
func (k *block) parse(b []byte) error {
	*k = block{
		kind: binary.LittleEndian.Uint32(b), length: binary.LittleEndian.Uint32(b[4:]),
		items: binary.LittleEndian.Uint32(b[8:]), crc: binary.LittleEndian.Uint32(b[12:]),
		position: binary.LittleEndian.Uint64(b[16:]),
	}
	sound := checksum(b[:28]) == binary.LittleEndian.Uint32(b[28:]) && k.length <= maxPayload
	switch {
	case sound && k.kind == kindItems, sound && k.kind == kindEnd && k.length == 0:
		return nil
	}
	return ErrDamaged
}

// item is one of a payload.
type item struct {
	key, value []byte
	flags      uint32
	expires    int64 // seconds since 1970; 0 for never
}

func (it *item) append(dst []byte) []byte {
	dst = append(dst, byte(len(it.key)))
	dst = binary.AppendUvarint(dst, uint64(len(it.value)))
	dst = binary.AppendUvarint(dst, uint64(it.flags))
	dst = binary.AppendUvarint(dst, uint64(it.expires))
	return append(append(dst, it.key...), it.value...)
}

// parse takes an item from the beginning of b, in which its slices point, and
// returns what follows it; false if there is none.
func (it *item) parse(b []byte) (rest []byte, ok bool) {
	if len(b) == 0 || b[0] == 0 || b[0] > protocol.MaxKey {
		return nil, false
	}
	keyLen, b := int(b[0]), b[1:]
	var numbers [3]uint64
	for i := range numbers {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, false
		}
		numbers[i], b = v, b[n:]
	}
	length := numbers[0]
	if len(b) < keyLen || length > uint64(len(b)-keyLen) || numbers[1] > 1<<32-1 || numbers[2] > 1<<62 {
		return nil, false
	}
	it.key, b = b[:keyLen], b[keyLen:]
	it.value, b = b[:length], b[length:]
	it.flags, it.expires = uint32(numbers[1]), int64(numbers[2])
	return b, true
}
