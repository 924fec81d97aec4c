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

// touched journals that the record at a expires at exptime.
func (c *Cache) touched(a flashtier.Addr, exptime uint32) {
	c.flash.Touched(a, exptime)
	if was, ok := c.twinOf(a); ok {
		c.flash.Touched(was, exptime)
	}
}
