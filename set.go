package hearth

import (
	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/ioq"
	"github.com/hearthcache/hearth/memtier"
)

// Verb is what a Change does.
type Verb uint8

// The changes.
const (
	Set     Verb = iota + 1
	Add          // only if the key is absent
	Replace      // only if the key is present
	Append       // to the value, keeping flags and expiry
	Prepend      // to the value, keeping flags and expiry
	CompareAndSwap
	Incr
	Decr
	Touch
	Delete
)

// Change is one change of one key, in RAM or on flash alike. The caller fills
// the first group of fields, calls Start, and Step until it is not Pending. It
// may be used again then; it must not be copied while it is under way.
type Change struct {
	Verb    Verb
	Key     []byte // 1 to 250 bytes; this and Value hold until the change is done
	Value   []byte
	Flags   uint32
	Exptime uint32 // Unix seconds; 0 means never
	Expect  uint64 // of CompareAndSwap: the CAS that the item must have
	Delta   uint64 // of Incr and Decr

	// Number is the new value after Incr or Decr.
	Number uint64
	// CAS is the item's after the change.
	CAS uint64

	flight
	w      memtier.Write
	header memtier.Item // where the value was found on flash
	joined []byte       // the value after an append, prepend, incr or decr on flash
}

// Start begins the change and goes on as far as it can without blocking. While
// it is Pending, n is notified with tag whenever Step can go on.
func (ch *Change) Start(c *Cache, n ioq.Notifier, tag uint64) Status {
	ch.flight = flight{c: c, n: n, tag: tag, hash: c.mem.Hash(ch.Key)}
	if len(ch.Key)+len(ch.Value) > c.opts.MaxItem {
		return ch.tooLarge()
	}
	return ch.Step()
}

// noRoom gives up. A set takes the old value with it, as in memcached: better
// none than one that the client believes replaced.
func (ch *Change) noRoom() Status {
	ch.wait.end(ch.c)
	if ch.Verb == Set {
		ch.drop()
	}
	return ch.counted(NoRoom)
}

// Refuse is Start for a value that exceeds Options.MaxItem and was not read.
func (ch *Change) Refuse(c *Cache) Status {
	ch.flight = flight{c: c, hash: c.mem.Hash(ch.Key)}
	return ch.tooLarge()
}

// tooLarge refuses the value. A set takes the old value with it.
func (ch *Change) tooLarge() Status {
	if ch.Verb == Set {
		ch.drop()
	}
	return ch.counted(TooLarge)
}

func (ch *Change) drop() {
	if it, st := ch.c.mem.Delete(ch.hash, ch.Key, ch.c.now.Load()); st == memtier.Deleted {
		ch.c.died(it)
	}
}

// Step goes on as far as it can without blocking.
func (ch *Change) Step() Status {
	for retried := false; ; {
		st, done := ch.attempt()
		switch {
		case done:
			ch.wait.end(ch.c)
			return ch.counted(statusOf[st])
		case st == memtier.OnFlash:
			return Pending
		case st != memtier.NoRoom:
			continue
		case retried:
			return Pending
		case !ch.wait.wait(ch.c):
			return ch.noRoom()
		}
		ch.c.room.join(ch.n, ch.tag)
		retried = true // room made before join was not told to us
	}
}

// attempt tries the change once, in RAM or with the record that was read. If
// it is not done, the status says why: OnFlash if a read is under way or wants
// a buffer, NoRoom, or Changed if the index has to be asked again.
func (ch *Change) attempt() (st memtier.Status, done bool) {
	if ch.read == nil {
		if !ch.c.mayChange() {
			return memtier.NoRoom, false
		}
		st = ch.inRAM()
		if st != memtier.OnFlash {
			return st, st != memtier.NoRoom
		}
		if ch.board(&ch.header) == gone {
			return memtier.Changed, false
		}
	}
	if ch.read == nil || !ch.read.Ready() {
		return memtier.OnFlash, false
	}
	rec, how := ch.finish(ch.Key)
	switch how {
	case landed:
		st = ch.onRecord(&rec)
	case stranger:
		st = ch.onStranger()
	default:
		st = memtier.Changed
	}
	// The pin is held until the slot has been changed: it keeps the page, and so
	// the address that the slot is compared with, from being used again. It is
	// not held while waiting for room, which may need this very page.
	ch.land()
	return st, st != memtier.Changed && st != memtier.NoRoom
}

