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

// BinaryStatus is the status of a binary reply.
type BinaryStatus uint16

// The statuses that memcached's server sends.
const (
	StatusOK               BinaryStatus = 0x00
	StatusKeyNotFound      BinaryStatus = 0x01
	StatusKeyExists        BinaryStatus = 0x02
	StatusTooLarge         BinaryStatus = 0x03
	StatusInvalidArguments BinaryStatus = 0x04
	StatusNotStored        BinaryStatus = 0x05
	StatusNonNumeric       BinaryStatus = 0x06
	StatusAuthError        BinaryStatus = 0x20
	StatusAuthContinue     BinaryStatus = 0x21
	StatusUnknownCommand   BinaryStatus = 0x81
	StatusNoMemory         BinaryStatus = 0x82
	StatusInternalError    BinaryStatus = 0x84
)

// outcomes says how the outcomes are told in the binary protocol.
var outcomes = [...]struct {
	status BinaryStatus
	text   string
}{
	Unknown:    {StatusUnknownCommand, "Unknown command"},
	Hit:        {},
	Miss:       {StatusKeyNotFound, "Not found"},
	Stored:     {},
	NotStored:  {StatusNotStored, "Not stored."},
	Exists:     {StatusKeyExists, "Data exists for key."},
	NotFound:   {StatusKeyNotFound, "Not found"},
	Touched:    {},
	Deleted:    {},
	NonNumeric: {StatusNonNumeric, "Non-numeric server-side value for incr or decr"},
	TooLarge:   {StatusTooLarge, "Too large."},
	NoMemory:   {StatusNoMemory, "Out of memory"},
	Done:       {},
}

// binaryHead appends a reply's header. The body follows.
func binaryHead(dst []byte, r *Request, status BinaryStatus, key, extras, body int, cas uint64) []byte {
	dst = append(dst, MagicResponse, r.Opcode)
	dst = binary.BigEndian.AppendUint16(dst, uint16(key))
	dst = append(dst, byte(extras), 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(status))
	dst = binary.BigEndian.AppendUint32(dst, uint32(body))
	dst = binary.BigEndian.AppendUint32(dst, r.Opaque)
	return binary.BigEndian.AppendUint64(dst, cas)
}

func appendBinaryError(dst []byte, r *Request, status BinaryStatus, why string) []byte {
	return append(binaryHead(dst, r, status, 0, 0, len(why), 0), why...)
}

func appendBinaryText(dst []byte, r *Request, text string) []byte {
	return append(binaryHead(dst, r, StatusOK, 0, 0, len(text), 0), text...)
}

func appendBinaryStat(dst []byte, r *Request, name, value string) []byte {
	dst = binaryHead(dst, r, StatusOK, len(name), 0, len(name)+len(value), 0)
	return append(append(dst, name...), value...)
}

func beginBinary(dst []byte, r *Request) (out []byte, mark int) {
	return dst, len(dst)
}

func endBinary(dst []byte, mark int, r *Request, it *Item) []byte { return dst[:mark] }

func appendBinary(dst []byte, r *Request, res *Result) []byte {
	o := outcomes[res.Outcome]
	if o.status != StatusOK {
		return appendBinaryError(dst, r, o.status, o.text)
	}
	return binaryHead(dst, r, StatusOK, 0, 0, 0, res.Item.CAS)
}
