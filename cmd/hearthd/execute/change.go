package execute

import (
	"sync"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

var verbOf = [protocol.Ops]hearth.Verb{
	protocol.OpSet: hearth.Set, protocol.OpAdd: hearth.Add, protocol.OpReplace: hearth.Replace,
	protocol.OpAppend: hearth.Append, protocol.OpPrepend: hearth.Prepend, protocol.OpCAS: hearth.CompareAndSwap,
	protocol.OpIncr: hearth.Incr, protocol.OpDecr: hearth.Decr,
	protocol.OpTouch: hearth.Touch, protocol.OpDelete: hearth.Delete,
}

// change is a change of one key that may have to wait for flash or for room.
type change struct {
	hearth.Change
	h *Handler
	c *server.Conn
	r *protocol.Request // the connection's, which holds it until the change is done

	refused hearth.Status // of a value that was to be received, and is not wanted
}

var changes = sync.Pool{New: func() any { return new(change) }}

func (h *Handler) change(c *server.Conn, r *protocol.Request, verb hearth.Verb, dst []byte) ([]byte, server.Pending) {
	p := h.newChange(c, r, verb)
	if r.TooLarge {
		return p.reply(p.Refuse(h.cache), dst), nil
	}
	return p.start(dst)
}

// start executes the change.
func (p *change) start(dst []byte) ([]byte, server.Pending) {
	if st := p.Start(p.h.cache, p.c, 0); st != hearth.Pending {
		return p.reply(st, dst), nil
	}
	return dst, p
}

// newChange is what r asks for.
func (h *Handler) newChange(c *server.Conn, r *protocol.Request, verb hearth.Verb) *change {
	p := changes.Get().(*change)
	p.h, p.c, p.r = h, c, r
	p.Verb, p.Key, p.Value, p.Flags = verb, r.Key, r.Value, r.Flags
	p.Exptime, p.SetExptime = h.exptime(r.Exptime), r.HasExp && keepsExptime(r.Op)
	p.Compare, p.Expect, p.NewCAS = r.Compare, r.CAS, r.NewCAS
	if h.opt.NoCAS {
		p.withoutCAS()
	}
	p.Delta, p.Vivify, p.Initial, p.VivifyExptime = r.Delta, r.Vivify, r.Initial, h.exptime(r.VivifyExptime)
	p.Invalidate, p.DropValue = r.Invalidate, r.DropValue
	return p
}

// withoutCAS has p find no item whose CAS matches. Where memcached has binary
// storage commands not look at the CAS then, p does not either.
func (p *change) withoutCAS() {
	p.Expect = 0 // which no item has
	if p.r.Proto != protocol.Binary {
		return
	}
	switch p.Verb {
	case hearth.CompareAndSwap: // set, add or replace, quiet or not
		p.r.Op = [...]protocol.Op{1: protocol.OpSet, protocol.OpAdd, protocol.OpReplace}[p.r.Opcode&3]
		p.Verb = verbOf[p.r.Op]
	case hearth.Append, hearth.Prepend:
		p.Compare = false
	}
}

// keepsExptime tells whether op leaves the expiry time alone if it is not given.
func keepsExptime(op protocol.Op) bool {
	return op == protocol.OpIncr || op == protocol.OpDecr || op == protocol.OpDelete
}

// Step appends the reply once the change is done.
func (p *change) Step(dst []byte) ([]byte, bool) {
	st := p.Change.Step()
	if st == hearth.Pending {
		return dst, false
	}
	return p.reply(st, dst), true
}

func (p *change) reply(st hearth.Status, dst []byte) []byte {
	m := p.Meta()
	res := protocol.Result{Outcome: outcomeOf[st], Item: p.h.item(p.r, &m), Number: p.Number}
	if p.h.tapped() {
		p.tell(res)
	}
	dst = protocol.AppendResult(dst, p.r, &res)
	p.end()
	return dst
}

// end gives p back.
func (p *change) end() {
	p.c, p.r, p.Key, p.Value = nil, nil, nil, nil
	changes.Put(p)
}

var outcomeOf = [...]protocol.Outcome{
	hearth.Stored: protocol.Stored, hearth.NotStored: protocol.NotStored, hearth.Exists: protocol.Exists,
	hearth.NotFound: protocol.NotFound, hearth.Touched: protocol.Touched, hearth.Deleted: protocol.Deleted,
	hearth.NotNumeric: protocol.NonNumeric, hearth.TooLarge: protocol.TooLarge, hearth.NoRoom: protocol.NoMemory,
}
