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
	CAS     uint64
	header  memtier.Item
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
	h := c.mem.Hash(key)
	out, it, st := c.mem.Get(h, key, dst, c.now.Load())
	switch st {
	case memtier.Hit:
		c.count.hitsRAM.Add(1)
		return out, metaOf(it), Hit
	case memtier.OnFlash:
		return c.findHot(h, key, out, it)
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

// FindTouch is Find that also sets the item's expiry time.
func (c *Cache) FindTouch(key []byte, exptime uint32, dst []byte) ([]byte, Meta, Status) {
	h := c.mem.Hash(key)
	out, it, st := c.mem.Touch(h, key, dst, exptime, c.now.Load(), true)
	switch st {
	case memtier.Hit:
		c.count.gatHits.Add(1)
		c.count.hitsRAM.Add(1)
		return out, metaOf(it), Hit
	case memtier.OnFlash:
		return out, metaOf(it), Pending
	case memtier.Expired:
		c.expired(it)
	}
	c.count.gatMisses.Add(1)
	c.count.misses.Add(1)
	return out, Meta{}, Miss
}

// findHot asks the hot values for a copy of the record that it is the header of.
func (c *Cache) findHot(h uint64, key, dst []byte, it memtier.Item) ([]byte, Meta, Status) {
	if c.hot && c.hotGain.tries() {
		version := c.flash.Version(addrOf(it.Loc, it.Class))
		if out, hot, ok := c.mem.HotGet(h, key, it.Loc, version, dst); ok {
			c.count.hitsHot.Add(1)
			c.hotGain.hits.Add(1)
			hot.Exptime = it.Exptime
			return out, metaOf(hot), Hit
		}
	}
	return dst, metaOf(it), Pending
}

func metaOf(it memtier.Item) Meta {
	return Meta{Flags: it.Flags, Exptime: it.Exptime, CAS: it.CAS, header: it}
}

// Lookup is one key's value on its way from flash. It may be used again once it
// is done; it must not be copied while it is under way.
type Lookup struct {
	flight
	meta    Meta
	key     []byte
	exptime uint32
	touch   bool
}

// Start submits the read of a key for which Find returned Pending and m. n is
// notified with tag whenever Step can go on. The key is copied.
func (l *Lookup) Start(c *Cache, key []byte, m Meta, n ioq.Notifier, tag uint64) {
	l.flight = flight{c: c, n: n, tag: tag, hash: c.mem.Hash(key)}
	l.key, l.meta, l.touch = append(l.key[:0], key...), m, false
	l.board(&l.meta.header)
}

// StartTouch is Start after FindTouch: the value's expiry time is set when the
// record proves to be the key's.
func (l *Lookup) StartTouch(c *Cache, key []byte, exptime uint32, m Meta, n ioq.Notifier, tag uint64) {
	l.flight = flight{c: c, n: n, tag: tag, hash: c.mem.Hash(key)}
	l.key, l.meta, l.touch, l.exptime = append(l.key[:0], key...), m, true, exptime
	l.board(&l.meta.header)
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
		if !l.read.Ready() || l.touch && !l.mayTouch() {
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
	if l.touch {
		ofTouch.Add(1)
	}
	return st
}

// arrive takes what the record says of the item, sets a touched item's expiry
// time, and offers a value that is read again to the hot values.
func (l *Lookup) arrive(rec *flashtier.Record) landing {
	if l.touch && !l.c.mem.SetExptimeAt(l.hash, l.loc, l.exptime) {
		return moved
	}
	header := l.meta.header
	l.meta = Meta{Flags: rec.Flags, Exptime: header.Exptime, CAS: rec.CAS, header: header}
	if l.touch {
		l.c.flash.Touched(l.addr, l.exptime)
		l.meta.Exptime = l.exptime
	}
	if l.c.hot && header.Accessed && l.c.hotGain.offers() {
		l.c.count.promoted.Add(1)
		l.c.mem.HotPut(l.hash, l.key, l.loc, l.read.Version(), copyOf(rec), rec.Value)
	}
	return landed
}

// look asks the index once more, after a read that found its page gone or its
// slot changed, or that could not be started for want of a buffer.
func (l *Lookup) look(dst []byte) (out []byte, m Meta, st Status) {
	for {
		if l.touch {
			out, m, st = l.c.FindTouch(l.key, l.exptime, dst)
		} else {
			out, m, st = l.c.Find(l.key, dst)
		}
		if st != Pending {
			l.wait.end(l.c)
			return out, m, st
		}
		l.meta = m
		if l.board(&l.meta.header) != gone {
			return dst, Meta{}, Pending
		}
	}
}
