package hearth

import (
	"github.com/hearthcache/hearth/ioq"
	"github.com/hearthcache/hearth/memtier"
)

// LargeValue is the length, in bytes, from which on a value has memory of its own,
// so that it may be received into that; see Change.Receive.
func (c *Cache) LargeValue() int { return c.mem.LargeValue() }

// Receive prepares a Set, an Add, a Replace or a CompareAndSwap for a Value of size
// bytes, at least LargeValue, that is still to come. Next says where its bytes are
// to go, and once it is complete Start stores it without a copy. Memory is taken as
// the value comes. Receive is followed by Start, by GiveUp or by Drop. While Next
// is Pending, n is notified with tag whenever it can go on.
func (ch *Change) Receive(c *Cache, size int, n ioq.Notifier, tag uint64) {
	ch.flight = flight{c: c, n: n, tag: tag, hash: c.mem.Hash(ch.Key)}
	ch.coming = size
}

// Next is where the next bytes of the value go, which is called once those of the
// last call are filled. It is Stored, with none after the last; or Pending, if
// there is no memory now; or TooLarge or NoRoom: then the value is not wanted, and
// GiveUp has to be told so.
func (ch *Change) Next() ([]byte, Status) {
	if len(ch.Key)+ch.coming > ch.c.opts.MaxItem {
		return nil, TooLarge
	}
	for retried := false; ; retried = true {
		piece, st := ch.nextPiece()
		switch {
		case st == memtier.Stored:
			ch.wait.end(ch.c)
			return piece, Stored
		case st == memtier.TooLarge:
			return nil, TooLarge
		case retried:
			return nil, Pending
		case !ch.wait.wait(ch.c):
			return nil, NoRoom
		}
		ch.c.room.join(ch.n, ch.tag) // and try once more: room made before is not told
	}
}

func (ch *Change) nextPiece() ([]byte, memtier.Status) {
	r := &ch.w.Received
	if r.Value() == nil {
		var st memtier.Status
		if *r, st = ch.c.mem.Receive(ch.Key, ch.coming, ch.c.now.Load()); st != memtier.Stored {
			return nil, st
		}
		ch.Value = r.Value()
	}
	return r.Next()
}

// GiveUp ends a change whose value is not wanted, as Next has said, and returns
// why. A set takes the old value with it.
func (ch *Change) GiveUp(why Status) Status {
	ch.Number, ch.CAS, ch.w.OldItem, ch.w.NewItem = 0, 0, memtier.Item{}, memtier.Item{}
	if why == TooLarge {
		return ch.tooLarge()
	}
	return ch.noRoom()
}

// Drop ends a change whose value did not come: nothing has changed.
func (ch *Change) Drop() {
	ch.wait.end(ch.c)
	ch.w.Received.Drop()
	ch.c.room.signal()
}
