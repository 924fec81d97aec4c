package server

import (
	"bytes"
	"context"
	"sync/atomic"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/binary"
	"github.com/hearthcache/hearth/protocol/text"
)

// Authenticator decides who may use a Server. In text, a client logs in by setting
// any key to "user password", in binary by SASL's mechanism PLAIN.
type Authenticator interface {
	// Authenticate tells whether the user has that password. It should take
	// the same time whatever is wrong with them. It is called by goroutines of
	// its own and may block until ctx is done, which it is when the client has
	// gone or its time is up. The slices hold only until it returns.
	Authenticate(ctx context.Context, user, password []byte) bool
}

const (
	// mechanism is the only one of SASL's that there is. Its message is
	// "identity to act as, user, password", with zero bytes between them.
	mechanism = "PLAIN"
	// maxFailures is how many logins of a connection may fail before it is
	// closed.
	maxFailures = 5
	// lockedHighWater is highWater for who has not logged in.
	lockedHighWater = 4 << 10
)

// gate is what the connections of a Server with an Authenticator share.
type gate struct {
	Authenticator
	ctx      context.Context // done when the server waits for nobody any more
	opt      *Options
	throttle throttle
	tries    atomic.Uint64
	failures atomic.Uint64
}

// newGate returns nil if anybody may use the server.
func newGate(s *Server) *gate {
	if s.opt.Authenticator == nil {
		return nil
	}
	return &gate{Authenticator: s.opt.Authenticator, ctx: s.serves, opt: &s.opt}
}

// User is who has logged in on the connection; empty if nobody has.
func (c *Conn) User() string { return c.user }

// lock has the client log in before anything else, or ends that. While it is
// locked out the server holds little of what it sends and asks.
func (c *Conn) lock(locked bool) {
	if !c.locked { // or its time would begin anew with each login
		c.lockedAt = c.lastTick.Load()
	}
	c.locked, c.parser.Login = locked, locked
	c.highWater, c.packets.MaxValue = c.limits.highWater, c.limits.parser.MaxValue
	if locked {
		c.highWater, c.packets.MaxValue = lockedHighWater, 0
		c.user = ""
	}
}

// guard stands before the Handler: it answers what has to do with logins, and
// refuses all else of a client that has not logged in. It tells whether it did.
// As memcached does, it closes a binary client that goes on without a login.
func (c *Conn) guard() bool {
	switch c.req.Op {
	case protocol.OpSASLList:
		c.answer(protocol.StatusOK, mechanism)
	case protocol.OpSASLAuth, protocol.OpSASLStep:
		return c.login()
	case protocol.OpVersion:
		return false
	default:
		if !c.locked {
			return false
		}
		c.lockOut()
	}
	c.consume()
	return true
}

// lockOut refuses a binary request, whatever it is, and ends the connection.
func (c *Conn) lockOut() {
	c.answer(protocol.StatusAuthError, "")
	c.closing, c.intruder = true, true
}

// lockedOut tells whether a refused binary request is refused for want of a login.
func (c *Conn) lockedOut() bool {
	switch binary.Opcode(c.req.Opcode).Op() {
	case protocol.OpSASLList, protocol.OpSASLAuth, protocol.OpSASLStep, protocol.OpVersion:
		return false
	}
	return c.locked
}

// answer appends a binary reply.
func (c *Conn) answer(s protocol.BinaryStatus, text string) {
	c.put(protocol.AppendStatus(c.sink(), &c.req, s, text))
}

// login has the client's credentials checked, and holds the connection until then.
func (c *Conn) login() bool {
	if c.req.Op == protocol.OpSASLAuth && c.binary && string(c.req.Key) == mechanism && len(c.req.Value) == 0 {
		c.challenged = true
		c.answer(protocol.StatusAuthContinue, "")
		c.consume()
		return true
	}
	p := &login{c: c, gate: c.limits.gate, peer: c.end.remote}
	p.user, p.password, p.sound = c.credentials()
	c.challenged = false
	c.lock(true)
	c.push(p, false)
	c.phase = doing
	p.start()
	return true
}

// credentials takes a login apart.
func (c *Conn) credentials() (user, password []byte, ok bool) {
	switch {
	case !c.binary:
		return c.req.Key, c.req.Value, true
	case c.req.Op == protocol.OpSASLStep && !c.challenged, string(c.req.Key) != mechanism:
		return nil, nil, false
	}
	return splitPlain(c.req.Value)
}

// splitPlain takes PLAIN's message apart. To act as somebody else is not possible.
func splitPlain(message []byte) (user, password []byte, ok bool) {
	parts := bytes.Split(message, []byte{0})
	if len(parts) != 3 || len(parts[0]) > 0 && !bytes.Equal(parts[0], parts[1]) {
		return nil, nil, false
	}
	return parts[1], parts[2], true
}

// loggedIn appends the reply to a login.
func (c *Conn) loggedIn(dst []byte, p *login) []byte {
	clear(c.req.Value) // the buffer is used for others later
	if p.passed {
		c.lock(false)
		c.user = string(p.user)
		if c.binary {
			return protocol.AppendStatus(dst, &c.req, protocol.StatusOK, "Authenticated")
		}
		return append(dst, protocol.Stored.Line()...)
	}
	if c.failures++; c.failures >= maxFailures {
		c.closing, c.intruder = true, true
	}
	if c.binary {
		return protocol.AppendStatus(dst, &c.req, protocol.StatusAuthError, "")
	}
	return append(dst, text.BadLogin...)
}
