package text

import (
	"bytes"
	"math"

	"github.com/hearthcache/hearth/protocol"
)

// ReplyKind tells what a Reply is.
type ReplyKind uint8

// The kinds of replies.
const (
	ReplyLine        ReplyKind = iota // any other line: Text
	ReplyOutcome                      // STORED and the like: Outcome
	ReplyValue                        // VALUE: Key, Flags, Value, to gets and gats CAS
	ReplyStat                         // STAT, ITEM and PREFIX: Key, Text
	ReplyEnd                          // END: no more values or statistics
	ReplyNumber                       // of incr and decr: Number
	ReplyVersion                      // VERSION: Text
	ReplyError                        // ERROR, no such command: Text, mostly empty
	ReplyClientError                  // CLIENT_ERROR: Text
	ReplyServerError                  // SERVER_ERROR: Text
)

// Reply is one piece of what a server answers: a line, or a value with the line
// before it. Its slices point into the parser's input and hold only as long as
// that does.
type Reply struct {
	Kind    ReplyKind
	Outcome protocol.Outcome // also of those errors that are one
	Key     []byte
	Value   []byte
	Flags   uint32
	CAS     uint64
	HasCAS  bool
	Number  uint64
	Text    []byte
}

// ReplyParser takes apart what a server sends. It allocates nothing, and the
// result does not depend on how the bytes were split.
type ReplyParser struct {
	// MaxValue is the largest value in bytes that is accepted.
	MaxValue int
	// Need is set by Incomplete: how many bytes the piece has in all; 0 if
	// that is not known yet.
	Need int
}

// Next parses the first piece of in into r and returns how many bytes it has.
// Invalid means bytes that no server may send: a line without an end, a VALUE
// without its numbers, a value over MaxValue or without its end. Nothing behind
// them can be understood.
func (p *ReplyParser) Next(in []byte, r *Reply) (int, protocol.Status) {
	p.Need = 0
	line, n, status := protocol.CutReplyLine(in)
	if status != protocol.Complete {
		return 0, status
	}
	if head, rest := cutWord(line); string(head) == "VALUE" {
		return p.value(in, rest, n, r)
	}
	*r = Reply{}
	r.line(line)
	return n, protocol.Complete
}

// value takes "key flags length [cas]", which ends at n, and the value behind it.
func (p *ReplyParser) value(in, words []byte, n int, r *Reply) (int, protocol.Status) {
	key, rest := cutWord(words)
	first, rest := cutWord(rest)
	second, third := cutWord(rest)
	flags, okFlags := protocol.ParseDigits(first)
	length, okLength := protocol.ParseDigits(second)
	cas, okCAS := protocol.ParseDigits(third)
	if len(key) == 0 || !okFlags || flags > math.MaxUint32 || !okLength || length > uint64(p.MaxValue) ||
		!okCAS && len(third) > 0 {
		return 0, protocol.Invalid
	}
	value, end, status := protocol.CutReplyValue(in, n, int(length))
	if status == protocol.Incomplete {
		p.Need = end
	}
	if status != protocol.Complete {
		return 0, status
	}
	*r = Reply{Kind: ReplyValue, Key: key, Value: value, Flags: uint32(flags), CAS: cas, HasCAS: okCAS}
	return end, protocol.Complete
}

// line parses a line that is no VALUE.
func (r *Reply) line(line []byte) {
	if r.Outcome = outcomeOf(line); r.Outcome != protocol.Unknown {
		r.Kind = ReplyOutcome
	}
	if number, ok := protocol.ParseDigits(bytes.TrimRight(line, " ")); ok {
		r.Kind, r.Number = ReplyNumber, number
		return
	}
	head, rest := cutWord(line)
	switch string(head) {
	case "END":
		r.Kind = ReplyEnd
	case "STAT", "ITEM", "PREFIX":
		r.Kind = ReplyStat
		r.Key, r.Text = cutWord(rest)
	case "VERSION":
		r.Kind, r.Text = ReplyVersion, rest
	case "ERROR":
		r.Kind, r.Text = ReplyError, rest
	case "CLIENT_ERROR":
		r.Kind, r.Text = ReplyClientError, rest
	case "SERVER_ERROR":
		r.Kind, r.Text = ReplyServerError, rest
	default:
		r.Text = line
	}
}

// outcomeOf is the inverse of protocol.Outcome.Line; Unknown if line is none.
func outcomeOf(line []byte) protocol.Outcome {
	switch string(line) {
	case "STORED":
		return protocol.Stored
	case "NOT_STORED":
		return protocol.NotStored
	case "EXISTS":
		return protocol.Exists
	case "NOT_FOUND":
		return protocol.NotFound
	case "TOUCHED":
		return protocol.Touched
	case "DELETED":
		return protocol.Deleted
	case "OK", "RESET":
		return protocol.Done
	case "CLIENT_ERROR cannot increment or decrement non-numeric value":
		return protocol.NonNumeric
	case "SERVER_ERROR object too large for cache":
		return protocol.TooLarge
	case "SERVER_ERROR out of memory storing object":
		return protocol.NoMemory
	}
	return protocol.Unknown
}

// cutWord splits b at its first space.
func cutWord(b []byte) (word, rest []byte) {
	if at := bytes.IndexByte(b, ' '); at >= 0 {
		return b[:at], b[at+1:]
	}
	return b, nil
}
