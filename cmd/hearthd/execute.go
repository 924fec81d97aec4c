package main

import (
	"sync"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
	textproto "github.com/hearthcache/hearth/protocol/text"
)

// handler answers the requests of all connections from the cache.
type handler struct {
	cache  *hearth.Cache
	config *Config
	stop   func() // has the server stop, and returns at once
	stats  statistics
}

// Get looks one key up. It is called on the connection's event loop; a value on
// flash is returned as a pending lookup, which the loop steps.
func (h *handler) Get(c *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	out, m, st := dst, hearth.Meta{}, hearth.Miss
	value, mark := protocol.BeginValue(dst, r.Key)
	touch := r.Op == protocol.OpGat || r.Op == protocol.OpGats
	exptime := uint32(0)
	if touch {
		exptime = h.exptime(r.Exptime)
		value, m, st = h.cache.FindTouch(r.Key, exptime, value)
	} else {
		value, m, st = h.cache.Find(r.Key, value)
	}
	withCAS := r.Op == protocol.OpGets || r.Op == protocol.OpGats
	switch st {
	case hearth.Hit:
		return h.endValue(value, mark, m, withCAS), nil
	case hearth.Pending:
		p := lookups.Get().(*lookup)
		p.h, p.withCAS = h, withCAS
		if touch {
			p.StartTouch(h.cache, r.Key, exptime, m, c, 0)
		} else {
			p.Start(h.cache, r.Key, m, c, 0)
		}
		return out, p
	}
	return out, nil
}

// warmKeys is how many keys are readied at once: what the processor can have
// under way to memory.
const warmKeys = 16

// Warm readies the first of the keys in args.
func (h *handler) Warm(args []byte) int {
	var keys [warmKeys][]byte
	n := 0
	for ; n < len(keys); n++ {
		if keys[n], args = textproto.NextKey(args); keys[n] == nil {
			break
		}
	}
	h.cache.Warm(keys[:n])
	return max(n, 1)
}

func (h *handler) endValue(value []byte, mark int, m hearth.Meta, withCAS bool) []byte {
	if h.config.NoCAS {
		m.CAS = 0
	}
	return protocol.EndValue(value, mark, m.Flags, m.CAS, withCAS)
}

// lookup is a key whose value is on its way from flash.
type lookup struct {
	hearth.Lookup
	h       *handler
	withCAS bool
}

var lookups = sync.Pool{New: func() any { return new(lookup) }}

// Step appends the key's VALUE once it is there; nothing for a miss.
func (p *lookup) Step(dst []byte) ([]byte, bool) {
	value, mark := protocol.BeginValue(dst, p.Key())
	value, m, st := p.Lookup.Step(value)
	if st == hearth.Pending {
		return dst, false
	}
	if st == hearth.Hit {
		dst = p.h.endValue(value, mark, m, p.withCAS)
	}
	lookups.Put(p)
	return dst, true
}

// Do executes every command that is no retrieval.
func (h *handler) Do(c *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	if verb := verbOf[r.Op]; verb != 0 {
		return h.change(c, r, verb, dst)
	}
	switch r.Op {
	case protocol.OpFlushAll:
		return h.flushAll(r, dst), nil
	case protocol.OpVersion:
		return protocol.AppendVersion(dst, version), nil
	case protocol.OpVerbosity:
		return append(dst, protocol.OK...), nil
	case protocol.OpStats:
		return h.appendStats(r.Args, dst), nil
	case protocol.OpCacheMemlimit:
		return h.memlimit(r, dst), nil
	case protocol.OpShutdown:
		return h.shutdown(dst), nil
	}
	return append(dst, protocol.Error...), nil
}

var verbOf = [...]hearth.Verb{
	protocol.OpSet: hearth.Set, protocol.OpAdd: hearth.Add, protocol.OpReplace: hearth.Replace,
	protocol.OpAppend: hearth.Append, protocol.OpPrepend: hearth.Prepend, protocol.OpCAS: hearth.CompareAndSwap,
	protocol.OpIncr: hearth.Incr, protocol.OpDecr: hearth.Decr,
	protocol.OpTouch: hearth.Touch, protocol.OpDelete: hearth.Delete,
	protocol.OpCacheMemlimit: 0, // the last Op: every Op has an entry
}

// change is a change of one key that may have to wait for flash or for room.
type change struct{ hearth.Change }

var changes = sync.Pool{New: func() any { return new(change) }}

func (h *handler) change(c *server.Conn, r *protocol.Request, verb hearth.Verb, dst []byte) ([]byte, server.Pending) {
	p := changes.Get().(*change)
	p.Verb, p.Key, p.Value, p.Flags = verb, r.Key, r.Value, r.Flags
	p.Exptime, p.Expect, p.Delta = h.exptime(r.Exptime), r.CAS, r.Delta
	if h.config.NoCAS {
		p.Expect = 0 // which no item has
	}
	if r.TooLarge {
		return p.reply(p.Refuse(h.cache), dst), nil
	}
	if st := p.Start(h.cache, c, 0); st != hearth.Pending {
		return p.reply(st, dst), nil
	}
	return dst, p
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
	if st == hearth.Stored && (p.Verb == hearth.Incr || p.Verb == hearth.Decr) {
		dst = protocol.AppendNumber(dst, p.Number)
	} else {
		dst = append(dst, replyTo[st]...)
	}
	p.Key, p.Value = nil, nil
	changes.Put(p)
	return dst
}

var replyTo = [...]string{
	hearth.Stored: protocol.Stored, hearth.NotStored: protocol.NotStored, hearth.Exists: protocol.Exists,
	hearth.NotFound: protocol.NotFound, hearth.Touched: protocol.Touched, hearth.Deleted: protocol.Deleted,
	hearth.NotNumeric: protocol.NonNumeric, hearth.TooLarge: protocol.TooLarge, hearth.NoRoom: protocol.NoMemory,
}

func (h *handler) flushAll(r *protocol.Request, dst []byte) []byte {
	if h.config.NoFlushAll {
		return append(dst, "CLIENT_ERROR flush_all not allowed\r\n"...)
	}
	at := uint32(0)
	if r.Exptime > 0 {
		at = h.exptime(r.Exptime)
	}
	if err := h.cache.FlushAll(at); err != nil {
		return append(dst, "SERVER_ERROR cannot note the flush\r\n"...)
	}
	return append(dst, protocol.OK...)
}

// memlimit changes -m of the running server.
func (h *handler) memlimit(r *protocol.Request, dst []byte) []byte {
	if r.Delta > maxMemory || h.cache.SetMemory(int64(r.Delta)*mebibyte) != nil {
		return append(dst, "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n"...)
	}
	return append(dst, protocol.OK...)
}

// shutdown stops the server as a signal would.
func (h *handler) shutdown(dst []byte) []byte {
	if !h.config.AllowShutdown {
		return append(dst, "ERROR: shutdown not enabled\r\n"...)
	}
	h.stop()
	return dst
}

// maxRelative is the longest expiry time, in seconds, that is taken as counted
// from now; a greater one is a Unix time.
const maxRelative = 30 * 24 * 60 * 60

// exptime turns a client's expiry time into the cache's: Unix seconds, 0 never.
func (h *handler) exptime(t int64) uint32 {
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
