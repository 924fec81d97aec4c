// Package text parses memcached's text protocol. A Parser turns the bytes of
// one connection into Requests; it copies nothing, allocates nothing and never
// sees a socket. The lines it refuses, and the words it does so with, are
// memcached 1.6.45's. Lines of the meta protocol come on the same connections:
// those are package meta's.
//
// The result does not depend on how the bytes were split. Two limits make it
// so where memcached's own answer depends on its reads: a line over 2048 bytes
// that is not a retrieval closes the connection, and a retrieval over MaxLine
// is executed in pieces as it arrives. One other deviation: memcached takes a
// value's length modulo 2^32, which leaves the connection out of step; here a
// length over 2^31-3 is a bad command line.
package text

import (
	"bytes"

	"github.com/hearthcache/hearth/protocol"
)

const (
	// MaxLine is the longest retrieval in bytes that is checked wholly
	// before its first key is looked up.
	MaxLine = 1 << 20
	// maxCommandLine is the longest line of any other command.
	maxCommandLine = 2048
	// maxLength is the largest length a value may be announced with.
	maxLength = 1<<31 - 3
	// maxIndent is how many spaces may stand before a long retrieval.
	maxIndent = 100
)

// Parser holds what must be remembered of a connection between its bytes. The
// zero Parser takes no values; set MaxValue.
type Parser struct {
	// MaxValue is the largest value in bytes that is kept. A larger one is
	// reported as TooLarge and passed over.
	MaxValue int
	// Stream, if not 0, has a value of at least so many bytes, of a command for
	// which Op.Whole holds, left to the caller unless all of it is there: Body says
	// that the command is in r, and that Size bytes and a line end follow, which
	// are not for the parser.
	Stream int
	// Size is set by Body.
	Size int
	// Login has all but a login refused; whoever takes the login's Request,
	// an OpSASLAuth, clears it.
	Login bool
	// Need is set by Incomplete: how many bytes, the consumed ones not
	// counted, the request has in all; 0 if that is not known yet.
	Need int
	// Reply is set by Invalid: the error line, empty for noreply.
	Reply string

	scanned  int         // bytes of the current line known to hold no newline
	swallow  int         // bytes of a too large value still to be passed over
	skipLine bool        // the rest of the line is to be passed over
	long     protocol.Op // the retrieval whose line is taken in pieces, or 0
	longExp  int64       // its exptime
}

// Next parses the first request of in into r and returns how many bytes of in
// are done with. The slices of r point into in. Except for Incomplete and
// Close there may be more requests behind.
func (p *Parser) Next(in []byte, r *protocol.Request) (int, protocol.Status) {
	if p.swallow > 0 || p.skipLine {
		skipped := p.skip(in)
		n, st := p.next(in[skipped:], r)
		return skipped + n, st
	}
	return p.next(in, r)
}

// Pass has the next n bytes passed over: what is left of a value after Body.
func (p *Parser) Pass(n int) { p.swallow = n }

// skip passes over what is left of a refused request.
func (p *Parser) skip(in []byte) int {
	if p.skipLine {
		at := bytes.IndexByte(in, '\n')
		if at < 0 {
			return len(in)
		}
		p.skipLine = false
		return at + 1
	}
	n := min(p.swallow, len(in))
	p.swallow -= n
	return n
}

func (p *Parser) next(in []byte, r *protocol.Request) (int, protocol.Status) {
	p.Need = 0
	if len(in) == 0 {
		return 0, protocol.Incomplete
	}
	if p.Login {
		return p.login(in, r)
	}
	if p.long != 0 {
		return p.piece(in, r)
	}
	at := bytes.IndexByte(in[p.scanned:], '\n')
	if at < 0 {
		return p.unfinished(in, r)
	}
	end := p.scanned + at
	p.scanned = 0
	if end > maxCommandLine {
		if !longRetrieval(in) {
			return 0, protocol.Close
		}
		if end > MaxLine {
			return p.beginLong(in, r)
		}
	}
	line := in[:end]
	if end > 1 && line[end-1] == '\r' {
		line = line[:end-1]
	}
	if nul := bytes.IndexByte(line, 0); nul >= 0 {
		line = line[:nul] // where memcached's strings end
	}
	return p.command(in, line, end+1, r)
}

// unfinished decides about a line of which the end is not there yet.
func (p *Parser) unfinished(in []byte, r *protocol.Request) (int, protocol.Status) {
	p.scanned = len(in)
	if len(in) <= maxCommandLine {
		return 0, protocol.Incomplete
	}
	if !longRetrieval(in) {
		return 0, protocol.Close
	}
	if len(in) > MaxLine {
		return p.beginLong(in, r)
	}
	return 0, protocol.Incomplete
}

func (p *Parser) invalid(noreply bool, reply string) protocol.Status {
	if noreply {
		reply = ""
	}
	p.Reply = reply
	return protocol.Invalid
}
