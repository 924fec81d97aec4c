package execute

import (
	"sync"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// Get looks one key up.
func (h *Handler) Get(c *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	value, mark := protocol.BeginValue(dst, r)
	exptime, m, st := uint32(0), hearth.Meta{}, hearth.Miss
	if r.Op.Touches() {
		exptime = h.exptime(r.Exptime)
		value, m, st = h.cache.FindTouch(r.Key, exptime, value)
	} else {
		value, m, st = h.cache.Find(r.Key, value)
	}
	switch st {
	case hearth.Hit:
		it := h.item(&m)
		return protocol.EndValue(value, mark, r, &it), nil
	case hearth.Miss:
		return protocol.AppendOutcome(dst, r, protocol.Miss), nil
	}
	p := lookups.Get().(*lookup)
	p.h, p.r = h, *r
	if r.Op.Touches() {
		p.StartTouch(h.cache, r.Key, exptime, m, c, 0)
	} else {
		p.Start(h.cache, r.Key, m, c, 0)
	}
	return dst, p
}

// lookup is a key whose value is on its way from flash.
type lookup struct {
	hearth.Lookup
	h *Handler
	r protocol.Request
}

var lookups = sync.Pool{New: func() any { return new(lookup) }}

// Step appends the reply once the value is there.
func (p *lookup) Step(dst []byte) ([]byte, bool) {
	value, mark := protocol.BeginValue(dst, &p.r)
	value, m, st := p.Lookup.Step(value)
	switch st {
	case hearth.Pending:
		return dst, false
	case hearth.Hit:
		it := p.h.item(&m)
		dst = protocol.EndValue(value, mark, &p.r, &it)
	default:
		dst = protocol.AppendOutcome(dst, &p.r, protocol.Miss)
	}
	p.r = protocol.Request{}
	lookups.Put(p)
	return dst, true
}
