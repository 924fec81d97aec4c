package execute

import (
	"sync"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// Get looks one key up.
func (h *Handler) Get(c *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	h.countMeta(r)
	begun, mark := protocol.BeginValue(dst, r)
	var loan hearth.Loan
	out, m, st := h.borrow(r, begun, &loan)
	switch {
	case loan.Lent():
		return h.lent(c, r, &m, loan, dst)
	case st == hearth.Pending:
		p := lookups.Get().(*lookup)
		p.h, p.c, p.r = h, c, *r
		h.startLookup(&p.Lookup, c, r, m)
		return dst, p
	case st == hearth.Miss && r.Vivify:
		return h.vivify(c, r, dst)
	case st == hearth.Miss:
		return h.missed(c, r, &m, dst), nil
	case h.claims(r, &m):
		return h.claim(c, r, &m, out[len(begun):], dst)
	}
	return h.found(c, r, &m, out, mark), nil
}

// found completes the reply to a hit.
func (h *Handler) found(c *server.Conn, r *protocol.Request, m *hearth.Meta, out []byte, mark int) []byte {
	it := h.item(r, m)
	if h.tapped() {
		h.tellFound(c, r, it)
	}
	return protocol.EndValue(out, mark, r, &it)
}

func (h *Handler) missed(c *server.Conn, r *protocol.Request, m *hearth.Meta, dst []byte) []byte {
	if h.tapped() {
		h.tellMissed(c, r, *m)
	}
	return protocol.AppendOutcome(dst, r, protocol.Miss)
}

// borrow looks a key up in RAM, as r asks; a large value may be lent.
func (h *Handler) borrow(r *protocol.Request, dst []byte, loan *hearth.Loan) ([]byte, hearth.Meta, hearth.Status) {
	if r.NoBump || r.Op.Touches() {
		return h.cache.BorrowWith(r.Key, h.access(r), dst, loan)
	}
	return h.cache.Borrow(r.Key, dst, loan)
}

// find looks a key up in RAM, as r asks, and copies its value.
func (h *Handler) find(r *protocol.Request, dst []byte) ([]byte, hearth.Meta, hearth.Status) {
	return h.cache.FindWith(r.Key, h.access(r), dst)
}

// startLookup goes on where find has found the value to be on flash.
func (h *Handler) startLookup(l *hearth.Lookup, c *server.Conn, r *protocol.Request, m hearth.Meta) {
	l.StartWith(h.cache, r.Key, h.access(r), m, c, 0)
}

// access is what r does to the item that it looks up.
func (h *Handler) access(r *protocol.Request) hearth.Access {
	return hearth.Access{Peek: r.NoBump, Touch: r.Op.Touches(), Exptime: h.exptime(r.Exptime)}
}

// lookup is a key whose value is on its way from flash.
type lookup struct {
	hearth.Lookup
	h *Handler
	c *server.Conn
	r protocol.Request
}

var lookups = sync.Pool{New: func() any { return new(lookup) }}

// Step appends the reply once the value is there, or has something else go on with
// it: what sends a large one, or claims it, or makes it.
func (p *lookup) Step(dst []byte) ([]byte, bool) {
	begun, mark := protocol.BeginValue(dst, &p.r)
	var loan hearth.Loan
	out, m, st := p.Lookup.StepBorrow(begun, &loan)
	var next server.Pending
	switch {
	case st == hearth.Pending:
		return dst, false
	case loan.Lent():
		out, next = p.h.lent(p.c, &p.r, &m, loan, dst)
	case st == hearth.Miss && p.r.Vivify:
		out, next = p.h.vivify(p.c, &p.r, dst)
	case st == hearth.Miss:
		out = p.h.missed(p.c, &p.r, &m, dst)
	case p.h.claims(&p.r, &m):
		out, next = p.h.claim(p.c, &p.r, &m, out[len(begun):], dst)
	default:
		out = p.h.found(p.c, &p.r, &m, out, mark)
	}
	if next != nil {
		p.c.Follow(next)
	}
	p.r, p.c = protocol.Request{}, nil
	lookups.Put(p)
	return out, next == nil
}
