package client

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hearthcache/hearth/protocol"
)

// The states of a call: who has it. It begins underWay. The connection makes it
// answered and the caller frees it, or the caller makes it givenUp and the
// connection frees it. There are no other transitions.
const (
	underWay uint32 = iota
	answered
	givenUp
)

// call is one request and its answer.
type call struct {
	req    protocol.Request // Key is in key; Value is the caller's, and nil once the bytes are copied
	key    []byte           // of a multi-get all keys, with spaces between them
	keys   []string         // of a multi-get
	begun  int64            // see sinceEpoch
	opaque uint32           // of the request, or the first of a multi-get's
	login  bool             // it is that of a connection
	asks   string           // of meta: the flags that ask for something
	echo   []byte           // of meta: asks with the opaque

	answer // the connection's, until the state is answered
	state  atomic.Uint32
	done   chan struct{} // gets one element with the state answered
}

// answer is what came of a call.
type answer struct {
	err      error
	item     Item
	hit      bool              // item is there
	items    []Item            // of a multi-get, those that are there
	meta     protocol.Item     // of meta: what the reply told
	number   uint64            // of incr and decr
	stats    map[string]string // of stats
	text     string            // of version
	at       int               // of a multi-get in text: the key that comes next
	sent     int               // bytes of the request
	received int               // bytes of the reply
}

var calls = sync.Pool{New: func() any { return &call{done: make(chan struct{}, 1)} }}

// newCall returns a call for op on key, which is copied.
func newCall(op protocol.Op, key string) *call {
	k := calls.Get().(*call)
	k.key = append(k.key[:0], key...)
	k.req = protocol.Request{Op: op, Key: k.key}
	return k
}

// newMultiCall returns a call for a retrieval of keys, which are copied.
func newMultiCall(op protocol.Op, keys []string) *call {
	k := calls.Get().(*call)
	k.key = k.key[:0]
	for _, key := range keys {
		k.key = append(append(k.key, key...), ' ')
	}
	k.keys = append(k.keys, keys...)
	k.items = make([]Item, 0, len(keys))
	k.req = protocol.Request{Op: op}
	return k
}

// free gives k back, and nothing that it points at.
func (k *call) free() {
	clear(k.keys)
	k.keys = k.keys[:0]
	k.req, k.answer = protocol.Request{}, answer{}
	k.opaque, k.login, k.asks = 0, false, ""
	k.state.Store(underWay)
	calls.Put(k)
}

var epoch = time.Now()

// sinceEpoch is a time of the monotonic clock that fits into an atomic.
func sinceEpoch(t time.Time) int64 { return int64(t.Sub(epoch)) }
