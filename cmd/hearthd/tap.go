package main

import (
	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/cmd/hearthd/execute"
	"github.com/hearthcache/hearth/cmd/hearthd/watch"
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// itemEvents are the kinds of what becomes of requests about items.
const itemEvents = watch.Fetchers | watch.Mutations | watch.Deletions

// retap turns the tap on or off, after a change of who wants to hear from it.
func (h *admin) retap() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tap.On.Store(h.watch.Wants(itemEvents) || h.prefixes.on.Load())
}

// told hears what became of a request about an item.
func (h *admin) told(c *server.Conn, r *protocol.Request, res *protocol.Result, was execute.Was, before *protocol.Item) {
	if h.prefixes.on.Load() {
		h.prefixes.told(r, res)
	}
	if h.watch.Wants(watch.Fetchers) {
		h.logFetch(c, r.Key, was, before)
	}
	if r.Op.Storage() && h.watch.Wants(watch.Mutations) {
		h.logStore(c, r, res)
	}
	if res.Outcome == protocol.Deleted && before != nil && h.watch.Wants(watch.Deletions) {
		word := "delete"
		if r.Proto == protocol.Meta {
			word = "md"
		}
		h.watch.Deleted(r.Key, word, classOf(r.Key, before.Size), before.Size)
	}
}

// logFetch logs that an item was looked up, to be given out or to be changed.
func (h *admin) logFetch(c *server.Conn, key []byte, was execute.Was, it *protocol.Item) {
	switch was {
	case execute.Absent:
		h.watch.Fetched(key, "not_found", 0, c.FD(), 0)
	case execute.Expired:
		h.watch.Fetched(key, "expired", 0, c.FD(), 0)
	case execute.Present:
		h.watch.Fetched(key, "found", classOf(key, it.Size), c.FD(), it.Size)
	}
}

// logStore logs what was stored, which after an append is more than what was sent,
// or what could not be.
func (h *admin) logStore(c *server.Conn, r *protocol.Request, res *protocol.Result) {
	size, ttl := len(r.Value), h.ttl(r.Exptime)
	if res.Outcome == protocol.Stored {
		size, ttl = res.Item.Size, max(res.Item.TTL, 0)
	}
	h.watch.Stored(r.Key, storeStatus[res.Outcome], storeWords[r.Op], ttl, classOf(r.Key, size), c.FD(), size)
}

// classOf is an item's class by what is known of its size: 0 is not known, of a
// value on flash that did not have to be read.
func classOf(key []byte, size int) int {
	if size == 0 {
		return hearth.FlashClass
	}
	return hearth.ClassOf(len(key), size)
}

// ttl is how many seconds an item lives that is stored with exptime, 0 for ever.
func (h *admin) ttl(exptime int64) int64 {
	const maxRelative = 30 * 24 * 60 * 60
	if exptime > maxRelative {
		exptime -= int64(h.cache.Now())
	}
	return max(exptime, 0)
}

// storeWords and storeStatus are memcached's words in lines about values stored.
var storeWords = [protocol.Ops]string{
	protocol.OpSet: "set", protocol.OpAdd: "add", protocol.OpReplace: "replace",
	protocol.OpAppend: "append", protocol.OpPrepend: "prepend", protocol.OpCAS: "cas",
}

var storeStatus = map[protocol.Outcome]string{
	protocol.Stored: "stored", protocol.NotStored: "not_stored", protocol.Exists: "exists",
	protocol.NotFound: "not_found", protocol.TooLarge: "too_large", protocol.NoMemory: "no_memory",
}
