package hearth

import "github.com/hearthcache/hearth/memtier"

// Meta is what belongs to a value beside its bytes.
type Meta struct {
	Flags   uint32 // the client's
	Exptime uint32 // Unix seconds after which the item is gone; 0 means never
	Before  uint32 // Exptime before this access set it
	CAS     uint64
	Size    int // of the value, bytes
	// Age is how many seconds ago the item was last read or written, this access
	// not counted; a restart counts as a write. Of a value on flash that has no hot
	// copy that is not known: Age is then the time since the page that it lies on
	// was begun.
	Age uint32
	// Fetched says that the item was read or touched before this access, since it
	// was stored. What was read on flash only is taken for unread after a restart.
	Fetched   bool
	Stale     bool // invalidated: the value may be out of date
	TokenSent bool // a Claim has succeeded since the item was stored or invalidated

	header header
}

// Status is the outcome of a lookup or a change.
type Status uint8

// The outcomes. Pending is none: the operation goes on with Step.
const (
	Pending Status = iota
	Hit
	Miss
	Stored
	NotStored // the condition of an add, replace, append or prepend does not hold
	Exists    // the CAS differs
	NotFound
	Touched
	Deleted
	NotNumeric
	TooLarge
	NoRoom // Options.Backpressure has passed without room for the value
)

// Find looks key up in RAM. On a Hit the value is appended to dst. Pending
// means that the value is on flash: a Lookup, started with the Meta that Find
// returned, brings it. Of a Miss, Meta is zero, but for the expiry time of an item
// that was found past it. Find never blocks and allocates only to grow dst.
func (c *Cache) Find(key, dst []byte) ([]byte, Meta, Status) { return c.Borrow(key, dst, nil) }

// Borrow is Find that may lend the value, if loan is not nil: then loan.Lent is true
// and dst as it was, and Return has to be called. That is so with values of at least
// LargeValue in RAM, unless half of the memory for values is lent or being received.
func (c *Cache) Borrow(key, dst []byte, loan *Loan) ([]byte, Meta, Status) {
	h, now := c.mem.Hash(key), c.now.Load()
	out, it, st := c.mem.Get(h, key, dst, now, loan.of(c))
	if st == memtier.OnFlash {
		return c.findHot(h, key, out, it, now, false)
	}
	return c.settle(out, &it, st, now)
}

// Warm has the processor fetch what Find will touch for these keys, so that
// several lookups in a row wait for memory once. It changes nothing.
func (c *Cache) Warm(keys [][]byte) {
	var hashes [16]uint64
	for len(keys) > 0 {
		n := min(len(keys), len(hashes))
		for i, key := range keys[:n] {
			hashes[i] = c.mem.Hash(key)
		}
		c.mem.Warm(hashes[:n])
		keys = keys[n:]
	}
}

// Access is what a lookup does to the item beside reading it. The zero value is
// what Find does.
type Access struct {
	// Peek leaves no trace: the item does not count as read.
	Peek bool
	// Touch sets the expiry time to Exptime, in Unix seconds, 0 for never.
	Touch   bool
	Exptime uint32
}

// FindTouch is Find that also sets the item's expiry time.
func (c *Cache) FindTouch(key []byte, exptime uint32, dst []byte) ([]byte, Meta, Status) {
	return c.FindWith(key, Access{Touch: true, Exptime: exptime}, dst)
}

// FindWith is Find with a say in what it does to the item.
func (c *Cache) FindWith(key []byte, a Access, dst []byte) ([]byte, Meta, Status) {
	return c.BorrowWith(key, a, dst, nil)
}

// BorrowWith is Borrow with a say in what it does to the item.
func (c *Cache) BorrowWith(key []byte, a Access, dst []byte, loan *Loan) (out []byte, m Meta, st Status) {
	switch {
	case a.Touch:
		out, m, st = c.findTouch(key, a, dst, loan)
	case a.Peek:
		return c.findPeek(key, dst, loan)
	default:
		return c.Borrow(key, dst, loan)
	}
	switch st {
	case Hit:
		c.count.gatHits.Add(1)
	case Miss:
		c.count.gatMisses.Add(1)
	}
	return out, m, st
}

func (c *Cache) findTouch(key []byte, a Access, dst []byte, loan *Loan) ([]byte, Meta, Status) {
	look := memtier.WithValue | memtier.AsRead
	if a.Peek {
		look = memtier.WithValue
	}
	now := c.now.Load()
	out, it, st := c.mem.Touch(c.mem.Hash(key), key, dst, a.Exptime, now, look, loan.of(c))
	out, m, is := c.settle(out, &it, st, now)
	if is == Hit {
		m.Exptime = a.Exptime
	}
	return out, m, is
}

func (c *Cache) findPeek(key, dst []byte, loan *Loan) ([]byte, Meta, Status) {
	h, now := c.mem.Hash(key), c.now.Load()
	out, it, st := c.mem.GetQuiet(h, key, dst, now, loan.of(c))
	if st == memtier.OnFlash {
		return c.findHot(h, key, out, it, now, true)
	}
	return c.settle(out, &it, st, now)
}

// settle gives what came of a lookup in RAM, which the RAM tier has counted.
func (c *Cache) settle(out []byte, it *memtier.Item, st memtier.Status, now uint32) ([]byte, Meta, Status) {
	switch st {
	case memtier.Hit:
		return out, metaOf(it, now), Hit
	case memtier.OnFlash:
		return out, metaOf(it, now), Pending
	case memtier.Expired:
		return out, c.expired(*it), Miss
	}
	return out, Meta{}, Miss
}

// findHot asks the hot values for a copy of the record that it is the header of.
func (c *Cache) findHot(h uint64, key, dst []byte, it memtier.Item, now uint32, peek bool) ([]byte, Meta, Status) {
	if c.hot && c.hotGain.tries() {
		version, stamp := c.flash.Version(addrOf(it.Loc, it.Class)), now
		if peek {
			stamp = 0
		}
		if out, hot, ok := c.mem.HotGet(h, key, it.Loc, version, dst, stamp); ok {
			c.count.hitsHot.Add(1)
			c.hotGain.hits.Add(1)
			hot.Exptime, hot.Accessed = it.Exptime, it.Accessed
			return out, metaOf(&hot, now), Hit
		}
	}
	c.mem.Missed(h)
	return dst, metaOf(&it, now), Pending
}

func metaOf(it *memtier.Item, now uint32) Meta {
	return Meta{
		Flags: it.Flags, Exptime: it.Exptime, Before: it.Exptime, CAS: it.CAS, Size: it.ValueLen, Age: max(now, it.Atime) - it.Atime,
		Fetched: it.Accessed || it.State&memtier.Fetched != 0,
		Stale:   it.State&memtier.Stale != 0, TokenSent: it.State&memtier.TokenSent != 0,
		header: headerOf(it),
	}
}
