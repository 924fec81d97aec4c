// Package protocol has what memcached's protocols share: a parsed Request and
// the replies' bytes. Parsers in text, meta and binary turn bytes into Requests
// and never see a socket; encoders append to the caller's buffer; server and
// client put them on connections. Nothing here knows how values are stored.
package protocol

// MaxKey is the longest key in bytes.
const MaxKey = 250

// Op is a command.
type Op uint8

// The commands. The zero Op is invalid.
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
)

// Retrieval tells whether op looks up keys and answers with their values.
func (op Op) Retrieval() bool { return op >= OpGet && op <= OpGats }

// Touches tells whether op is a retrieval that changes what it finds.
func (op Op) Touches() bool { return op == OpGat || op == OpGats }

// Storage tells whether op carries a value.
func (op Op) Storage() bool { return op >= OpSet && op <= OpCAS }

// Request is one parsed command. Its slices point into the parser's input and
// hold only as long as that does.
type Request struct {
	Op      Op
	Key     []byte // the key; of a retrieval, the one being looked up
	Args    []byte // of a retrieval, the keys not yet taken (see text.NextKey); of stats and others, the rest of the line
	Value   []byte
	Flags   uint32 // client flags
	Exptime int64  // as the client sent it: see memcached's protocol.txt
	CAS     uint64
	Delta   uint64 // of incr and decr; verbosity's level; cache_memlimit's megabytes
	Noreply bool
	HasExp  bool // whether Exptime was given, where that is optional
	// TooLarge marks a storage command whose value is over the parser's
	// limit: Value is nil and its bytes are passed over unread. The answer
	// is protocol.TooLarge, and after a set nothing may be left of what
	// stood under the key before.
	TooLarge bool
}