// inRAM tries the change on index and segments alone: OnFlash if the answer
// depends on a record, whose header it notes.
func (ch *Change) inRAM() (st memtier.Status) {
	mem, now := ch.c.mem, ch.c.now.Load()
	switch ch.Verb {
	case Incr, Decr:
		cas := ch.c.nextCAS()
		ch.Number, ch.header, st = mem.Incr(ch.hash, ch.Key, ch.Delta, ch.Verb == Decr, cas, 0, now)
		ch.CAS = cas
	case Touch:
		_, ch.header, st = mem.Touch(ch.hash, ch.Key, nil, ch.Exptime, now, false)
	case Delete:
		ch.header, st = mem.Delete(ch.hash, ch.Key, now)
	default:
		st = ch.store(memtier.Write{
			Value: ch.Value, Flags: ch.Flags, Exptime: ch.Exptime, Mode: modeOf[ch.Verb], Expect: ch.Expect,
		})
		if st == memtier.TooLarge && (ch.Verb == Append || ch.Verb == Prepend) {
			st = memtier.NotStored // together they are too large, and the old value stays
		}
		return st
	}
	switch st {
	case memtier.Deleted:
		ch.c.died(ch.header)
	case memtier.Expired, memtier.NotFound: // not found: it had expired, or is nowhere
		ch.c.lapsed(ch.header)
	}
	return st
}

var modeOf = [...]memtier.Mode{
	Set: memtier.Set, Add: memtier.Add, Replace: memtier.Replace,
	Append: memtier.Append, Prepend: memtier.Prepend, CompareAndSwap: memtier.CAS,
}

// store carries out the write w of the change's key.
func (ch *Change) store(w memtier.Write) memtier.Status {
	w.Hash, w.Key, w.NewCAS = ch.hash, ch.Key, ch.c.nextCAS()
	ch.w, ch.CAS = w, w.NewCAS
	st := ch.c.mem.Store(&ch.w, ch.c.now.Load())
	ch.header = ch.w.OldItem
	if ch.w.HasDisplaced {
		ch.c.journalDead(addrOf(ch.w.Displaced, ch.w.DisplacedClass))
	}
	return st
}

// storeAt stores what the client sent in place of the record that was read.
func (ch *Change) storeAt() memtier.Status {
	return ch.store(memtier.Write{Value: ch.Value, Flags: ch.Flags, Exptime: ch.Exptime, At: ch.loc})
}

// rewrite stores the record with another value.
func (ch *Change) rewrite(rec *flashtier.Record) memtier.Status {
	return ch.store(memtier.Write{Value: ch.joined, Flags: rec.Flags, KeepExptime: true, At: ch.loc})
}

// onRecord decides the change by the key's record on flash.
func (ch *Change) onRecord(rec *flashtier.Record) memtier.Status {
	switch ch.Verb {
	case Add:
		return memtier.NotStored
	case CompareAndSwap:
		if rec.CAS != ch.Expect {
			return memtier.Exists
		}
	case Append:
		return ch.join(rec, rec.Value, ch.Value)
	case Prepend:
		return ch.join(rec, ch.Value, rec.Value)
	case Incr, Decr:
		return ch.add(rec)
	case Touch:
		if !ch.c.mem.SetExptimeAt(ch.hash, ch.loc, ch.Exptime) {
			return memtier.Changed
		}
		ch.c.flash.Touched(ch.addr, ch.Exptime)
		return memtier.Hit
	}
	return ch.storeAt()
}

// onStranger decides the change when the slot is another key's: this key is
// absent, and storing it takes the other's slot.
func (ch *Change) onStranger() memtier.Status {
	switch ch.Verb {
	case Add, Set:
		return ch.storeAt()
	case Replace, Append, Prepend:
		return memtier.NotStored
	}
	return memtier.NotFound
}

// join stores head and tail together in the record's place.
func (ch *Change) join(rec *flashtier.Record, head, tail []byte) memtier.Status {
	if len(ch.Key)+len(head)+len(tail) > ch.c.opts.MaxItem {
		return memtier.NotStored
	}
	ch.joined = append(append(ch.joined[:0], head...), tail...)
	return ch.rewrite(rec)
}

// add stores the record's number plus or minus Delta in its place. As in
// memcached, a shorter number keeps the old length with spaces behind it.
func (ch *Change) add(rec *flashtier.Record) memtier.Status {
	n, ok := memtier.ParseNumber(rec.Value)
	if !ok {
		return memtier.NotNumeric
	}
	ch.Number = memtier.Advance(n, ch.Delta, ch.Verb == Decr)
	ch.joined = memtier.AppendNumber(ch.joined[:0], ch.Number, len(rec.Value))
	return ch.rewrite(rec)
}

// counted counts the outcome of the change and returns it.
func (ch *Change) counted(st Status) Status {
	ch.c.count.outcomes[ch.Verb][st].Add(1)
	return st
}

var statusOf = [...]Status{
	memtier.Hit:    Touched,
	memtier.Stored: Stored, memtier.NotStored: NotStored, memtier.Exists: Exists,
	memtier.Miss: NotFound, memtier.Expired: NotFound, memtier.NotFound: NotFound,
	memtier.Deleted: Deleted, memtier.NotNumeric: NotNumeric, memtier.TooLarge: TooLarge,
}
