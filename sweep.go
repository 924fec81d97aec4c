package hearth

import "github.com/hearthcache/hearth/memtier"

// An item's class says how much RAM it takes, for statistics: Stats.Mem.Classes
// counts items by it. FlashClass is of all that are on flash.
const (
	FlashClass = memtier.FlashClass
	Classes    = memtier.Classes
)

// Departures are the items of a class that were dropped.
type Departures = memtier.Departures

// ClassOf is the class of an item in RAM with so long a key and value, in bytes.
func ClassOf(keyLen, valueLen int) int { return memtier.ClassOf(keyLen, valueLen) }

// ClassBytes is the most RAM that an item of class takes, in bytes.
func ClassBytes(class int) int { return memtier.ClassBytes(class) }

// Sweep drops the items past their expiry time in a part of the cache, of which it
// has looked at checked. Parts are counted from 0; it is false past the last. Items
// that have expired are never found, and leave within a minute or so unless
// Options.NoSweep is set, so nobody has to call this: it makes their room free at
// once. Only items of a class in which are dropped, or any if that is nil.
func (c *Cache) Sweep(part int, which func(class int) bool) (checked, dropped int, ok bool) {
	_, checked, dropped, ok = c.sweep(part, which, nil)
	return checked, dropped, ok
}

// sweep is Sweep with space for what went from flash.
func (c *Cache) sweep(part int, which func(class int) bool, space []memtier.Item) (gone []memtier.Item, checked, dropped int, ok bool) {
	gone, checked, dropped, ok = c.mem.Sweep(part, which, c.now.Load(), space)
	for _, it := range gone {
		c.lapsed(it)
	}
	return gone, checked, dropped, ok
}
