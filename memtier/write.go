package memtier

// Mode says what Store makes of the item that there is, and under which
// condition.
type Mode uint8

// The modes. Those from Append on keep the exptime of the item, and its flags.
const (
	Set        Mode = iota
	Add             // only if there is none
	Replace         // only if there is one
	Append          // behind the value there is
	Prepend         // before it
	Incr            // the number that the value is, by Delta, wrapping at 2^64
	Decr            // the same down, stopping at 0
	Invalidate      // the item becomes Stale, and its token is free again
	Claim           // the item becomes TokenSent, if it is not; it keeps its CAS
)

// Write is what Store is asked to do, and what came of it.
type Write struct {
	Hash           uint64
	Key, Value     []byte
	Flags, Exptime uint32
	State          State // of a new value; those from Append to Decr have none
	NewCAS         uint64
	Mode           Mode

	// Compare asks for the CAS that the item must have; Exists says that it is
	// another. A Set or a Replace is then NotFound without an item. To an Add
	// it makes no difference.
	Compare bool
	Expect  uint64
	// AllowLate, with Compare, has a Set or a Replace go ahead although Expect is
	// less than the item's CAS. The item then is Stale, and keeps its exptime and
	// its token.
	AllowLate bool
	// Vivify has an Append or a Prepend store Value if there is no item, and Incr
	// and Decr store Initial, with Flags and VivifyExptime.
	Vivify        bool
	VivifyExptime uint32
	// KeepCAS has a Set or a Replace leave the CAS of the item.
	KeepCAS bool
	// SetExptime has a mode that keeps the exptime set it to Exptime.
	SetExptime     bool
	Delta, Initial uint64

	// Received, if it is of a Tier, is where Value was received into, for a mode
	// before Append. Stored empties it; after another answer it is still the
	// caller's, to be tried again or to be dropped.
	Received Receipt

	// Found, if its Loc is not 0, is the flash record that an OnFlash answer
	// asked for. Store judges by it, if the slot is still there, and otherwise
	// answers Changed.
	Found Found

	// What follows is set by Store, whatever it answers.

	// Displaced is the flash record that this write made dead, if
	// HasDisplaced; of an OnFlash answer, the one that has to be read.
	Displaced      Loc
	DisplacedClass uint8
	HasDisplaced   bool
	// OldItem is what was known of the item before; zero if there was none.
	OldItem Item
	// NewItem is the item as it is now, if it was stored.
	NewItem Item
	// Number is the new value of an Incr or a Decr.
	Number uint64
}

// Found is what a read of a flash record has found.
type Found struct {
	Loc   Loc
	Own   bool // it is the key's; if not, then there is no item with the key
	Flags uint32
	CAS   uint64
	State State
	Atime uint32
	Value []byte
}

// describe fills in what the record says and the slot does not.
func (f *Found) describe(it *Item) {
	if f.Own {
		it.Flags, it.CAS, it.State, it.Atime, it.ValueLen = f.Flags, f.CAS, f.State, f.Atime, len(f.Value)
	}
}

// before is the item that a write finds.
type before struct {
	there bool
	flags uint32
	cas   uint64
	state State
	atime uint32
	value []byte
}

func (f *Found) before() before {
	return before{there: f.Own, flags: f.Flags, cas: f.CAS, state: f.State, atime: f.Atime, value: f.Value}
}

// beforeOf is what a record in RAM says, if there is one.
func beforeOf(r record) before {
	if r.header == nil {
		return before{}
	}
	return before{there: true, flags: r.flags, cas: r.cas, state: r.state(), atime: r.atime, value: r.value()}
}

func (w *Write) reset() {
	w.Displaced, w.DisplacedClass, w.HasDisplaced = 0, 0, false
	w.NewItem, w.Number = Item{}, 0
	if w.OldItem.Loc != w.Found.Loc { // else it is as the OnFlash answer left it
		w.OldItem = Item{Loc: w.Found.Loc}
	}
	w.Found.describe(&w.OldItem)
}

// blind tells whether it makes no difference to w what there is.
func (w *Write) blind() bool { return w.Mode == Set && !w.Compare && !w.KeepCAS }

// update is what is to be written if there is no item.
func (w *Write) update(now uint32) update {
	return update{
		key: w.Key, head: w.Value, flags: w.Flags, exptime: w.Exptime, cas: w.NewCAS, state: w.State,
		atime: now, now: now,
	}
}

// tooLarge tells whether a value may not be stored. One that has grown is counted
// with its key, as the writer of a whole value does.
func (w *Write) tooLarge(u *update, most int) bool {
	n := u.size()
	if w.Mode == Append || w.Mode == Prepend {
		n += len(u.key)
	}
	return n > most
}

// plan decides by what there is, and makes u what is to be written.
func (w *Write) plan(u *update, was before) Status {
	if !was.there {
		return w.planNew(u)
	}
	late := false
	switch {
	case w.Mode == Add:
		return NotStored
	case (w.Mode == Incr || w.Mode == Decr) && len(was.value) == 0:
		return NotNumeric
	case !w.Compare || w.Expect == was.cas:
	case w.AllowLate && w.Mode <= Replace && w.Expect < was.cas:
		late = true
	default:
		return Exists
	}
	if w.Mode <= Replace {
		if late {
			u.state, u.keepExptime = Stale|was.state&TokenSent, true
		}
		if w.KeepCAS {
			u.cas = was.cas
		}
		return Stored
	}
	u.flags, u.keepExptime = was.flags, !w.SetExptime
	return w.planChange(u, was)
}

// planNew decides when there is no item.
func (w *Write) planNew(u *update) Status {
	switch w.Mode {
	case Add:
		return Stored
	case Set, Replace:
		switch {
		case w.Compare:
			return NotFound
		case w.Mode == Replace:
			return NotStored
		}
		return Stored
	case Invalidate, Claim:
		return NotFound
	}
	u.state, u.exptime = 0, w.VivifyExptime
	number := w.Mode == Incr || w.Mode == Decr
	switch {
	case !w.Vivify && number:
		return NotFound
	case !w.Vivify:
		return NotStored
	case number:
		w.Number = w.Initial
		u.count(w.Initial, 0)
	}
	return Stored
}

// planChange makes of an item's value and state what the mode says.
func (w *Write) planChange(u *update, was before) Status {
	switch w.Mode {
	case Append:
		u.head, u.tail, u.state = was.value, w.Value, 0
	case Prepend:
		u.head, u.tail, u.state = w.Value, was.value, 0
	case Incr, Decr:
		n, ok := ParseNumber(was.value)
		if !ok {
			return NotNumeric
		}
		w.Number = Advance(n, w.Delta, w.Mode == Decr)
		u.count(w.Number, len(was.value))
		// As in memcached, a number that became longer is a new value, and has no
		// state.
		if u.state = 0; u.width == len(was.value) {
			u.state, u.keepState = was.state, true
		}
	case Invalidate:
		u.keep(was)
		u.state = u.state&^TokenSent | Stale
	case Claim:
		if was.state&TokenSent != 0 {
			return NotStored
		}
		u.keep(was)
		u.state |= TokenSent
		u.cas = was.cas
	}
	return Stored
}
