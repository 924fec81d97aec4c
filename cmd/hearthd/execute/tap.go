package execute

import (
	"sync/atomic"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// Tap lets somebody listen to what becomes of requests about items. A request looks
// whether it is on, and pays for nothing more if it is not.
type Tap struct {
	// On may be set at any time.
	On atomic.Bool
	// Told is called on the connection's event loop, before the client has the
	// reply. Before is the item as it was, if it was Present; of one on flash that
	// was not read little is known but that. What it is given holds only during
	// the call.
	Told func(c *server.Conn, r *protocol.Request, res *protocol.Result, was Was, before *protocol.Item)
}

// Was is what there was of an item before a request.
type Was uint8

// What there was.
const (
	Absent Was = iota
	Present
	Expired // an item past its time
)

func (h *Handler) tapped() bool { return h.opt.Tap != nil && h.opt.Tap.On.Load() }

// tellFound is for a retrieval that has found it. It is taken by value, so that
// the caller's need not be on the heap when there is no tap.
func (h *Handler) tellFound(c *server.Conn, r *protocol.Request, it protocol.Item) {
	h.opt.Tap.Told(c, r, &protocol.Result{Outcome: protocol.Hit, Item: it}, Present, &it)
}

func (h *Handler) tellMissed(c *server.Conn, r *protocol.Request, m hearth.Meta) {
	h.opt.Tap.Told(c, r, &protocol.Result{Outcome: protocol.Miss}, absent(&m), nil)
}

// absent tells whether an item that is not there was found past its time.
func absent(m *hearth.Meta) Was {
	if m.Exptime != 0 {
		return Expired
	}
	return Absent
}

// tell is for a change that is done.
func (p *change) tell(res protocol.Result) {
	m, ok := p.Before()
	if !ok {
		p.h.opt.Tap.Told(p.c, p.r, &res, absent(&m), nil)
		return
	}
	before := p.h.item(p.r, &m)
	p.h.opt.Tap.Told(p.c, p.r, &res, Present, &before)
}
