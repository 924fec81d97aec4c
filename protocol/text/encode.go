package text

import (
	"strconv"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/meta"
)

// names are the commands as they are written. Ops without one are not of the
// text protocol.
var names = [protocol.Ops]string{
	protocol.OpGet: "get", protocol.OpGets: "gets", protocol.OpGat: "gat", protocol.OpGats: "gats",
	protocol.OpSet: "set", protocol.OpAdd: "add", protocol.OpReplace: "replace",
	protocol.OpAppend: "append", protocol.OpPrepend: "prepend", protocol.OpCAS: "cas",
	protocol.OpIncr: "incr", protocol.OpDecr: "decr", protocol.OpTouch: "touch", protocol.OpDelete: "delete",
	protocol.OpFlushAll: "flush_all", protocol.OpVersion: "version", protocol.OpVerbosity: "verbosity",
	protocol.OpStats: "stats", protocol.OpQuit: "quit", protocol.OpShutdown: "shutdown",
	protocol.OpCacheMemlimit: "cache_memlimit", protocol.OpLRUCrawler: "lru_crawler", protocol.OpLRU: "lru",
	protocol.OpSlabs: "slabs", protocol.OpWatch: "watch", protocol.OpExtstore: "extstore",
}

// AppendRequest appends r as a client sends it, with Noreply where r says so. A
// retrieval asks for Key, if there is one, and the keys in Args. A Request of the
// meta protocol, as a Parser gives them, is left to meta.AppendRequest. It
// allocates only to grow dst, and checks nothing: a key with a space or a line end
// in it makes other commands of the line. An Op that text does not have is the
// caller's mistake, and panics.
func AppendRequest(dst []byte, r *protocol.Request) []byte {
	if r.Proto == protocol.Meta {
		return meta.AppendRequest(dst, r)
	}
	name := names[r.Op]
	if name == "" {
		panic("text: no such command: " + strconv.Itoa(int(r.Op)))
	}
	dst = append(dst, name...)
	switch {
	case r.Op.Retrieval():
		return appendRetrieval(dst, r)
	case r.Op.Storage():
		return appendStorage(dst, r)
	}
	switch r.Op {
	case protocol.OpIncr, protocol.OpDecr:
		dst = appendUint(appendWord(dst, r.Key), r.Delta)
	case protocol.OpTouch:
		dst = appendInt(appendWord(dst, r.Key), r.Exptime)
	case protocol.OpFlushAll:
		if r.HasExp {
			dst = appendInt(dst, r.Exptime)
		}
	case protocol.OpVerbosity, protocol.OpCacheMemlimit:
		dst = appendUint(dst, r.Delta)
	default: // delete has a key, the others may have words
		dst = appendWord(appendWord(dst, r.Key), r.Args)
	}
	return appendEnd(dst, r)
}

func appendRetrieval(dst []byte, r *protocol.Request) []byte {
	if r.Op.Touches() {
		dst = appendInt(dst, r.Exptime)
	}
	dst = appendWord(appendWord(dst, r.Key), r.Args)
	return append(dst, '\r', '\n')
}

func appendStorage(dst []byte, r *protocol.Request) []byte {
	dst = appendUint(appendWord(dst, r.Key), uint64(r.Flags))
	dst = appendUint(appendInt(dst, r.Exptime), uint64(len(r.Value)))
	if r.Op == protocol.OpCAS {
		dst = appendUint(dst, r.CAS)
	}
	dst = append(appendEnd(dst, r), r.Value...)
	return append(dst, '\r', '\n')
}

func appendEnd(dst []byte, r *protocol.Request) []byte {
	if r.Noreply {
		dst = append(dst, " noreply"...)
	}
	return append(dst, '\r', '\n')
}

// appendWord appends a space and word, or nothing for none.
func appendWord(dst, word []byte) []byte {
	if len(word) == 0 {
		return dst
	}
	return append(append(dst, ' '), word...)
}

func appendUint(dst []byte, v uint64) []byte { return strconv.AppendUint(append(dst, ' '), v, 10) }

func appendInt(dst []byte, v int64) []byte { return strconv.AppendInt(append(dst, ' '), v, 10) }
