package hearth

import (
	"cmp"
	"slices"

	"github.com/hearthcache/hearth/flashtier"
)

// twins are records that are on flash twice, because they have just been moved:
// until the old address is dead, what is journaled of the new one has to be
// journaled of the old one, too, or a crash could bring the old one back. They are
// never changed, so that no lock is needed to look.
type twins struct {
	version uint32 // of the page of the old addresses
	list    []twin // by new address
}

type twin struct{ to, was flashtier.Addr }

// newTwins makes twins of moves, which are in the order of their new addresses.
func newTwins(flash *devices, moves []move) *twins {
	t := &twins{version: flash.Version(moves[0].was), list: make([]twin, len(moves))}
	for i, m := range moves {
		t.list[i] = twin{m.to, m.was}
	}
	return t
}

// twinOf is the old address of the record at a, if it has one. That its page has
// not changed lives is checked because whoever asks may have been held up since it
// loaded the twins.
func (c *Cache) twinOf(a flashtier.Addr) (was flashtier.Addr, ok bool) {
	t := c.twins.Load()
	if t == nil {
		return 0, false
	}
	i, ok := slices.BinarySearchFunc(t.list, a.Place(), func(w twin, place uint64) int { return cmp.Compare(w.to.Place(), place) })
	if !ok || c.flash.Version(t.list[i].was) != t.version {
		return 0, false
	}
	return t.list[i].was, true
}

// bury journals the death of the record at a for its old address, if it has one.
// Whoever drops a slot without journaling what it pointed at calls this, unless a
// restart would drop the record by itself.
func (c *Cache) bury(a flashtier.Addr) {
	if was, ok := c.twinOf(a); ok {
		c.flash.Buried(was)
	}
}

// buryAll is bury for all records on d, which has been taken out. Those that get
// twins from now on are not moved there; see ship.
func (c *Cache) buryAll(d *device) {
	t := c.twins.Load()
	if t == nil {
		return
	}
	for _, w := range t.list {
		if on, _ := c.flash.at(w.to); on == d && c.flash.Version(w.was) == t.version {
			c.flash.Buried(w.was)
		}
	}
}

// touched journals that the record at a expires at exptime.
func (c *Cache) touched(a flashtier.Addr, exptime uint32) {
	c.flash.Touched(a, exptime)
	if was, ok := c.twinOf(a); ok {
		c.flash.Touched(was, exptime)
	}
}
