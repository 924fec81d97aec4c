package protocol

// Outcome is what became of a request.
type Outcome uint8

// The outcomes.
const (
	Unknown    Outcome = iota // no such command
	Hit                       // a retrieval found its item
	Miss                      // a retrieval found none
	Stored                    // also of incr and decr
	NotStored                 // the condition of an add, replace, append or prepend does not hold
	Exists                    // the item's CAS is another
	NotFound                  // nothing to change
	Touched                   // its exptime is as asked
	Deleted                   // it is gone
	NonNumeric                // incr or decr of what is no number
	TooLarge                  // the value is longer than items may be
	NoMemory                  // no room for the value
	Done                      // of a command without an item
)

// Item is what a reply may say of an item, beside key and value.
type Item struct {
	Flags uint32 // client flags
	CAS   uint64
	Size  int    // of the value, bytes
	TTL   int64  // seconds left, -1 never ends
	Age   uint32 // seconds since it was last accessed, before this request

	Fetched   bool // has been hit before this request
	Stale     bool
	Won       bool // this client is to bring a new value
	TokenSent bool // another one is
}

// Result is what a store says of a request.
type Result struct {
	Outcome Outcome
	Item    Item   // as the request left it, where there is one
	Number  uint64 // of incr and decr
}

// lines are the outcomes in the text protocol.
var lines = [...]string{
	Unknown: Error, Stored: "STORED\r\n", NotStored: "NOT_STORED\r\n", Exists: "EXISTS\r\n",
	NotFound: "NOT_FOUND\r\n", Touched: "TOUCHED\r\n", Deleted: "DELETED\r\n",
	NonNumeric: "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
	TooLarge:   "SERVER_ERROR object too large for cache\r\n",
	NoMemory:   "SERVER_ERROR out of memory storing object\r\n",
	Done:       OK,
}

// Line is the reply to o in the text protocol, with its line end; of Hit and
// Miss it is empty.
func (o Outcome) Line() string { return lines[o] }
