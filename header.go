package hearth

import (
	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/memtier"
)

// A header is an index slot that stands for a record on flash. This file is all
// that knows how the address of a record is kept in one: the low 40 bits of the
// location are the flash address, and the slot's size class is how much a read
// must fetch. The address is one among those of all devices (devices.go). The page's version is not in the slot: reclaim takes a page's
// slots away before the page is used again (reclaim.go), and a reader that
// loaded its slot before that finds, once it has the page pinned, either the
// same version or a record that fails the check of its version or its key.

// header is what a lookup takes from the slot of a record on flash.
type header struct {
	loc      memtier.Loc
	class    uint8
	accessed bool // before this lookup, since it was written
}

func headerOf(it *memtier.Item) header { return header{it.Loc, it.Class, it.Accessed} }

func (h header) addr() flashtier.Addr { return addrOf(h.loc, h.class) }

// itemOn is what slot and record together say of an item on flash.
func itemOn(rec *flashtier.Record, slot memtier.Item) memtier.Item {
	slot.Flags, slot.CAS, slot.State, slot.ValueLen = rec.Flags, rec.CAS, memtier.State(rec.State), len(rec.Value)
	return slot
}

// addrOf unpacks the flash address of a header.
func addrOf(loc memtier.Loc, class uint8) flashtier.Addr {
	return flashtier.NewAddr(loc.Units(), class)
}

// locOf packs a flash address into a slot's location and size class.
func locOf(a flashtier.Addr) (memtier.Loc, uint8) {
	return memtier.FlashLoc(a.Place()), a.Class()
}
