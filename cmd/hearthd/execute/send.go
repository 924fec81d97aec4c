package execute

import (
	"sync"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// sendPiece is how much of a large value is given to the connection at a time, in
// bytes.
const sendPiece = 128 << 10

// sending is a hit whose value is sent from where it lies.
type sending struct {
	loan hearth.Loan
	rest []byte // of the value
	r    protocol.Request
	it   protocol.Item
	head bool // has been sent
	gone bool // the client has
}

var sendings = sync.Pool{New: func() any { return new(sending) }}

// lent answers with a value that was lent.
func (h *Handler) lent(c *server.Conn, r *protocol.Request, m *hearth.Meta, loan hearth.Loan, dst []byte) ([]byte, server.Pending) {
	if h.claims(r, m) {
		defer loan.Return()
		return h.claim(c, r, m, loan.Value(), dst)
	}
	it := h.item(r, m)
	if h.tapped() {
		h.tellFound(c, r, it)
	}
	if !protocol.WithValue(r, &it) {
		defer loan.Return()
		return protocol.AppendHead(dst, r, &it, len(loan.Value())), nil
	}
	p := sendings.Get().(*sending)
	p.loan, p.rest, p.r, p.it = loan, loan.Value(), *r, it
	return dst, p
}

// Step appends the next piece.
func (p *sending) Step(dst []byte) ([]byte, bool) {
	if p.gone {
		return p.end(dst), true
	}
	if !p.head {
		dst = protocol.AppendHead(dst, &p.r, &p.it, len(p.rest))
		p.head = true
	}
	n := min(len(p.rest), sendPiece)
	dst = append(dst, p.rest[:n]...)
	if p.rest = p.rest[n:]; len(p.rest) > 0 {
		return dst, false
	}
	return p.end(protocol.AppendTail(dst, &p.r)), true
}

// Ended has the next Step be the last if nobody reads any more.
func (p *sending) Ended(gone bool) { p.gone = gone }

// end gives p back.
func (p *sending) end(dst []byte) []byte {
	p.loan.Return()
	*p = sending{}
	sendings.Put(p)
	return dst
}
