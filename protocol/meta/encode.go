package meta

import (
	"encoding/base64"
	"strconv"

	"github.com/hearthcache/hearth/protocol"
)

// asking are the flags that ask for something to be answered.
var asking = setOf("svtcflhkO")

// commands are the Ops in the meta protocol: a name and perhaps a mode.
var commands = [protocol.Ops]struct{ name, mode string }{
	protocol.OpGet: {name: "mg"}, protocol.OpGets: {name: "mg"}, protocol.OpGat: {name: "mg"}, protocol.OpGats: {name: "mg"},
	protocol.OpTouch: {name: "mg"},
	protocol.OpSet:   {name: "ms"}, protocol.OpCAS: {name: "ms"}, protocol.OpAdd: {"ms", " ME"},
	protocol.OpReplace: {"ms", " MR"}, protocol.OpAppend: {"ms", " MA"}, protocol.OpPrepend: {"ms", " MP"},
	protocol.OpDelete: {name: "md"}, protocol.OpIncr: {name: "ma"}, protocol.OpDecr: {"ma", " MD"},
	protocol.OpNoop: {name: "mn"}, protocol.OpMetaDebug: {name: "me"},
}

// PlainKey tells whether key can be sent as it is. Any other of 1 to 186 bytes
// needs Base64.
func PlainKey(key []byte) bool {
	for _, c := range key {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return len(key) > 0 && len(key) <= protocol.MaxKey
}

// AppendRequest appends r as a client sends it. What r asks for stands in Echo:
// of its words those are taken that begin with one of s v t c f l h k O, in their
// order; all else is told by r's fields, so that a Request that was parsed can be
// sent on, and NoValue is not looked at. HasExp need only be set for an Exptime of
// 0. touch becomes mg with T, cas becomes ms with C.
//
// It allocates only to grow dst, and checks nothing: see PlainKey. An Op that
// meta does not have is the caller's mistake, and panics.
func AppendRequest(dst []byte, r *protocol.Request) []byte {
	command := commands[r.Op]
	if command.name == "" {
		panic("meta: no such command: " + strconv.Itoa(int(r.Op)))
	}
	dst = append(dst, command.name...)
	if r.Op == protocol.OpNoop {
		return append(dst, '\r', '\n')
	}
	dst = append(dst, ' ')
	if r.Base64 {
		dst = base64.StdEncoding.AppendEncode(dst, r.Key)
	} else {
		dst = append(dst, r.Key...)
	}
	if r.Op.Storage() {
		dst = strconv.AppendUint(append(dst, ' '), uint64(len(r.Value)), 10)
	}
	if r.Base64 {
		dst = append(dst, " b"...)
	}
	dst = append(dst, command.mode...)
	dst = appendFlags(dst, r)
	dst = append(dst, '\r', '\n')
	if r.Op.Storage() {
		dst = append(append(dst, r.Value...), '\r', '\n')
	}
	return dst
}

// appendFlags appends the flags of r. The TTL is answered as it is when its turn
// comes: so the order of t and T matters.
func appendFlags(dst []byte, r *protocol.Request) []byte {
	if r.OldTTL {
		dst = appendAsking(dst, r.Echo)
	}
	dst = appendIf(dst, r.Quiet, 'q')
	dst = appendIf(dst, r.NoBump, 'u')
	dst = appendIf(dst, r.Invalidate, 'I')
	dst = appendIf(dst, r.DropValue, 'x')
	if r.HasExp || r.Exptime != 0 || r.Op.Touches() || r.Op == protocol.OpTouch {
		dst = strconv.AppendInt(append(dst, " T"...), r.Exptime, 10)
	}
	if r.Vivify {
		dst = strconv.AppendInt(append(dst, " N"...), r.VivifyExptime, 10)
	}
	if r.Recache {
		dst = strconv.AppendInt(append(dst, " R"...), r.RecacheTTL, 10)
	}
	if r.Compare || r.Op == protocol.OpCAS {
		dst = strconv.AppendUint(append(dst, " C"...), r.CAS, 10)
	}
	dst = appendNumber(dst, 'E', r.NewCAS)
	dst = appendNumber(dst, 'F', uint64(r.Flags))
	dst = appendNumber(dst, 'J', r.Initial)
	if (r.Op == protocol.OpIncr || r.Op == protocol.OpDecr) && r.Delta != 1 {
		dst = strconv.AppendUint(append(dst, " D"...), r.Delta, 10)
	}
	if !r.OldTTL {
		dst = appendAsking(dst, r.Echo)
	}
	return dst
}

func appendIf(dst []byte, yes bool, flag byte) []byte {
	if !yes {
		return dst
	}
	return append(dst, ' ', flag)
}

// appendNumber leaves out a 0, which the flag's absence means too.
func appendNumber(dst []byte, flag byte, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return strconv.AppendUint(append(dst, ' ', flag), v, 10)
}

// appendAsking appends those words of echo that ask for something.
func appendAsking(dst, echo []byte) []byte {
	for word, rest := nextWord(echo); word != nil; word, rest = nextWord(rest) {
		if asking&letter(word[0]) != 0 {
			dst = append(append(dst, ' '), word...)
		}
	}
	return dst
}
