// Package binary has memcached's binary protocol, both sides of it, without a
// socket. For a server a Parser turns what a client has sent into Requests, and
// package protocol appends the replies. For a client AppendRequest does the
// reverse, and a PacketParser takes the replies apart; Outcome says what they
// mean. A PacketParser of either direction is for who listens in. Nothing is
// copied, parsing allocates nothing, and its result does not depend on how the
// bytes were split.
//
// What the Parser refuses, and with which status, is memcached 1.6.45's doing
// (proto_bin.c), save where that loses step with its client, who then has replies
// to what it never asked. There:
//
//   - A request whose body goes on where no value belongs is refused, and ends
//     the connection. Of Touch, GAT and Stat memcached takes that rest for the
//     next request.
//   - The body of an unknown command is passed over. memcached passes over as
//     many bytes more as its extras and its key have.
//   - A value of 2 GiB or more is passed over, as smaller ones that are too large.
//
// And Verbosity, which memcached documents without having it, is a command.
package binary

import (
	"encoding/binary"

	"github.com/hearthcache/hearth/protocol"
)

const (
	// maxMechanism is the longest name of a SASL mechanism in bytes.
	maxMechanism = 32
	// maxCredentials is the longest value of a SASL request in bytes: what
	// somebody nobody knows yet may have the server hold.
	maxCredentials = 4 << 10
	// noVivify is the exptime with which incr and decr make no item.
	noVivify = 1<<32 - 1
)

// be reads the numbers.
var be = binary.BigEndian

// Parser holds what must be remembered of a connection between its bytes. The
// zero Parser takes no values; set MaxValue.
type Parser struct {
	// MaxValue is the largest value in bytes that is kept. A larger one is
	// reported as TooLarge and passed over.
	MaxValue int
	// Stream, if not 0, has a value of at least so many bytes, of a command for
	// which Op.Whole holds, left to the caller unless all of it is there: Body says
	// that the command is in r, and that Size bytes follow, which are not for the
	// parser.
	Stream int
	// Size is set by Body.
	Size int
	// Need is set by Incomplete: how many bytes, the consumed ones not
	// counted, are needed to go on; 0 if any will do.
	Need int
	// Refusal is set by Invalid: the status to answer with. Of the request,
	// Opcode and Opaque are set.
	Refusal protocol.BinaryStatus

	swallow int  // bytes of a body still to be passed over
	broken  bool // what was refused ends the connection
}

// Next parses the first request of in into r and returns how many bytes of in
// are done with. The slices of r point into in. Except for Incomplete and Close
// there may be more requests behind.
func (p *Parser) Next(in []byte, r *protocol.Request) (int, protocol.Status) {
	if p.swallow == 0 {
		return p.next(in, r)
	}
	skipped := min(p.swallow, len(in))
	if p.swallow -= skipped; p.swallow > 0 {
		p.Need = 0
		return skipped, protocol.Incomplete
	}
	n, st := p.next(in[skipped:], r)
	return skipped + n, st
}

// Pass has the next n bytes passed over: what is left of a value after Body.
func (p *Parser) Pass(n int) { p.swallow = n }

