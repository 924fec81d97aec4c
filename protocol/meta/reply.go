package meta

import (
	"math"

	"github.com/hearthcache/hearth/protocol"
)

// Code is what a reply begins with.
type Code uint8

// The codes.
const (
	Other       Code = iota // a line that is not of the meta protocol: Text
	HD                      // a hit of which the value was not asked for, or a change that was made
	VA                      // a hit with its Value, or ma's number
	EN                      // a miss of mg or me
	NS                      // not stored: the mode's condition does not hold
	EX                      // the item's CAS is another
	NF                      // nothing to change
	MN                      // the answer to mn: all before it is answered
	ME                      // the answer to me: Key, and Text as "exp=-1 la=0 ..."
	Error                   // ERROR, no such command: Text, mostly empty
	ClientError             // CLIENT_ERROR: Text
	ServerError             // SERVER_ERROR: Text
)

// Reply is what a server answers to one command. Its slices point into the
// parser's input and hold only as long as that does.
type Reply struct {
	Code  Code
	Value []byte
	// Item is what the flags say: see Has. Size is set with every value.
	Item   protocol.Item
	Key    []byte // as it stands there, in base64 if Base64
	Base64 bool
	Opaque []byte
	Text   []byte

	seen letters
}

// Has tells whether the reply has the flag.
func (r *Reply) Has(flag byte) bool { return flag >= 'A' && flag <= 'z' && r.seen&letter(flag) != 0 }

// AppendKey appends the key that r names, decoded if it is in base64; nothing if
// it names none or that cannot be decoded.
func (r *Reply) AppendKey(dst []byte) []byte {
	if !r.Base64 {
		return append(dst, r.Key...)
	}
	at := len(dst)
	dst = append(dst, r.Key...)
	return dst[:at+decodeKey(dst[at:], dst[at:])]
}

// ReplyParser takes apart what a server sends. It allocates nothing, and the
// result does not depend on how the bytes were split.
type ReplyParser struct {
	// MaxValue is the largest value in bytes that is accepted.
	MaxValue int
	// Need is set by Incomplete: how many bytes the reply has in all; 0 if
	// that is not known yet.
	Need int
}

// Next parses the first reply of in into r and returns how many bytes it has.
// Invalid means bytes that no server may send: a line without an end, a VA
// without a length, a flag whose number is none, a value over MaxValue or without
// its end. Nothing behind them can be understood. Flags that are not known are
// passed over.
func (p *ReplyParser) Next(in []byte, r *Reply) (int, protocol.Status) {
	p.Need = 0
	line, n, status := protocol.CutReplyLine(in)
	if status != protocol.Complete {
		return 0, status
	}
	*r = Reply{}
	head, rest := nextWord(line)
	switch r.Code = codeOf(head); r.Code {
	case VA:
		return p.value(in, rest, n, r)
	case ME:
		r.Key, r.Text = nextWord(rest)
	case Error, ClientError, ServerError:
		r.Text = rest
	case Other:
		r.Text = line
	default:
		if !r.flags(rest) {
			return 0, protocol.Invalid
		}
	}
	return n, protocol.Complete
}

// value takes "length flags*", which ends at n, and the value behind it.
func (p *ReplyParser) value(in, words []byte, n int, r *Reply) (int, protocol.Status) {
	word, rest := nextWord(words)
	length, ok := protocol.ParseDigits(word)
	if !ok || length > uint64(p.MaxValue) || !r.flags(rest) {
		return 0, protocol.Invalid
	}
	value, end, status := protocol.CutReplyValue(in, n, int(length))
	if status == protocol.Incomplete {
		p.Need = end
	}
	if status != protocol.Complete {
		return 0, status
	}
	r.Value, r.Item.Size = value, int(length)
	return end, protocol.Complete
}

func codeOf(word []byte) Code {
	switch string(word) {
	case "HD":
		return HD
	case "VA":
		return VA
	case "EN":
		return EN
	case "NS":
		return NS
	case "EX":
		return EX
	case "NF":
		return NF
	case "MN":
		return MN
	case "ME":
		return ME
	case "ERROR":
		return Error
	case "CLIENT_ERROR":
		return ClientError
	case "SERVER_ERROR":
		return ServerError
	}
	return Other
}

// flags takes the flags of a reply.
func (r *Reply) flags(line []byte) bool {
	for word, rest := nextWord(line); word != nil; word, rest = nextWord(rest) {
		if !r.flag(word[0], word[1:]) {
			return false
		}
		if c := word[0]; !odd(c) {
			r.seen |= letter(c)
		}
	}
	return true
}

// flag takes one flag and tells whether it is as it may be.
func (r *Reply) flag(c byte, word []byte) bool {
	switch c {
	case 'k':
		r.Key = word
	case 'b':
		r.Base64 = true
	case 'O':
		r.Opaque = word
	case 'W':
		r.Item.Won = true
	case 'X':
		r.Item.Stale = true
	case 'Z':
		r.Item.TokenSent = true
	case 'h':
		r.Item.Fetched = string(word) == "1"
	case 's', 't', 'c', 'f', 'l':
		return r.number(c, word)
	}
	return true
}

func (r *Reply) number(c byte, word []byte) bool {
	if c == 't' && string(word) == "-1" {
		r.Item.TTL = -1
		return true
	}
	v, ok := protocol.ParseDigits(word)
	switch c {
	case 's':
		r.Item.Size, ok = int(v), ok && v <= math.MaxInt32
	case 't':
		r.Item.TTL, ok = int64(v), ok && v <= math.MaxUint32
	case 'c':
		r.Item.CAS = v
	case 'f':
		r.Item.Flags, ok = uint32(v), ok && v <= math.MaxUint32
	case 'l':
		r.Item.Age, ok = uint32(v), ok && v <= math.MaxUint32
	}
	return ok
}
