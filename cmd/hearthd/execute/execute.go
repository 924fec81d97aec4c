// Package execute answers parsed requests from a cache: it is the
// server.Handler of hearthd. A Go program that embeds a cache serves it with the
// same Handler, or has it execute requests in process; see server.Local.
package execute

import (
	"sync/atomic"
	"time"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
	"github.com/hearthcache/hearth/protocol/text"
)

// Options are those of a Handler.
type Options struct {
	NoCAS      bool   // no CAS is told, and none matches
	NoFlushAll bool   // flush_all is refused
	Version    string // what version answers
	// Admin answers what is not about items. Where it is nil, such commands
	// are unknown.
	Admin func(c *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending)
	Tap   *Tap // nil is none
}

// Handler answers the requests of all connections from a cache. Its methods are
// called on the connections' event loops; what is on flash they return as
// Pending, which the loop steps.
type Handler struct {
	cache *hearth.Cache
	opt   Options
	metas atomic.Uint64
}

// MetaCommands is how many meta commands there were, but for mn.
func (h *Handler) MetaCommands() uint64 { return h.metas.Load() }

func (h *Handler) countMeta(r *protocol.Request) {
	if r.Proto == protocol.Meta && r.Op != protocol.OpNoop {
		h.metas.Add(1)
	}
}

// New makes a Handler of a cache, which must not be closed before the last
// request is done.
func New(cache *hearth.Cache, o Options) *Handler { return &Handler{cache: cache, opt: o} }

// warmKeys is how many keys are readied at once: what the processor can have
// under way to memory.
const warmKeys = 16

// Warm readies the first of the keys in args.
func (h *Handler) Warm(args []byte) int {
	var keys [warmKeys][]byte
	n := 0
	for ; n < len(keys); n++ {
		if keys[n], args = text.NextKey(args); keys[n] == nil {
			break
		}
	}
	h.cache.Warm(keys[:n])
	return max(n, 1)
}

// Do executes every command that is no retrieval.
func (h *Handler) Do(c *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	h.countMeta(r)
	if verb := verbOf[r.Op]; verb != 0 {
		return h.change(c, r, verb, dst)
	}
	switch r.Op {
	case protocol.OpFlushAll:
		return h.flushAll(r, dst), nil
	case protocol.OpVersion:
		return protocol.AppendVersion(dst, r, h.opt.Version), nil
	case protocol.OpMetaDebug:
		return h.debug(c, r, dst)
	case protocol.OpNoop:
		return protocol.AppendOutcome(dst, r, protocol.Done), nil
	}
	if h.opt.Admin != nil {
		return h.opt.Admin(c, r, dst)
	}
	return protocol.AppendOutcome(dst, r, protocol.Unknown), nil
}

func (h *Handler) flushAll(r *protocol.Request, dst []byte) []byte {
	switch {
	case h.opt.NoFlushAll && r.Proto == protocol.Binary:
		return protocol.AppendStatus(dst, r, protocol.StatusAuthError, "")
	case h.opt.NoFlushAll:
		return protocol.AppendClientError(dst, r, "flush_all not allowed")
	}
	at := uint32(0)
	if r.Exptime > 0 {
		at = h.exptime(r.Exptime)
	}
	if err := h.cache.FlushAll(at); err != nil {
		return protocol.AppendServerError(dst, r, "cannot note the flush")
	}
	return protocol.AppendOutcome(dst, r, protocol.Done)
}

// maxRelative is the longest expiry time that is taken as counted from now; a
// greater one is a Unix time.
const maxRelative = int64(30 * 24 * time.Hour / time.Second)

// exptime turns a client's expiry time into the cache's: Unix seconds, 0 never.
func (h *Handler) exptime(t int64) uint32 {
	switch {
	case t == 0:
		return 0
	case t < 0:
		return 1
	case t <= maxRelative:
		return h.cache.Now() + uint32(t)
	}
	return uint32(min(t, 1<<32-1))
}

// item is what the reply to r says of an item.
func (h *Handler) item(r *protocol.Request, m *hearth.Meta) protocol.Item {
	it := protocol.Item{
		Flags: m.Flags, CAS: m.CAS, Size: m.Size, TTL: -1, Age: m.Age,
		Fetched: m.Fetched, Stale: m.Stale, TokenSent: m.TokenSent,
	}
	if h.opt.NoCAS {
		it.CAS = 0
	}
	exptime := m.Exptime
	if r.OldTTL {
		exptime = m.Before
	}
	if exptime != 0 {
		it.TTL = int64(exptime) - int64(h.cache.Now())
	}
	return it
}
