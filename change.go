package hearth

import "github.com/hearthcache/hearth/memtier"

// Verb is what a Change does.
type Verb uint8

// The changes.
const (
	Set     Verb = iota + 1
	Add          // only if the key is absent
	Replace      // only if the key is present
	Append       // to the value, keeping flags and expiry
	Prepend      // to the value, keeping flags and expiry
	CompareAndSwap
	Incr
	Decr
	Touch
	Delete
	// Claim sets an item's TokenSent and changes nothing else, not even its CAS:
	// Stored if this call did it, NotStored if it was set already.
	Claim
)

// Change is one change of one key, in RAM or on flash alike. The caller fills
// the first groups of fields, calls Start, and Step until it is not Pending. It
// may be used again then; it must not be copied while it is under way.
type Change struct {
	Verb    Verb
	Key     []byte // 1 to 250 bytes; this and Value hold until the change is done
	Value   []byte
	Flags   uint32
	Exptime uint32 // Unix seconds; 0 means never
	Delta   uint64 // of Incr and Decr

	// Compare asks for the CAS that the item must have, by any verb but Touch. If
	// it has another the change is Exists; if there is no item, a Set or a Replace
	// is NotFound. An Add does not look at it. CompareAndSwap is a Set that
	// compares always.
	Compare bool
	Expect  uint64

	// NewCAS, if not 0, is the CAS that the item gets. Otherwise the cache gives it
	// one that it never gave before; what callers choose has no influence on that,
	// so that an item may get by the cache what another got by NewCAS.
	NewCAS uint64

	// Invalidate marks the item as stale. A Delete then leaves it in place, with a
	// new CAS, TokenSent cleared, and all else as it was, and is Stored. A Set or a
	// Replace that compares is then Stored also if Expect is less than the item's
	// CAS: with the new value and flags, as stale, under the old expiry time, and
	// with TokenSent as it was. By itself it says nothing to other verbs.
	Invalidate bool
	// DropValue has a Delete leave the item without its value, under Flags,
	// Exptime, and, unless Invalidate says otherwise, its old CAS.
	DropValue bool
	// SetExptime has a change that keeps the item's expiry time, as all without a
	// new value of their own do, set it to Exptime.
	SetExptime bool

	// Vivify has Incr and Decr store Initial, and Append and Prepend their Value,
	// if the key is absent, with Flags and VivifyExptime. Otherwise that is NotFound
	// and NotStored.
	Vivify        bool
	Initial       uint64
	VivifyExptime uint32 // Unix seconds; 0 means never

	// TokenSent has the item of a Set, an Add or a Replace begin with TokenSent set,
	// and as one that was read: a lookup that found nothing stores it for its client.
	TokenSent bool

	// Number is the new value after Incr or Decr.
	Number uint64
	// CAS is the item's after the change, 0 if it was not changed.
	CAS uint64

	flight
	coming int // length of a value that is to be received, bytes
	// w is the change as a write. By other verbs, too, w.OldItem is what was known
	// of the item before the change, and w.NewItem after it.
	w memtier.Write
}

// Meta is of the item as it is after the change, with Age 0, and Before that of the
// item before, 0 if there was none or its time had passed; zero if it was not
// changed, or is no more.
func (ch *Change) Meta() Meta {
	m := metaOf(&ch.w.NewItem, 0)
	m.Before = 0
	if e := ch.w.OldItem.Exptime; e > ch.c.now.Load() {
		m.Before = e
	}
	return m
}

// Before is what was known of the item before the change, with Age 0; ok is false
// if there was none. Of one on flash that the change did not need to read, that is
// its Exptime; so it is of one past its time, which counts as none.
func (ch *Change) Before() (m Meta, ok bool) {
	it := &ch.w.OldItem
	if it.Exptime != 0 && it.Exptime <= ch.c.now.Load() {
		return Meta{Exptime: it.Exptime}, false
	}
	return metaOf(it, 0), it.Loc != 0
}
