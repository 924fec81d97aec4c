package server

import (
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/binary"
)

// Protocols are what connections may speak.
type Protocols uint8

// What connections may speak.
const (
	AnyProtocol    Protocols = iota // the first byte tells: the binary protocol's magic, or text
	TextProtocol                    // text and meta commands
	BinaryProtocol                  // a connection that begins with anything else is closed
)

// negotiate decides by the first byte what the connection speaks, for its life.
func (c *Conn) negotiate(first byte) {
	switch c.limits.protocols {
	case AnyProtocol:
		c.binary = first == protocol.MagicRequest
	case BinaryProtocol:
		c.binary = true
	}
	if c.binary {
		c.packets = binary.Parser{MaxValue: c.packets.MaxValue, Stream: c.limits.parser.Stream}
	}
}

// next parses the next request.
func (c *Conn) next() (int, protocol.Status) {
	if c.binary {
		return c.packets.Next(c.in[c.parsed:], &c.req)
	}
	return c.parser.Next(c.in[c.parsed:], &c.req)
}

// need is how many bytes the parser needs to go on, 0 if that is not known.
func (c *Conn) need() int {
	if c.binary {
		return c.packets.Need
	}
	return c.parser.Need
}

// refuse answers the request that the parser found invalid.
func (c *Conn) refuse() {
	switch {
	case !c.binary:
		c.say(c.parser.Reply)
	case c.lockedOut():
		c.lockOut()
	default:
		c.answer(c.packets.Refusal, "")
	}
}

// bye answers a client that quits: in text nothing is said.
func (c *Conn) bye() {
	if c.binary {
		c.put(protocol.AppendOutcome(c.sink(), &c.req, protocol.Done))
	}
}
