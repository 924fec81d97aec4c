package trace

import "time"

// Call is one operation on a target, and its answer.
type Call struct {
	Op    Op // Get for all that reads; a CAS is done with CAS
	Key   []byte
	Value []byte // of a write; what a Prepend adds
	TTL   uint32 // seconds of the target's time, 0 for ever
	CAS   uint64 // of a CAS, expected; of a Gets that hit, the item's

	Status Status
	Found  []byte // the value of a hit, good until the next Do
	Error  string // of a Refused
}

// Status is the answer to a Call.
type Status uint8

// The answers.
const (
	Missed  Status = iota // not there; or not stored, or not changed, because of what is there
	Hit                   // of a read
	Done                  // of a write
	Refused               // by an error
)

// Target is what a trace is replayed against. Do executes calls in order. At
// waits until it is that time of the trace; it is called before the calls of that
// time. A Target is for one goroutine.
type Target interface {
	Do(calls []Call) error
	At(t time.Duration)
	// TTL is the target's for one of the trace, in seconds.
	TTL(seconds uint32) uint32
	Usage() (Usage, error)
	Close() error
}

// Usage is what a target uses, so far. Sizes are in bytes.
type Usage struct {
	Items        int64  `json:"items"`
	Memory       int64  `json:"memory_bytes"`  // of the process; of the library, all that Options.Memory bounds
	FlashWritten uint64 `json:"flash_written"` // to pages, rescued records among them
	Evictions    uint64 `json:"evictions"`     // items dropped for want of room
}