// next parses a request that begins where in does. What the header alone tells is
// decided on the header alone.
func (p *Parser) next(in []byte, r *protocol.Request) (int, protocol.Status) {
	switch {
	case p.broken:
		return 0, protocol.Close
	case len(in) == 0: // what comes is judged by its first byte
		p.Need = 0
		return 0, protocol.Incomplete
	case in[0] != protocol.MagicRequest:
		return 0, protocol.Close
	}
	if p.Need = protocol.BinaryHeader; len(in) < p.Need {
		return 0, protocol.Incomplete
	}
	key, extras, body := sizes(in)
	*r = protocol.Request{Proto: protocol.Binary, Opcode: in[1], Opaque: be.Uint32(in[12:])}
	s := &shapes[in[1]]
	switch {
	case key+extras > body:
		return p.end(protocol.StatusUnknownCommand)
	case key > protocol.MaxKey:
		return p.end(protocol.StatusInvalidArguments)
	case s.op == 0:
		return p.refuse(protocol.StatusUnknownCommand, body)
	case !s.fits(key, extras, body):
		return p.end(protocol.StatusInvalidArguments)
	case s.sasl() && key > maxMechanism:
		return p.refuse(protocol.StatusInvalidArguments, body)
	case s.sasl() && body-key > maxCredentials:
		return p.refuse(protocol.StatusNoMemory, body)
	}
	value := body - extras - key
	if r.TooLarge = s.value && value > p.MaxValue && !s.sasl(); r.TooLarge {
		body -= value
	}
	status := protocol.Complete
	if p.streams(s, value, len(in)-p.Need, body) && !r.TooLarge {
		p.Size, status = value, protocol.Body
		body -= value
	}
	if p.Need += body; len(in) < p.Need {
		return 0, protocol.Incomplete
	}
	if r.TooLarge {
		p.swallow = value
	}
	r.Op, r.Quiet = s.op, s.quiet
	from := protocol.BinaryHeader + extras
	r.Key = in[from : from+key : from+key]
	if s.op != protocol.OpGet {
		fill(r, in[:p.Need:p.Need], from+key)
	}
	n := p.Need
	if status == protocol.Body {
		p.Need = 0
	}
	return n, status
}

// streams tells whether a value is left to the caller; there bytes of the body have
// come.
func (p *Parser) streams(s *shape, value, there, body int) bool {
	return p.Stream > 0 && s.value && value >= p.Stream && there < body && s.op.Whole()
}

// refuse has the header answered and the next swallow bytes passed over.
func (p *Parser) refuse(status protocol.BinaryStatus, swallow int) (int, protocol.Status) {
	p.Refusal, p.swallow = status, swallow
	return protocol.BinaryHeader, protocol.Invalid
}

// end has the header answered, and the connection closed then.
func (p *Parser) end(status protocol.BinaryStatus) (int, protocol.Status) {
	p.broken = true
	return p.refuse(status, 0)
}

// fill sets what only some requests have. The packet's value begins at value.
func fill(r *protocol.Request, packet []byte, value int) {
	extras, cas := packet[protocol.BinaryHeader:], be.Uint64(packet[16:])
	switch r.Op {
	case protocol.OpSet, protocol.OpAdd, protocol.OpReplace:
		r.Flags, r.Exptime, r.HasExp = be.Uint32(extras), int64(be.Uint32(extras[4:])), true
		// One that is too large stays what it is: a Set takes the old value
		// with it whatever that one's CAS.
		if cas != 0 && !r.TooLarge {
			r.Op, r.CAS = protocol.OpCAS, cas
		}
	case protocol.OpIncr, protocol.OpDecr:
		r.Delta, r.Initial = be.Uint64(extras), be.Uint64(extras[8:])
		r.VivifyExptime = int64(be.Uint32(extras[16:]))
		r.Vivify = r.VivifyExptime != noVivify
		r.Compare, r.CAS = cas != 0, cas
	case protocol.OpAppend, protocol.OpPrepend, protocol.OpDelete:
		r.Compare, r.CAS = cas != 0, cas
	case protocol.OpGat, protocol.OpTouch:
		r.Exptime, r.HasExp = int64(be.Uint32(extras)), true
	case protocol.OpFlushAll:
		if r.HasExp = len(extras) > 0; r.HasExp {
			r.Exptime = int64(be.Uint32(extras))
		}
	case protocol.OpVerbosity:
		r.Delta = uint64(be.Uint32(extras))
	case protocol.OpStats:
		r.Key, r.Args = nil, r.Key
	}
	if shapes[r.Opcode].value && !r.TooLarge {
		r.Value = packet[value:]
	}
}
