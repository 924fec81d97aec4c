// Package client speaks to a server of memcached's protocols: text, meta or
// binary behind one API. A Client is for one server; who has several chooses
// among their Clients by the key.
//
// Many goroutines share few connections. Each request is appended, under the
// connection's lock, to the bytes that are to be written and to the queue of
// those that wait for an answer, so that both have one order; one goroutine
// writes whatever has come together meanwhile in one write, another takes the
// answers in order. So the more callers there are, the more requests go into
// a write, and nothing has to be tuned for it.
//
// # What holds
//
//   - An answer goes to the request it answers or to none. Every reply must be
//     one that its request can have: in kind, in the key of a value, and in meta
//     and binary in the opaque, which no two requests under way share. Text has
//     no opaque, so there a server that answers a set twice is noticed only by
//     the next request of another kind, or if none is under way.
//   - A connection on which anything else came is closed, and every request on
//     it fails. It is not used again, nor is one whose server refused a value
//     that it may now take for commands.
//   - A request that its caller gave up on keeps its place until its answer has
//     come and is thrown away. It may or may not be executed.
//   - Nothing is sent twice: after a ConnError the caller decides, who alone
//     knows whether the request may be executed again.
//   - No request takes longer than Options.Timeout and a quarter of it, whatever
//     its context says.
//
// # Goroutines and locks
//
// A connection has two goroutines, run and write, and a timer; run ends both.
// Client.mu and conn.mu are leaves: neither is held while the other is taken,
// nor across IO.
//
// # Allocations
//
// A Get allocates the value and nothing else; a miss, a Set, Delete, Touch or
// Incr nothing. A GetMulti allocates its map, a list and a value for each hit.
package client
