package execute

import (
	"sync"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// A meta get may have to change what it finds. One client is told that it has won,
// and is to bring a new value, when the item is stale, or about to expire (flag
// R), or absent (flag N). The item is looked up first, and then claimed on the
// condition that its CAS is still the one that was seen; an absent one is added.
// Where another was faster, all begins anew.

// claims tells whether r is to win the item for its client.
func (h *Handler) claims(r *protocol.Request, m *hearth.Meta) bool {
	if r.Proto != protocol.Meta || m.TokenSent {
		return false
	}
	return m.Stale || r.Recache && m.Exptime != 0 && m.Exptime < h.exptime(r.RecacheTTL)
}

// win is a meta get that changes its item, or adds it.
type win struct {
	hearth.Change
	lookup hearth.Lookup
	h      *Handler
	c      *server.Conn
	r      protocol.Request
	found  hearth.Meta // what is being claimed
	value  []byte      // its value
	stage  stage
}

// stage is what a win waits for.
type stage uint8

const (
	claiming stage = iota
	adding
	looking
)

var wins = sync.Pool{New: func() any { return new(win) }}

// claim is for an item that was found, with its value.
func (h *Handler) claim(c *server.Conn, r *protocol.Request, m *hearth.Meta, value, dst []byte) ([]byte, server.Pending) {
	p := wins.Get().(*win)
	p.h, p.c, p.r = h, c, *r
	p.found, p.value = *m, append(p.value[:0], value...)
	return p.begin(p.claim(), dst)
}

// vivify is for an item that was not found.
func (h *Handler) vivify(c *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	p := wins.Get().(*win)
	p.h, p.c, p.r = h, c, *r
	return p.begin(p.add(), dst)
}

// begin goes on from the first status.
func (p *win) begin(st hearth.Status, dst []byte) ([]byte, server.Pending) {
	if out, done := p.settle(st, dst); done {
		return out, nil
	}
	return dst, p
}

// Step appends the reply once it is known.
func (p *win) Step(dst []byte) ([]byte, bool) {
	if p.stage != looking {
		return p.settle(p.Change.Step(), dst)
	}
	value, m, st := p.lookup.Step(p.value[:0])
	p.value = value
	return p.settle(p.seen(m, st), dst)
}

// settle goes on from st, the status of what it waited for.
func (p *win) settle(st hearth.Status, dst []byte) ([]byte, bool) {
	for {
		switch {
		case st == hearth.Pending:
			return dst, false
		case p.stage == looking && st == hearth.Hit: // nothing to be claimed any more
			return p.reply(dst, p.found, false), true
		case p.stage == looking && p.r.Vivify:
			st = p.add()
		case p.stage == looking:
			return p.end(p.h.missed(p.c, &p.r, &p.found, dst)), true
		case p.stage == claiming && st == hearth.Stored:
			return p.reply(dst, p.found, true), true
		case p.stage == claiming && st == hearth.NotStored:
			p.found.TokenSent = true
			return p.reply(dst, p.found, false), true
		case p.stage == claiming && st == hearth.NoRoom: // to note that it was claimed
			return p.reply(dst, p.found, false), true
		case p.stage == adding && st == hearth.Stored:
			p.value = p.value[:0]
			m := p.Meta()
			m.TokenSent, m.Fetched = false, false // before this client won
			return p.reply(dst, m, true), true
		case p.stage == adding && st != hearth.NotStored:
			return p.end(protocol.AppendOutcome(dst, &p.r, outcomeOf[st])), true
		default: // another was faster
			st = p.look()
		}
	}
}

// look looks the item up again.
func (p *win) look() hearth.Status {
	p.stage = looking
	value, m, st := p.h.find(&p.r, p.value[:0])
	p.value = value
	if st == hearth.Pending {
		p.h.startLookup(&p.lookup, p.c, &p.r, m)
	}
	return p.seen(m, st)
}

// seen claims what a lookup has brought, where that is due.
func (p *win) seen(m hearth.Meta, st hearth.Status) hearth.Status {
	p.found = m
	if st == hearth.Hit && p.h.claims(&p.r, &m) {
		return p.claim()
	}
	return st
}

// claim asks for the token of what was found.
func (p *win) claim() hearth.Status {
	p.stage = claiming
	p.Change = hearth.Change{Verb: hearth.Claim, Key: p.r.Key, Compare: true, Expect: p.found.CAS}
	return p.Start(p.h.cache, p.c, 0)
}

// add stores an item without a value, if there still is none.
func (p *win) add() hearth.Status {
	p.stage = adding
	p.Change = hearth.Change{
		Verb: hearth.Add, Key: p.r.Key, Exptime: p.h.exptime(p.r.VivifyExptime),
		NewCAS: p.r.NewCAS, TokenSent: true,
	}
	return p.Start(p.h.cache, p.c, 0)
}

func (p *win) reply(dst []byte, m hearth.Meta, won bool) []byte {
	it := p.h.item(&p.r, &m)
	it.Won = won
	switch {
	case !p.h.tapped():
	case p.stage == adding:
		p.h.tellMissed(p.c, &p.r, hearth.Meta{})
	default:
		p.h.tellFound(p.c, &p.r, it)
	}
	return p.end(protocol.AppendValue(dst, &p.r, p.value, &it))
}

// end gives p back.
func (p *win) end(dst []byte) []byte {
	p.r, p.Key, p.c = protocol.Request{}, nil, nil
	if cap(p.value) > keepValue {
		p.value = nil
	}
	wins.Put(p)
	return dst
}

// keepValue is the longest buffer, in bytes, that is kept for the next win.
const keepValue = 64 << 10
