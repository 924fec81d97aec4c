package trace

import (
	"fmt"
	"time"
)

// Op is what a request does.
type Op uint8

// The operations. A LoneGet is a Get that is not followed by a set when it
// misses. A CAS reads the item's CAS first, and counts as a write alone.
const (
	Get Op = iota
	LoneGet
	Gets
	Set
	Add
	Replace
	CAS
	Prepend
	Incr
	Delete
	ops
)

var opNames = [ops]string{"get", "lone_get", "gets", "set", "add", "replace", "cas", "prepend", "incr", "delete"}

// String is the operation's name in a trace.
func (o Op) String() string { return opNames[o] }

// reads tells whether the operation counts for the hit ratio.
func (o Op) reads() bool { return o <= Gets }

// parseOp reads the name of an operation. An append costs a cache what a prepend
// does, a decr what an incr does, so they are taken for these.
func parseOp(name string) (Op, error) {
	switch name {
	case "append":
		return Prepend, nil
	case "decr":
		return Incr, nil
	}
	for i, known := range opNames {
		if name == known {
			return Op(i), nil
		}
	}
	return 0, fmt.Errorf("operation %q is not known", name)
}

// Request is one request of a trace.
type Request struct {
	Time      time.Duration // since the trace began
	Op        Op
	Counter   bool   // the key's value is a number
	Key       uint64 // keys are numbered as they come up
	KeySize   int    // bytes, at most 250; a key that needs more for its number has more
	ValueSize int    // bytes, also of a Get: what is set if it misses
	TTL       uint32 // seconds, 0 for ever
}

// Reader gives the requests of a trace in order. Next returns io.EOF after the
// last; any other error tells the place.
type Reader interface {
	Next(*Request) error
}
