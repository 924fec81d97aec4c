package memtier

// Loc says where an item's record is. Bit 40 is set for a record on flash; the
// low 40 bits are then the flash tier's address, in units of 8 bytes. For one
// in RAM they are the segment's number and the offset in it, in the same units.
type Loc uint64

const (
	unitShift = 3
	locBits   = 40

	flashBit  Loc = 1 << locBits
	unitsMask Loc = flashBit - 1
)

// FlashLoc is the Loc of the flash record at address units, of which the low 40
// bits count.
func FlashLoc(units uint64) Loc { return Loc(units)&unitsMask | flashBit }

// OnFlash tells whether l is a flash address.
func (l Loc) OnFlash() bool { return l&flashBit != 0 }

// Units is the address without the bit that says flash.
func (l Loc) Units() uint64 { return uint64(l & unitsMask) }

// State is bits that an item has beside its value. They move with it from tier
// to tier.
type State uint8

// The bits.
const (
	Stale     State = 1 << iota // invalidated: the value may be out of date
	TokenSent                   // some client has been told to make a new value
	// Fetched says that the item was read, since it was stored. It is put into a
	// record only when the slot's count of reads is forgotten: the item was read
	// if either says so.
	Fetched
)

// Item is what is known of an item beside its key and value. Of one on flash
// the slot knows only Exptime, Loc, Class, Accessed and Reads.
type Item struct {
	Flags    uint32 // client flags
	Exptime  uint32 // absolute unix seconds, 0 never
	CAS      uint64
	Loc      Loc
	Class    uint8 // size class of the flash record
	Accessed bool  // read before, since written or moved
	Reads    uint8 // how often, up to 3
	State    State
	Atime    uint32 // when it was last read or written, unix seconds
	ValueLen int    // bytes
}

// Status is the outcome of an operation.
type Status uint8

// What an operation came to. The zero Status is Miss.
const (
	Miss       Status = iota // no such item
	Hit                      // found in RAM
	OnFlash                  // on flash; nothing was changed
	Expired                  // found past its exptime, and dropped
	Stored                   // the item is as asked
	NotStored                // the condition of the mode does not hold
	Exists                   // the CAS is another
	NotFound                 // nothing to compare, change or delete
	NoRoom                   // no memory now; segments must be emptied first
	NotNumeric               // the value is not a number
	TooLarge                 // longer than Options.MaxItem, or than memory
	Deleted                  // the item is gone
	Changed                  // the slot is no longer at the Loc given
)

// crowded is for inside: a table has no place for a slot though the limit is
// not reached.
const crowded Status = 0xff

var statusNames = [...]string{"miss", "hit", "on flash", "expired", "stored", "not stored",
	"exists", "not found", "no room", "not numeric", "too large", "deleted", "changed"}

// String names the status for logs and tests.
func (s Status) String() string { return statusNames[s] }
