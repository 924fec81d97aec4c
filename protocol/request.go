// Package protocol has what memcached's protocols share: a parsed Request, and
// the replies to it. Parsers in text, meta and binary turn bytes into Requests
// and never see a socket; encoders append to the caller's buffer; server and
// client put them on connections. Nothing here knows how values are stored.
//
// A handler need not know in which protocol a client speaks. It looks at a
// Request, and says with AppendResult, or BeginValue and EndValue, what became of
// it; the bytes are those of the Request's Protocol, and none where the client
// asked not to hear of it.
package protocol

// MaxKey is the longest key in bytes.
const MaxKey = 250

// Protocol is the language of a request and of its reply.
type Protocol uint8

// The protocols. Meta commands come on connections of the text protocol.
const (
	Text Protocol = iota
	Meta
	Binary
)

// Op is a command.
type Op uint8

// The commands. The zero Op is invalid. Meta and binary commands have the Op of
// the text command that does the same: mg is OpGet, or OpGat if it sets an expiry
// time, ms is OpSet to OpPrepend, md is OpDelete, ma is OpIncr or OpDecr.
const (
	OpGet  Op = iota + 1
	OpGets    // get with CAS
	OpGat     // get and touch
	OpGats    // get and touch, with CAS
	OpSet
	OpAdd
	OpReplace
	OpAppend
	OpPrepend
	OpCAS
	OpIncr
	OpDecr
	OpTouch
	OpDelete
	OpFlushAll
	OpVersion
	OpVerbosity
	OpStats
	OpQuit
	OpShutdown
	OpCacheMemlimit
	OpNoop      // mn, binary noop
	OpMetaDebug // me
	OpSASLList
	OpSASLAuth // Key is the mechanism, Value what it says
	OpSASLStep
	OpLRUCrawler
	OpLRU
	OpSlabs
	OpWatch
	OpExtstore
	OpRefreshCerts
	lastOp = OpRefreshCerts
)

// Ops is how many Ops there are, the invalid one included: the length of a table
// by Op.
const Ops = int(lastOp) + 1

// Retrieval tells whether op looks up keys and answers with their values.
func (op Op) Retrieval() bool { return op >= OpGet && op <= OpGats }

// Touches tells whether op is a retrieval that changes what it finds.
func (op Op) Touches() bool { return op == OpGat || op == OpGats }

// Storage tells whether op carries a value.
func (op Op) Storage() bool { return op >= OpSet && op <= OpCAS }

// Whole tells whether op carries a value that is the item's as it is.
func (op Op) Whole() bool { return op.Storage() && op != OpAppend && op != OpPrepend }

// Request is one parsed command. Its slices point into the parser's input and
// hold only as long as that does.
type Request struct {
	Op      Op
	Proto   Protocol
	Key     []byte // the key; of a retrieval in text, the one being looked up
	Args    []byte // of a retrieval in text, the keys not yet taken (see text.NextKey); of stats and others, the rest of the line
	Value   []byte
	Flags   uint32 // client flags
	Exptime int64  // as the client sent it: see memcached's protocol.txt
	CAS     uint64 // what the item's must be, if Compare; of OpCAS always
	Delta   uint64 // of incr and decr; verbosity's level; cache_memlimit's megabytes
	Noreply bool   // of text: nothing is answered
	HasExp  bool   // whether Exptime was given, where that is optional
	// TooLarge marks a storage command whose value is over the parser's
	// limit: Value is nil and its bytes are passed over unread. The answer
	// is TooLarge, and after a set nothing may be left of what stood under
	// the key before.
	TooLarge bool

	// What follows, text commands do not have.

	// Quiet says that the outcome that is expected is not answered: a miss of
	// a retrieval, the success of a change.
	Quiet   bool
	Compare bool   // refuse with Exists unless the item's CAS is CAS; of mg, leave the value out if it is
	NewCAS  uint64 // the CAS that the item is to get; 0 leaves it to the store

	// Vivify has an absent item made: by incr and decr with the number
	// Initial, by append and prepend with the value, by a meta get with none.
	// Its exptime is VivifyExptime.
	Vivify        bool
	Initial       uint64
	VivifyExptime int64

	// Of meta commands. Invalidate: ms with a lower CAS than the item's stores
	// a stale item, md marks the item stale instead. DropValue: md leaves an
	// item without value, with Flags and Exptime; its CAS stays. Recache: mg
	// lets one client win if less than RecacheTTL seconds are left. NoBump: mg
	// does not count as an access. NoValue: mg and ma do not ask for the value;
	// if mg appends none, its length is Item.Size. OldTTL: the reply tells the
	// TTL as it was before the request changed it.
	Invalidate, DropValue, Recache, NoBump, NoValue, OldTTL bool
	RecacheTTL                                              int64

	// What a reply repeats: of meta, the flags of the command as they came,
	// and whether the key came in base64; of binary, opcode and opaque.
	Echo   []byte
	Base64 bool
	Opcode uint8
	Opaque uint32
}

// Multi tells whether r is a retrieval of several keys, which is answered key by
// key and ends with End.
func (r *Request) Multi() bool { return r.Proto == Text && r.Op.Retrieval() }

// Status is what a parser found.
type Status uint8

// What a parser found.
const (
	Incomplete Status = iota // more bytes are needed
	Complete                 // a whole request
	Partial                  // some keys of a retrieval; the next call goes on with it
	Invalid                  // a refused request; the parser has the answer
	Close                    // bytes after which no answer makes sense
	Body                     // a storage command, all but its value, which is large: see Stream of the parsers
)
