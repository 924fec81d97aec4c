package hearth

import (
	"sync/atomic"

	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/ioq"
	"github.com/hearthcache/hearth/memtier"
)

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
// returned, brings it. Find never blocks and allocates only to grow dst.
func (c *Cache) Find(key, dst []byte) ([]byte, Meta, Status) {
	h, now := c.mem.Hash(key), c.now.Load()
	out, it, st := c.mem.Get(h, key, dst, now)
	switch st {
	case memtier.Hit:
		c.count.hitsRAM.Add(1)
		return out, metaOf(&it, now), Hit
	case memtier.OnFlash:
		return c.findHot(h, key, out, it, now, false)
	case memtier.Expired:
		c.expired(it)
	}
	c.count.misses.Add(1)
	return out, Meta{}, Miss
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
func (c *Cache) FindWith(key []byte, a Access, dst []byte) (out []byte, m Meta, st Status) {
	switch {
	case a.Touch:
		out, m, st = c.findTouch(key, a, dst)
	case a.Peek:
		return c.findPeek(key, dst)
	default:
		return c.Find(key, dst)
	}
	switch st {
	case Hit:
		c.count.gatHits.Add(1)
	case Miss:
		c.count.gatMisses.Add(1)
	}
	return out, m, st
}

func (c *Cache) findTouch(key []byte, a Access, dst []byte) ([]byte, Meta, Status) {
	look := memtier.WithValue | memtier.AsRead
	if a.Peek {
		look = memtier.WithValue
	}
	now := c.now.Load()
	out, it, st := c.mem.Touch(c.mem.Hash(key), key, dst, a.Exptime, now, look)
	out, m, is := c.settle(out, &it, st, now)
	if is == Hit {
		m.Exptime = a.Exptime
	}
	return out, m, is
}

func (c *Cache) findPeek(key, dst []byte) ([]byte, Meta, Status) {
	h, now := c.mem.Hash(key), c.now.Load()
	out, it, st := c.mem.GetQuiet(h, key, dst, now)
	if st == memtier.OnFlash {
		return c.findHot(h, key, out, it, now, true)
	}
	return c.settle(out, &it, st, now)
}

// settle counts what came of a lookup in RAM.
func (c *Cache) settle(out []byte, it *memtier.Item, st memtier.Status, now uint32) ([]byte, Meta, Status) {
	switch st {
	case memtier.Hit:
		c.count.hitsRAM.Add(1)
		return out, metaOf(it, now), Hit
	case memtier.OnFlash:
		return out, metaOf(it, now), Pending
	case memtier.Expired:
		c.expired(*it)
	}
	c.count.misses.Add(1)
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

// Lookup is one key's value on its way from flash. It may be used again once it
// is done; it must not be copied while it is under way.
type Lookup struct {
	flight
	meta   Meta
	key    []byte
	access Access
}

// Start submits the read of a key for which Find returned Pending and m. n is
// notified with tag whenever Step can go on. The key is copied.
func (l *Lookup) Start(c *Cache, key []byte, m Meta, n ioq.Notifier, tag uint64) {
	l.StartWith(c, key, Access{}, m, n, tag)
}

// StartTouch is Start after FindTouch: the value's expiry time is set when the
// record proves to be the key's.
func (l *Lookup) StartTouch(c *Cache, key []byte, exptime uint32, m Meta, n ioq.Notifier, tag uint64) {
	l.StartWith(c, key, Access{Touch: true, Exptime: exptime}, m, n, tag)
}

// StartWith is Start after FindWith with the same Access.
func (l *Lookup) StartWith(c *Cache, key []byte, a Access, m Meta, n ioq.Notifier, tag uint64) {
	l.flight = flight{c: c, n: n, tag: tag, hash: c.mem.Hash(key)}
	l.key, l.meta, l.access = append(l.key[:0], key...), m, a
	l.board(m.header)
}

// Key is the key that is looked up; it holds until the next Start.
func (l *Lookup) Key() []byte { return l.key }

// Step goes on as far as it can without blocking: Pending, or Hit with the
// value appended to dst, or Miss. A failed read is a Miss.
func (l *Lookup) Step(dst []byte) ([]byte, Meta, Status) {
	for {
		if l.read == nil {
			if out, m, st := l.look(dst); st != Pending || l.read == nil {
				return out, m, st
			}
		}
		if !l.read.Ready() || l.access.Touch && !l.mayTouch() {
			return dst, Meta{}, Pending
		}
		rec, how := l.finish(l.key)
		if how == landed {
			how = l.arrive(&rec)
		}
		if how == landed {
			dst = append(dst, rec.Value...)
		}
		l.land()
		switch how {
		case landed:
			return dst, l.meta, l.settled(Hit, &l.c.count.hitsFlash, &l.c.count.gatHits)
		case stranger, lost:
			return dst, Meta{}, l.settled(Miss, &l.c.count.misses, &l.c.count.gatMisses)
		}
	}
}

// mayTouch tells whether the journal has room for a changed expiry time, and if
// not has the lookup notified when there may be some.
func (l *Lookup) mayTouch() bool {
	if l.c.mayChange() {
		return true
	}
	l.c.room.join(l.n, l.tag)
	return l.c.mayChange()
}

func (l *Lookup) settled(st Status, n, ofTouch *atomic.Uint64) Status {
	n.Add(1)
	if l.access.Touch {
		ofTouch.Add(1)
	}
	return st
}

// arrive takes what the record says of the item, sets a touched item's expiry
// time, and offers a value that is read again to the hot values.
func (l *Lookup) arrive(rec *flashtier.Record) landing {
	a, h := &l.access, l.meta.header
	exptime := l.meta.Exptime
	if a.Touch {
		look := memtier.AsRead
		if a.Peek {
			look = 0
		}
		if exptime = a.Exptime; !l.c.mem.SetExptimeAt(l.hash, l.loc, exptime, look) {
			return moved
		}
		l.c.flash.Touched(l.addr, exptime)
	}
	now := l.c.now.Load()
	it := memtier.Item{
		Flags: rec.Flags, Exptime: exptime, CAS: rec.CAS, State: memtier.State(rec.State), Accessed: h.accessed,
		Atime: l.read.Created(), ValueLen: len(rec.Value), Loc: h.loc, Class: h.class,
	}
	before := l.meta.Exptime
	l.meta = metaOf(&it, now)
	l.meta.Before = before
	if l.c.hot && h.accessed && !a.Peek && l.c.hotGain.offers() {
		it.Atime = now
		l.c.count.promoted.Add(1)
		l.c.mem.HotPut(l.hash, l.key, l.loc, l.read.Version(), it, rec.Value)
	}
	return landed
}

// look asks the index once more, after a read that found its page gone or its
// slot changed, or that could not be started for want of a buffer.
func (l *Lookup) look(dst []byte) (out []byte, m Meta, st Status) {
	for {
		out, m, st = l.c.FindWith(l.key, l.access, dst)
		if st != Pending {
			l.wait.end(l.c)
			return out, m, st
		}
		l.meta = m
		if l.board(m.header) != gone {
			return dst, Meta{}, Pending
		}
	}
}
