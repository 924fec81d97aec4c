package execute

import (
	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// debug is a me command: what is known of an item, which does not count as an
// access.
type debug struct {
	hearth.Lookup
	h *Handler
	r *protocol.Request // the connection's, which holds it until the command is done
}

var peek = hearth.Access{Peek: true}

func (h *Handler) debug(c *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	_, m, st := h.cache.FindWith(r.Key, peek, nil)
	p := &debug{h: h, r: r}
	if st != hearth.Pending {
		return p.reply(dst, &m, st), nil
	}
	p.StartWith(h.cache, r.Key, peek, m, c, 0)
	return dst, p
}

// Step appends the reply once the record has been read.
func (p *debug) Step(dst []byte) ([]byte, bool) {
	_, m, st := p.Lookup.Step(nil)
	if st == hearth.Pending {
		return dst, false
	}
	return p.reply(dst, &m, st), true
}

// reply tells, as memcached does, of the item's size with all that belongs to it.
func (p *debug) reply(dst []byte, m *hearth.Meta, st hearth.Status) []byte {
	if st == hearth.Miss {
		return protocol.AppendOutcome(dst, p.r, protocol.Miss)
	}
	res := protocol.Result{Outcome: protocol.Hit, Item: p.h.item(p.r, m)}
	res.Item.Size += len(p.r.Key) + recordHead
	return protocol.AppendResult(dst, p.r, &res)
}

// recordHead is what an item takes beside its key and its value, in bytes.
const recordHead = 24
