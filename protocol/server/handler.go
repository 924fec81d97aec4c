package server

import "github.com/hearthcache/hearth/protocol"

// Handler is a store behind the protocol. Its methods are called by several
// event loops at once, for one connection by one loop at a time, and must not
// block: what needs to wait is returned as a Pending.
type Handler interface {
	// Get answers one key, r.Key, of a retrieval: it appends the reply for
	// that key to dst and returns nil, or returns dst as it was and a
	// Pending. The server ends the reply to several keys. The bytes of r's
	// slices hold until that Pending is done; r itself is used for the next
	// key, so a Pending keeps a copy, or what it needs of it.
	Get(c *Conn, r *protocol.Request, dst []byte) ([]byte, Pending)
	// Do executes any other command but quit and appends its reply to dst
	// (the server drops it for noreply), or returns a Pending. r and its
	// slices hold until that Pending is done.
	Do(c *Conn, r *protocol.Request, dst []byte) ([]byte, Pending)
}

// Warmer is what a Handler may be beside: it is told of keys of a retrieval
// before the first of them is looked up, so as to wait for the memory of all of
// them at once.
type Warmer interface {
	// Warm is given the keys to come, as text.NextKey takes them, and returns
	// how many of them, at least one, it has readied.
	Warm(args []byte) int
}

// Receiver is what a Handler may be beside: it gives the memory that large values
// are received into, so that none stands in a buffer of its connection as well.
type Receiver interface {
	// LargeValue is the length in bytes from which on values are received. It
	// never changes.
	LargeValue() int
	// Receive begins a command for which Op.Whole holds, in place of Do: all of it
	// is there but its value of size bytes. r and its slices hold until the
	// Intake is done.
	Receive(c *Conn, r *protocol.Request, size int) Intake
}

// Intake is a command whose value is being received. It ends by Do or by Drop.
type Intake interface {
	// Next is where the next bytes of the value go; it is called once those of
	// the last call are filled, and until the value is complete. It is false if
	// there is no memory now: the server asks again after the next Notify. None
	// though it is true means that the value is not wanted: the server calls Do
	// at once, and passes over what is left of the value.
	Next() ([]byte, bool)
	// Do executes the command, as Handler.Do does.
	Do(dst []byte) ([]byte, Pending)
	// Drop gives up: the client has left, or its value does not end where it
	// should.
	Drop()
}

// Pending is an answer that is not there yet. The server calls Step for the
// oldest Pending of a connection, at once and again after each Conn.Notify,
// until it is done. It does so even when the client has gone, so that whatever
// the Pending holds is always given back.
type Pending interface {
	// Step goes on as far as it can without blocking. When the answer is
	// complete it appends it to dst, frees itself and reports true. Or it has
	// another Pending give the answer: see Conn.Follow.
	Step(dst []byte) ([]byte, bool)
}

// Canceler is what a Pending may be beside: it is told that its client has gone.
type Canceler interface {
	// Cancel is called once at most, on the connection's loop. Nobody will read
	// the answer, so one that was only to be found need not be, and whatever
	// Notify would say may be said at once. A change is still to be made whole
	// or not at all: its client may have sent it and left. Step is called until
	// it reports that it is done all the same.
	Cancel()
}

// Stream is a Pending whose answer comes in pieces and may be of any length. No
// other key is looked up while one of Get is pending.
// What Step appends goes to the client though it is not done; the server calls
// Step again once the client has taken that, and if it appended nothing then after
// the next Notify. So a slow client has no more than a piece of its answer in the
// server: some ten kilobytes are a good one.
type Stream interface {
	Pending
	// Ended tells that the client has ended its side, or that the server is
	// being shut down: an answer without an end is to come to one. Gone says that
	// nobody will read any more; the next Step should be the last.
	Ended(gone bool)
}
