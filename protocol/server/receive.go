package server

import "github.com/hearthcache/hearth/protocol"

// body is a large value on its way in: from the socket to where the handler wants
// it, but for what was read together with the command, and for the line end behind
// it.
type body struct {
	intake Intake // nil if nothing is being received
	piece  []byte // where the next bytes go
	left   int    // bytes of the value still to come
	end    int    // bytes of end still to come
	tail   [2]byte
	early  []byte // what has come already: in the read buffer, behind its end
}

// took takes note of n bytes that have come to piece.
func (b *body) took(n int) {
	b.piece = b.piece[n:]
	if b.left > 0 {
		b.left -= n
	} else {
		b.end -= n
	}
}

// next gets memory for the next bytes, of the value or behind it. It tells whether
// there is some.
func (b *body) next() (wanted, ok bool) {
	if b.left == 0 {
		b.piece = b.tail[:b.end]
		return true, true
	}
	b.piece, ok = b.intake.Next()
	return len(b.piece) > 0, ok
}

// drop gives up what is being received, if anything is.
func (b *body) drop() {
	if b.intake != nil {
		b.intake.Drop()
		*b = body{}
	}
}

// accept begins to receive a value. Nothing may be pending: what stands in the
// read buffer is not moved from then on, and nothing is read to it.
func (c *Conn) accept() bool {
	if c.ring.n > 0 {
		return false
	}
	b := &c.body
	end := c.parsed + c.length
	*b = body{left: c.parser.Size, end: len(b.tail), early: c.in[end:]}
	if c.binary {
		b.left, b.end = c.packets.Size, 0
	}
	c.in = c.in[:end]
	b.intake = c.handler.(Receiver).Receive(c, &c.req, b.left)
	c.phase, c.hungry = receiving, true
	return true
}

// receive takes in what there is, and executes the command once all is. It tells
// whether the command is done with.
func (c *Conn) receive() bool {
	b := &c.body
	for b.left+b.end > 0 {
		if len(b.piece) == 0 {
			wanted, ok := b.next()
			switch {
			case !ok:
				return false
			case !wanted:
				c.pass(b.left + b.end - len(b.early))
				return c.commit()
			}
		}
		n := copy(b.piece, b.early)
		if n == 0 {
			return false
		}
		b.early = b.early[n:]
		b.took(n)
	}
	if !c.binary && string(b.tail[:]) != "\r\n" {
		b.drop()
		if !c.req.Noreply {
			c.say(protocol.BadChunk)
		}
		c.consume()
		return true
	}
	return c.commit()
}

// commit executes the command, whose value is complete or not wanted.
func (c *Conn) commit() bool {
	intake := c.body.intake
	c.body = body{}
	dst := c.sink()
	before := len(dst)
	dst, p := intake.Do(dst)
	return c.done(dst, before, p)
}

// pass has the next n bytes passed over.
func (c *Conn) pass(n int) {
	if c.binary {
		c.packets.Pass(n)
	} else {
		c.parser.Pass(n)
	}
}
