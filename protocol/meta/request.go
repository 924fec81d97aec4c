package meta

import (
	"bytes"
	"math"

	"github.com/hearthcache/hearth/protocol"
)

const (
	// MaxOpaque is the longest opaque in bytes, the O not counted.
	MaxOpaque = 31
	// maxWords is how many words a line may have, its name included.
	maxWords = 20
	// maxLength is the largest length a value may be announced with.
	maxLength = math.MaxInt32 - 2
	// maxLengthWord is how many bytes that number may take.
	maxLengthWord = 11
)

// What is wrong with a line.
const (
	badFormat    = protocol.BadFormat
	badNumber    = "CLIENT_ERROR bad token in command line format\r\n"
	badKey       = "CLIENT_ERROR error decoding key\r\n"
	badFlag      = "CLIENT_ERROR invalid flag\r\n"
	twiceFlag    = "CLIENT_ERROR duplicate flag\r\n"
	tooManyWords = "CLIENT_ERROR options flags are too long\r\n"
	longOpaque   = "CLIENT_ERROR opaque token too long\r\n"
	badSetMode   = "CLIENT_ERROR invalid mode for ms M token\r\n"
	badCountMode = "CLIENT_ERROR invalid mode for ma M token\r\n"
	badCountFlag = "CLIENT_ERROR invalid or duplicate flag\r\n"
)

// IsCommand tells whether a line that begins with name, a word, is a meta command.
func IsCommand(name []byte) bool {
	if len(name) != 2 || name[0] != 'm' {
		return false
	}
	switch name[1] {
	case 'g', 's', 'd', 'a', 'n', 'e':
		return true
	}
	return false
}

// Parse parses the line of a meta command into r: its name, for which IsCommand
// holds, and args, what follows up to the line end. r's slices point into args.
//
// length is how many bytes of value follow the line, with a line end behind
// them, or -1 if none do; also where the line is refused. refusal is the reply to
// a line that is refused, and empty else.
//
// A key in base64 is only checked: Parse may be called again for the same bytes
// until the value is there. Then DecodeKey must be called before r is used.
func Parse(name, args []byte, r *protocol.Request) (length int, refusal string) {
	*r = protocol.Request{Proto: protocol.Meta}
	if name[1] == 'n' {
		r.Op = protocol.OpNoop
		return -1, ""
	}
	if r.Key, r.Echo = nextWord(args); r.Key == nil {
		return -1, badFormat
	}
	f := flags{words: 2}
	length = -1
	switch name[1] {
	case 'e':
		return -1, debug(r)
	case 's':
		var word []byte
		word, r.Echo = nextWord(r.Echo)
		if length = parseLength(word); length < 0 {
			return -1, badFormat
		}
		f.words++
	}
	if refusal = f.parse(r); refusal == "" {
		refusal = f.finish(name[1], r)
	} else if name[1] == 'a' && !f.odd {
		refusal = badCountFlag
	}
	return length, refusal
}

// nextWord splits the first word off line, nil if there is none.
func nextWord(line []byte) (word, rest []byte) {
	for len(line) > 0 && line[0] == ' ' {
		line = line[1:]
	}
	switch end := bytes.IndexByte(line, ' '); {
	case end >= 0:
		return line[:end:end], line[end+1:]
	case len(line) > 0:
		return line[:len(line):len(line)], nil
	}
	return nil, nil
}

// parseLength reads the length of a value; -1 if it is none.
func parseLength(word []byte) int {
	if len(word) == 0 || len(word) > maxLengthWord {
		return -1
	}
	n := 0
	for _, c := range word {
		if c-'0' > 9 {
			return -1
		}
		if n = n*10 + int(c-'0'); n > maxLength {
			return -1
		}
	}
	return n
}

// debug parses the flags of me, of which only b means something.
func debug(r *protocol.Request) (refusal string) {
	r.Op = protocol.OpMetaDebug
	for word, rest := nextWord(r.Echo); word != nil; word, rest = nextWord(rest) {
		if odd(word[0]) {
			return badFormat
		}
		r.Base64 = r.Base64 || string(word) == "b"
	}
	if len(r.Key) > protocol.MaxKey || r.Base64 && !validKey(r.Key) {
		return badFormat
	}
	return ""
}

// finish makes of the flags what they mean to the command. It leaves set only
// what matters to it, so that a handler need not know which flags go with which.
func (f *flags) finish(command byte, r *protocol.Request) (refusal string) {
	switch command {
	case 'g':
		r.Op, r.NoValue, r.NoBump = protocol.OpGet, !f.has('v'), f.has('u')
		f.get(r)
	case 's':
		refusal = f.set(r)
	case 'd':
		r.Op = protocol.OpDelete
		r.Invalidate, r.DropValue = f.has('I'), f.has('x')
	case 'a':
		refusal = f.count(r)
	}
	if f.seen&otherFlags == 0 {
		return refusal
	}
	if refusal == "" && f.opaque > MaxOpaque {
		refusal = longOpaque
	}
	f.clear(r)
	return refusal
}

// clear is for the flags that a command passes over.
func (f *flags) clear(r *protocol.Request) {
	count := r.Op == protocol.OpIncr || r.Op == protocol.OpDecr
	if !r.Op.Storage() && !r.DropValue {
		r.Flags = 0
	}
	if !r.Compare {
		r.CAS = 0
	}
	if !r.Vivify {
		r.VivifyExptime = 0
	}
	if !count {
		r.Delta = 0
	}
	if !count || !r.Vivify {
		r.Initial = 0
	}
	if !r.Recache {
		r.RecacheTTL = 0
	}
	r.OldTTL = r.OldTTL && (count || r.Op.Retrieval()) && (r.HasExp || r.Vivify)
}

func (f *flags) get(r *protocol.Request) {
	if r.HasExp {
		r.Op = protocol.OpGat
	}
	r.Recache = f.has('R')
	f.vivify(r)
}

// vivify is for those commands to which T and N apply one after the other.
func (f *flags) vivify(r *protocol.Request) {
	if r.Vivify = f.has('N'); r.Vivify && f.lastT {
		r.VivifyExptime = r.Exptime
	}
}

// set decides on the mode. Only set and replace tell a CAS of 0, which no item
// has, from none.
func (f *flags) set(r *protocol.Request) string {
	switch f.mode {
	case 0, 'S':
		r.Op = protocol.OpSet
	case 'R':
		r.Op = protocol.OpReplace
	case 'E':
		r.Op, r.Compare = protocol.OpAdd, false
	case 'A':
		r.Op = protocol.OpAppend
	case 'P':
		r.Op = protocol.OpPrepend
	default:
		return badSetMode
	}
	if r.Op == protocol.OpAppend || r.Op == protocol.OpPrepend {
		r.Vivify = f.has('N')
		r.Compare = r.CAS != 0
	}
	r.Invalidate = f.has('I') && r.Compare && (r.Op == protocol.OpSet || r.Op == protocol.OpReplace)
	return ""
}

func (f *flags) count(r *protocol.Request) string {
	switch f.mode {
	case 0, 'I', '+':
		r.Op = protocol.OpIncr
	case 'D', '-':
		r.Op = protocol.OpDecr
	default:
		return badCountMode
	}
	if !f.has('D') {
		r.Delta = 1
	}
	r.NoValue, r.Compare = !f.has('v'), r.CAS != 0
	f.vivify(r)
	return ""
}
