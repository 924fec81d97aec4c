package execute

import (
	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// LargeValue is the length of the smallest values that are received into the cache.
func (h *Handler) LargeValue() int { return h.cache.LargeValue() }

// Receive begins a command whose value is still to come.
func (h *Handler) Receive(c *server.Conn, r *protocol.Request, size int) server.Intake {
	h.countMeta(r)
	p := h.newChange(c, r, verbOf[r.Op])
	p.Receive(h.cache, size, c, 0)
	return (*intake)(p)
}

// intake is a change whose value is being received.
type intake change

// Next is memory for the next bytes of the value.
func (p *intake) Next() ([]byte, bool) {
	piece, st := p.Change.Next()
	switch st {
	case hearth.Pending:
		return nil, false
	case hearth.TooLarge, hearth.NoRoom:
		p.refused = st
	}
	return piece, true
}

// Do executes the change.
func (p *intake) Do(dst []byte) ([]byte, server.Pending) {
	if st := p.refused; st != 0 {
		p.refused = 0
		return (*change)(p).reply(p.GiveUp(st), dst), nil
	}
	p.r.Value = p.Value
	return (*change)(p).start(dst)
}

// Drop gives the memory back.
func (p *intake) Drop() {
	p.Change.Drop()
	(*change)(p).end()
}
