package client

import (
	"expvar"
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/hearthcache/hearth/protocol"
)

// buckets is how many buckets a histogram of latencies has. The last but one
// ends at 8.4 s.
const buckets = 25

// counters are one operation's. Each is on its own: a reader may see a request
// in one of them and not in another yet.
type counters struct {
	requests, keys, misses, errors, sent, received atomic.Uint64
	latency                                        [buckets]atomic.Uint64
}

// OpCounts says what became of the requests of one operation.
type OpCounts struct {
	Requests uint64 `json:"requests"`
	Keys     uint64 `json:"keys"`     // more than Requests where there were multi-gets
	Misses   uint64 `json:"misses"`   // keys: not there, or a condition does not hold
	Errors   uint64 `json:"errors"`   // requests: all other errors, the contexts' among them
	Sent     uint64 `json:"sent"`     // bytes
	Received uint64 `json:"received"` // bytes; neither counts requests that were given up
	// Latency counts requests by how long they took: the first those of less
	// than a microsecond, each further one up to twice as long, the last all
	// others.
	Latency [buckets]uint64 `json:"latency_us_log2"`
}

// opNames are the operations that are counted. Gets are with their CAS.
var opNames = [protocol.Ops]string{
	protocol.OpGets: "get", protocol.OpGats: "gat",
	protocol.OpSet: "set", protocol.OpAdd: "add", protocol.OpReplace: "replace", protocol.OpAppend: "append",
	protocol.OpPrepend: "prepend", protocol.OpCAS: "cas", protocol.OpIncr: "incr", protocol.OpDecr: "decr",
	protocol.OpTouch: "touch", protocol.OpDelete: "delete", protocol.OpFlushAll: "flush_all",
	protocol.OpVersion: "version", protocol.OpStats: "stats",
}

// count counts a request, of multi keys if it is a multi-get, and else of one.
func (c *counters) count(a *answer, err error, multi int, took time.Duration) {
	c.requests.Add(1)
	c.keys.Add(uint64(max(multi, 1)))
	switch {
	case !ordinary(err):
		c.errors.Add(1)
	case multi > 0:
		c.misses.Add(uint64(multi - len(a.items)))
	case err != nil:
		c.misses.Add(1)
	}
	c.sent.Add(uint64(a.sent))
	c.received.Add(uint64(a.received))
	c.latency[min(bits.Len64(uint64(took.Microseconds())), buckets-1)].Add(1)
}

func (c *counters) read() OpCounts {
	counts := OpCounts{
		Requests: c.requests.Load(), Keys: c.keys.Load(), Misses: c.misses.Load(), Errors: c.errors.Load(),
		Sent: c.sent.Load(), Received: c.received.Load(),
	}
	for i := range counts.Latency {
		counts.Latency[i] = c.latency[i].Load()
	}
	return counts
}

// Counts returns the counts of the operations that were asked for, by their
// names in the text protocol. Requests refused for their key are not among them.
func (c *Client) Counts() map[string]OpCounts {
	counts := map[string]OpCounts{}
	for op, name := range opNames {
		if n := c.counters[op].read(); n.Requests > 0 {
			counts[name] = n
		}
	}
	return counts
}

// Publish has expvar show Counts under name, for as long as the process runs. A
// name that is taken is an error.
func (c *Client) Publish(name string) error {
	if expvar.Get(name) != nil {
		return fmt.Errorf("%w: expvar has a %q", ErrOptions, name)
	}
	expvar.Publish(name, expvar.Func(func() any { return c.Counts() }))
	return nil
}
