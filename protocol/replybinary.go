package protocol

import "encoding/binary"

// A binary packet's header is 24 bytes, numbers big endian:
//
//	 0  1  magic: 0x80 request, 0x81 reply
//	 1  1  opcode
//	 2  2  length of the key
//	 4  1  length of the extras
//	 5  1  data type, 0
//	 6  2  reply: status; request: 0
//	 8  4  length of the body: extras, key and value
//	12  4  opaque, repeated in the reply
//	16  8  CAS
//
// The body is extras, key, value.
const (
	BinaryHeader  = 24
	MagicRequest  = 0x80
	MagicResponse = 0x81
)

// flagsSize is the length of the extras of a hit: the client flags.
const flagsSize = 4

// Where EndValue writes what BeginValue could not know.
const (
	bodyAt  = 8
	casAt   = 16
	flagsAt = BinaryHeader
)

// outcomes says how the outcomes are told in the binary protocol.
var outcomes = [...]BinaryStatus{
	Unknown:    StatusUnknownCommand,
	Hit:        StatusOK,
	Miss:       StatusKeyNotFound,
	Stored:     StatusOK,
	NotStored:  StatusNotStored,
	Exists:     StatusKeyExists,
	NotFound:   StatusKeyNotFound,
	Touched:    StatusOK,
	Deleted:    StatusOK,
	NonNumeric: StatusNonNumeric,
	TooLarge:   StatusTooLarge,
	NoMemory:   StatusNoMemory,
	Done:       StatusOK,
}

// repeatsKey tells whether the replies to an opcode have the key: those to GETK,
// GETKQ, GATK and GATKQ.
func repeatsKey(opcode uint8) bool {
	return opcode == 0x0c || opcode == 0x0d || opcode == 0x23 || opcode == 0x24
}

// binaryHead appends a reply's header. The body follows.
func binaryHead(dst []byte, r *Request, status BinaryStatus, key, extras, body int, cas uint64) []byte {
	var h [BinaryHeader]byte
	h[0], h[1] = MagicResponse, r.Opcode
	binary.BigEndian.PutUint16(h[2:], uint16(key))
	h[4] = byte(extras)
	binary.BigEndian.PutUint16(h[6:], uint16(status))
	binary.BigEndian.PutUint32(h[bodyAt:], uint32(body))
	binary.BigEndian.PutUint32(h[12:], r.Opaque)
	binary.BigEndian.PutUint64(h[casAt:], cas)
	return append(dst, h[:]...)
}

// AppendStatus appends the reply of a status to r, a binary request, whether r
// is quiet or not. Its body is text, or if that is empty the status's own.
func AppendStatus(dst []byte, r *Request, status BinaryStatus, text string) []byte {
	if text == "" {
		text = status.Text()
	}
	return append(binaryHead(dst, r, status, 0, 0, len(text), 0), text...)
}

func appendBinaryStat(dst []byte, r *Request, name, value string) []byte {
	dst = binaryHead(dst, r, StatusOK, len(name), 0, len(name)+len(value), 0)
	return append(append(dst, name...), value...)
}

// beginBinary appends all that stands before the value; the lengths, the CAS and
// the flags come with endBinary. The value stays where it is put.
func beginBinary(dst []byte, r *Request) (out []byte, mark int) {
	key := r.Key
	if !repeatsKey(r.Opcode) {
		key = nil
	}
	mark = len(dst)
	dst = binaryHead(dst, r, StatusOK, len(key), flagsSize, 0, 0)
	dst = append(dst, 0, 0, 0, 0)
	return append(dst, key...), mark
}

func endBinary(dst []byte, mark int, it *Item) []byte {
	return headBinary(dst, mark, it, 0)
}

// headBinary is endBinary where size bytes of the body are still to come.
func headBinary(dst []byte, mark int, it *Item, size int) []byte {
	h := dst[mark:]
	binary.BigEndian.PutUint32(h[bodyAt:], uint32(len(h)-BinaryHeader+size))
	binary.BigEndian.PutUint64(h[casAt:], it.CAS)
	binary.BigEndian.PutUint32(h[flagsAt:], it.Flags)
	return dst
}

func appendBinary(dst []byte, r *Request, res *Result) []byte {
	status := outcomes[res.Outcome]
	if r.Quiet && (status == StatusOK || res.Outcome == Miss) {
		return dst
	}
	switch {
	case res.Outcome == Miss && repeatsKey(r.Opcode):
		return append(binaryHead(dst, r, status, len(r.Key), 0, len(r.Key), 0), r.Key...)
	case res.Outcome == Touched:
		dst = binaryHead(dst, r, status, 0, flagsSize, flagsSize, res.Item.CAS)
		return binary.BigEndian.AppendUint32(dst, res.Item.Flags)
	case res.Outcome == Stored && (r.Op == OpIncr || r.Op == OpDecr):
		dst = binaryHead(dst, r, status, 0, 0, 8, res.Item.CAS)
		return binary.BigEndian.AppendUint64(dst, res.Number)
	case res.Outcome == Stored:
		return binaryHead(dst, r, status, 0, 0, 0, res.Item.CAS)
	case res.Outcome == NotStored && r.Op == OpAdd:
		status = StatusKeyExists
	case res.Outcome == NotStored && r.Op == OpReplace:
		status = StatusKeyNotFound
	case res.Outcome == NoMemory && (r.Op == OpIncr || r.Op == OpDecr):
		return AppendStatus(dst, r, status, "Out of memory incrementing value")
	case res.Outcome == NoMemory:
		return AppendStatus(dst, r, status, "Out of memory allocating item")
	}
	return AppendStatus(dst, r, status, "")
}
