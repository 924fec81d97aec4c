package hearth

import (
	"errors"

	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/ioq"
	"github.com/hearthcache/hearth/memtier"
)

// flight is the way of one record from flash to the operation that asked for
// it. An operation holds at most one read at a time, and every read that was
// started is landed, or its page stays pinned.
type flight struct {
	c    *Cache
	n    ioq.Notifier
	tag  uint64
	hash uint64
	loc  memtier.Loc
	addr flashtier.Addr
	read *flashtier.Read
	wait patience
}

// launch is what became of an attempt to start a read.
type launch uint8

const (
	launched launch = iota // the read is under way
	busy                   // no read buffer is free: wait for room
	gone                   // the page is being reclaimed: look at the index again
)

// board submits the read of the record that h stands for. When it reports gone
// the header has been dropped. It is urgent if nothing else is finished before:
// those that wait for it may hold all other read buffers.
func (f *flight) board(h header, urgent bool) launch {
	how := f.start(h, urgent)
	if how == busy {
		f.wait.wait(f.c)
		f.c.room.join(f.n, f.tag)
		how = f.start(h, urgent) // room made before join was not told to us
	}
	switch how {
	case launched:
		f.wait.end(f.c)
	case gone:
		if f.c.mem.DeleteAt(f.hash, h.loc) {
			f.c.journalDead(h.addr())
			f.c.count.missEvicted.Add(1)
		}
	}
	return how
}

func (f *flight) start(h header, urgent bool) launch {
	addr := h.addr()
	r, err := f.c.flash.StartRead(addr, f.n, f.tag, urgent)
	switch {
	case err == nil:
		f.loc, f.addr, f.read = h.loc, addr, r
		return launched
	case errors.Is(err, flashtier.ErrBusy):
		return busy
	}
	return gone
}

// landing is what a finished read tells about the key.
type landing uint8

const (
	landed   landing = iota // the record is the key's
	stranger                // the slot is another key's whose hash is the same
	moved                   // the slot has changed since: look at the index again
	lost                    // the record is bad; its header has been dropped
)

// finish checks a read that is ready. The record's slices hold until land.
func (f *flight) finish(key []byte) (flashtier.Record, landing) {
	rec, err := f.read.Finish(key)
	if err == nil {
		return rec, landed
	}
	// A page that was reclaimed between the look at the slot and the pin gives
	// the same errors as a bad record; the slot, gone by now, tells them apart.
	if f.c.mem.LocOf(f.hash) != f.loc {
		return rec, moved
	}
	if errors.Is(err, flashtier.ErrKey) {
		f.c.count.collisions.Add(1)
		return rec, stranger
	}
	if f.c.mem.DeleteAt(f.hash, f.loc) {
		f.c.journalDead(f.addr)
	}
	f.c.count.missBadRecord.Add(1)
	return rec, lost
}

// lend unpins the read's page and lends the value that it has brought.
func (f *flight) lend(value []byte, loan *Loan) {
	f.read.Lend(value)
	loan.c, loan.read = f.c, f.read
	f.read = nil
	f.c.room.signal()
}

// land gives the read's buffer back and unpins its page.
func (f *flight) land() {
	f.read.Release()
	f.read = nil
	f.c.room.signal()
}
