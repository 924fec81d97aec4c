package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hearthcache/hearth/protocol"
)

// mostPrefixes bounds the memory of stats detail.
const mostPrefixes = 10_000

// prefixes counts requests by what stands before the delimiter in their keys. Keys
// without one are not counted, nor are those of new prefixes once there are
// mostPrefixes.
type prefixes struct {
	on        atomic.Bool
	delimiter []byte

	mu sync.Mutex
	of map[string]*prefixCount
}

type prefixCount struct{ gets, hits, sets, deletes uint64 }

func newPrefixes(delimiter string, on bool) *prefixes {
	p := &prefixes{delimiter: []byte(delimiter), of: map[string]*prefixCount{}}
	p.on.Store(on)
	return p
}

// count has add change the counters of the key's prefix.
func (p *prefixes) count(key []byte, add func(*prefixCount)) {
	at := bytes.Index(key, p.delimiter)
	if at < 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.of[string(key[:at])]
	if c == nil {
		if len(p.of) >= mostPrefixes {
			return
		}
		c = &prefixCount{}
		p.of[string(key[:at])] = c
	}
	add(c)
}

// told counts a request about an item.
func (p *prefixes) told(r *protocol.Request, res *protocol.Result) {
	switch {
	case r.Op.Retrieval():
		p.count(r.Key, func(c *prefixCount) {
			c.gets++
			if res.Outcome == protocol.Hit {
				c.hits++
			}
		})
	case r.Op.Storage():
		p.count(r.Key, func(c *prefixCount) { c.sets++ })
	case r.Op == protocol.OpDelete:
		p.count(r.Key, func(c *prefixCount) { c.deletes++ })
	}
}

func (p *prefixes) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.of)
}

func (p *prefixes) dump(dst []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, prefix := range slices.Sorted(maps.Keys(p.of)) {
		c := p.of[prefix]
		dst = fmt.Appendf(dst, "PREFIX %s get %d hit %d set %d del %d\r\n", prefix, c.gets, c.hits, c.sets, c.deletes)
	}
	return append(dst, protocol.End...)
}

// detail answers stats detail.
func (h *admin) detail(r *protocol.Request, word string, dst []byte) []byte {
	switch {
	case h.config.NoDump:
		return protocol.AppendClientError(dst, r, "stats detail not allowed")
	case word == "on", word == "off":
		h.prefixes.on.Store(word == "on")
		h.retap()
		return appendSimple(dst, r, protocol.OK)
	case word == "dump":
		if r.Proto == protocol.Binary {
			dst = protocol.AppendStat(dst, r, "detailed", string(h.prefixes.dump(nil)))
			return protocol.AppendStatEnd(dst, r)
		}
		return h.prefixes.dump(dst)
	}
	if r.Proto == protocol.Binary {
		return protocol.AppendStatus(dst, r, protocol.StatusKeyNotFound, "")
	}
	return append(dst, "CLIENT_ERROR usage: stats detail on|off|dump\r\n"...)
}
