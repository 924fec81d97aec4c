package hearth

import (
	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/ioq"
	"github.com/hearthcache/hearth/memtier"
)

// Start begins the change and goes on as far as it can without blocking. While
// it is Pending, n is notified with tag whenever Step can go on.
func (ch *Change) Start(c *Cache, n ioq.Notifier, tag uint64) Status {
	ch.flight = flight{c: c, n: n, tag: tag, hash: c.mem.Hash(ch.Key)}
	ch.Number, ch.CAS, ch.w.OldItem, ch.w.NewItem = 0, 0, memtier.Item{}, memtier.Item{}
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
	ch.Number, ch.CAS, ch.w.OldItem, ch.w.NewItem = 0, 0, memtier.Item{}, memtier.Item{}
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
		if ch.board(headerOf(&ch.w.OldItem), true) == gone {
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
	mem, now, it := ch.c.mem, ch.c.now.Load(), &ch.w.OldItem
	switch {
	case ch.Verb == Touch:
		if _, *it, st = mem.Touch(ch.hash, ch.Key, nil, ch.Exptime, now, memtier.AsRead, nil); st == memtier.Hit {
			ch.touched(*it)
		}
	case !ch.deletes():
		return ch.store(nil)
	case ch.Compare:
		*it, st = mem.DeleteIf(ch.hash, ch.Key, ch.Expect, now)
	default:
		*it, st = mem.Delete(ch.hash, ch.Key, now)
	}
	switch st {
	case memtier.Deleted:
		ch.c.died(*it)
	case memtier.Expired, memtier.NotFound: // not found: it had expired, or is nowhere
		ch.c.lapsed(*it)
	}
	return st
}

// deletes tells whether the item goes, and is not just emptied or marked.
func (ch *Change) deletes() bool { return ch.Verb == Delete && !ch.Invalidate && !ch.DropValue }

// touched notes what a touch makes of the item.
func (ch *Change) touched(it memtier.Item) {
	it.Exptime, it.Accessed = ch.Exptime, true
	ch.w.NewItem, ch.CAS = it, it.CAS
}

var modeOf = [...]memtier.Mode{
	Set: memtier.Set, Add: memtier.Add, Replace: memtier.Replace, CompareAndSwap: memtier.Set,
	Append: memtier.Append, Prepend: memtier.Prepend, Incr: memtier.Incr, Decr: memtier.Decr,
	Delete: memtier.Invalidate, Claim: memtier.Claim,
}

// store carries out the change as a write, given the record that was read from
// flash, if one was.
func (ch *Change) store(found *memtier.Found) memtier.Status {
	ch.write()
	w := &ch.w
	if found != nil {
		w.Found = *found
	} else {
		w.Found = memtier.Found{}
	}
	st := ch.c.mem.Store(w, ch.c.now.Load())
	ch.Number, ch.CAS = w.Number, w.NewItem.CAS
	if w.HasDisplaced {
		ch.c.journalDead(addrOf(w.Displaced, w.DisplacedClass))
	}
	return ch.answer(st)
}

// write puts the change as a write. It sets all fields that it ever sets, one by
// one: to build a new Write takes longer than to carry it out.
func (ch *Change) write() {
	w := &ch.w
	w.Hash, w.Key, w.Value, w.Flags, w.Exptime = ch.hash, ch.Key, ch.Value, ch.Flags, ch.Exptime
	w.Mode, w.State, w.NewCAS, w.KeepCAS = modeOf[ch.Verb], 0, ch.NewCAS, false
	w.Compare, w.Expect, w.AllowLate = ch.Compare || ch.Verb == CompareAndSwap, ch.Expect, ch.Invalidate
	w.Vivify, w.VivifyExptime, w.Initial = ch.Vivify, ch.VivifyExptime, ch.Initial
	w.SetExptime, w.Delta = ch.SetExptime, ch.Delta
	if ch.TokenSent && ch.Verb != Delete {
		w.State = memtier.TokenSent | memtier.Fetched
	}
	if ch.NewCAS == 0 {
		w.NewCAS = ch.c.nextCAS()
	}
	if ch.Verb == Delete && ch.DropValue {
		ch.hollow()
	}
}

// hollow makes the write one that leaves the item without a value.
func (ch *Change) hollow() {
	w := &ch.w
	w.Mode, w.Value, w.AllowLate = memtier.Replace, nil, false
	if ch.Invalidate {
		w.State = memtier.Stale
	} else {
		w.KeepCAS = ch.NewCAS == 0
	}
}

// answer is what the outcome of a write means to the verb.
func (ch *Change) answer(st memtier.Status) memtier.Status {
	switch {
	case st == memtier.TooLarge && (ch.Verb == Append || ch.Verb == Prepend):
		return memtier.NotStored // together they are too large, and the old value stays
	case st == memtier.TooLarge && ch.Verb == Delete:
		ch.drop() // stored when MaxItem was higher: it cannot be kept to be marked
		return memtier.Deleted
	case st == memtier.NotStored && ch.Verb == Delete:
		return memtier.NotFound
	case st == memtier.Stored && ch.Verb == Delete && !ch.Invalidate:
		return memtier.Deleted
	}
	return st
}

// onRecord decides the change by the key's record on flash.
func (ch *Change) onRecord(rec *flashtier.Record) memtier.Status {
	mem := ch.c.mem
	ch.w.OldItem = itemOn(rec, ch.w.OldItem)
	switch {
	case ch.Verb == Touch:
		if !mem.SetExptimeAt(ch.hash, ch.loc, ch.Exptime, memtier.AsRead) {
			return memtier.Changed
		}
		ch.c.touched(ch.addr, ch.Exptime)
		ch.touched(ch.w.OldItem)
		return memtier.Hit
	case !ch.deletes():
		return ch.store(&memtier.Found{
			Loc: ch.loc, Own: true, Flags: rec.Flags, CAS: rec.CAS, State: memtier.State(rec.State),
			Atime: ch.read.Created(), Value: rec.Value,
		})
	case rec.CAS != ch.Expect:
		return memtier.Exists
	case !mem.DeleteAt(ch.hash, ch.loc):
		return memtier.Changed
	}
	ch.c.journalDead(ch.addr)
	return memtier.Deleted
}

// onStranger decides the change when the slot is another key's: this key is
// absent, and storing it takes the other's slot.
func (ch *Change) onStranger() memtier.Status {
	if ch.Verb == Touch || ch.deletes() {
		return memtier.NotFound
	}
	return ch.store(&memtier.Found{Loc: ch.loc})
}

// counted counts the outcome of the change and returns it.
func (ch *Change) counted(st Status) Status {
	ch.w.Received.Drop()
	ch.c.count.outcomes[ch.Verb][st].Add(1)
	return st
}

var statusOf = [...]Status{
	memtier.Hit:    Touched,
	memtier.Stored: Stored, memtier.NotStored: NotStored, memtier.Exists: Exists,
	memtier.Miss: NotFound, memtier.Expired: NotFound, memtier.NotFound: NotFound,
	memtier.Deleted: Deleted, memtier.NotNumeric: NotNumeric, memtier.TooLarge: TooLarge,
}
