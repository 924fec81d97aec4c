package hearth

import (
	"sync/atomic"

	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/ioq"
	"github.com/hearthcache/hearth/memtier"
)

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
	l.board(m.header, false)
}

// Key is the key that is looked up; it holds until the next Start.
func (l *Lookup) Key() []byte { return l.key }

// Step goes on as far as it can without blocking: Pending, or Hit with the
// value appended to dst, or Miss. A failed read is a Miss. Who has several lookups
// under way and takes them in order steps only the first that is not done: what
// waits for a read buffer gets one in the end that way, though those behind it
// hold all there are.
func (l *Lookup) Step(dst []byte) ([]byte, Meta, Status) { return l.StepBorrow(dst, nil) }

// StepBorrow is Step that may lend the value, if loan is not nil, as Borrow does.
func (l *Lookup) StepBorrow(dst []byte, loan *Loan) ([]byte, Meta, Status) {
	for {
		if l.read == nil {
			if out, m, st := l.look(dst, loan); st != Pending || l.read == nil {
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
		switch {
		case how != landed:
			l.land()
		case loan != nil && len(rec.Value) >= l.c.mem.LargeValue():
			l.lend(rec.Value, loan)
		default:
			dst = append(dst, rec.Value...)
			l.land()
		}
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
		l.c.touched(l.addr, exptime)
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
		if o := l.c.opts.Observer; o != nil {
			o.Promoted(l.key, l.meta)
		}
	}
	return landed
}

// look asks the index once more, after a read that found its page gone or its
// slot changed, or that could not be started for want of a buffer.
func (l *Lookup) look(dst []byte, loan *Loan) (out []byte, m Meta, st Status) {
	for {
		out, m, st = l.c.BorrowWith(l.key, l.access, dst, loan)
		if st != Pending {
			l.wait.end(l.c)
			return out, m, st
		}
		if m.header.loc == l.meta.header.loc { // this lookup is not what it was read by
			m.header.accessed = l.meta.header.accessed
		}
		l.meta = m
		if l.board(m.header, true) != gone {
			return dst, Meta{}, Pending
		}
	}
}
