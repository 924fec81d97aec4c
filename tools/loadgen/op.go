package loadgen

// ask is one key of a request.
type ask struct {
	key     uint64
	version uint64 // of a set: what it stores; of a delete: its place among the sets; of a get: the oldest that may come back
}

// verb is what a request does.
type verb uint8

const (
	get    verb = iota // of some keys
	set                // this and the others are of one key
	remove             // delete
	touch
)

// String is the command.
func (v verb) String() string { return [...]string{"get", "set", "delete", "touch"}[v] }

// op is one request of a connection.
type op struct {
	verb  verb
	start int64 // when it was sent, or in an open loop should have been
	asks  []ask
}

// ring holds a connection's requests in order. Three counters go round it:
//
//	head   the request whose reply comes next
//	sent   the request of which bytes are still to be sent
//	tail   where the next request goes
//
// Usually head <= sent <= tail. But a server may refuse a set before all of its
// value is sent, then head is sent+1; the slot is free when both have passed.
type ring struct {
	ops              []op
	asks             []ask // multiget of them belong to each slot
	multiget         int
	head, sent, tail uint64
}

func newRing(depth, multiget int) ring {
	return ring{ops: make([]op, depth), asks: make([]ask, depth*multiget), multiget: multiget}
}

// room tells whether push may be called.
func (r *ring) room() bool { return r.tail-min(r.head, r.sent) < uint64(len(r.ops)) }

// idle tells whether every request is sent and answered.
func (r *ring) idle() bool { return r.head == r.tail && r.sent == r.tail }

func (r *ring) at(i uint64) *op { return &r.ops[i%uint64(len(r.ops))] }

// push gives the slot of a new request, its asks empty with room for multiget.
func (r *ring) push() *op {
	slot := int(r.tail % uint64(len(r.ops)))
	r.tail++
	o := &r.ops[slot]
	o.asks = r.asks[slot*r.multiget : slot*r.multiget : (slot+1)*r.multiget]
	return o
}

// unpush takes the last push back.
func (r *ring) unpush() { r.tail-- }
