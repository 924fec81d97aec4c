package hearth

import "github.com/hearthcache/hearth/memtier"

// Observer hears what a cache does by itself. Its methods are called on many
// goroutines and must not block.
type Observer interface {
	// Left tells of an item that leaves RAM, for want of room or for
	// Options.FlashAge. What l holds is good only during the call.
	Left(l *Leaving)
	// Promoted tells of a value read from flash again that is offered to the hot
	// values, which may turn it down. It is called by who reads; the key is good only
	// during the call.
	Promoted(key []byte, m Meta)
	// Reclaimed tells that a page of the flash tier was freed, and so many items
	// went with it.
	Reclaimed(page int, items uint64)
}

// Leaving is an item that leaves RAM. Should it have been changed meanwhile, the
// change stands.
type Leaving struct {
	Key     []byte
	Meta    Meta
	ToFlash bool // it is on its way to flash, and not gone
}

// left tells the observer, if there is one, of the record that v is at.
func (d *demoter) left(v *memtier.Victim, it *memtier.Item, toFlash bool) {
	if o := d.c.opts.Observer; o != nil {
		d.leaving = Leaving{Key: v.Key(), Meta: metaOf(it, d.c.now.Load()), ToFlash: toFlash}
		o.Left(&d.leaving)
	}
}
