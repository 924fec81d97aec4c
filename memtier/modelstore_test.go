package memtier

import (
	"bytes"
	"strconv"
)

// expect is what w comes to by what the model has: the rules of memcached,
// written down once more.
func (m *model) expect(w *Write) (Status, *entry) {
	e := m.live(w.Key)
	fresh := &entry{value: bytes.Clone(w.Value), flags: w.Flags, exptime: w.Exptime, cas: w.NewCAS, state: w.State}
	if e == nil {
		switch {
		case w.Mode == Add, w.Mode == Set && !w.Compare:
			return Stored, fresh
		case w.Vivify && (w.Mode == Append || w.Mode == Prepend):
			fresh.state, fresh.exptime = 0, w.VivifyExptime
			return Stored, fresh
		case w.Vivify && (w.Mode == Incr || w.Mode == Decr):
			fresh.value = strconv.AppendUint(nil, w.Initial, 10)
			fresh.state, fresh.exptime = 0, w.VivifyExptime
			return Stored, fresh
		case w.Mode == Append, w.Mode == Prepend, w.Mode == Replace && !w.Compare:
			return NotStored, nil
		}
		return NotFound, nil
	}
	late := w.Compare && w.Expect != e.cas
	if w.Mode == Add {
		return NotStored, nil
	}
	if (w.Mode == Incr || w.Mode == Decr) && len(e.value) == 0 {
		return NotNumeric, nil
	}
	if late && (!w.AllowLate || w.Mode > Replace || w.Expect > e.cas) {
		return Exists, nil
	}
	return m.expectChange(w, *e, fresh, late)
}

// expectChange is expect for an item that is there and may be changed.
func (m *model) expectChange(w *Write, e entry, fresh *entry, late bool) (Status, *entry) {
	if w.Mode <= Replace {
		if w.KeepCAS {
			fresh.cas = e.cas
		}
		if late {
			fresh.exptime, fresh.state = e.exptime, Stale|e.state&TokenSent
		}
		return Stored, fresh
	}
	if w.SetExptime {
		e.exptime = w.Exptime
	}
	if w.Mode == Claim {
		if e.state&TokenSent != 0 {
			return NotStored, nil
		}
		e.state |= TokenSent
		return Stored, &e
	}
	e.cas = w.NewCAS
	switch w.Mode {
	case Append:
		e.value = append(bytes.Clone(e.value), w.Value...)
		e.state, e.fetched = 0, false
	case Prepend:
		e.value = append(bytes.Clone(w.Value), e.value...)
		e.state, e.fetched = 0, false
	case Invalidate:
		e.state = Stale
	default:
		n, ok := ParseNumber(e.value)
		if !ok {
			return NotNumeric, nil
		}
		text := strconv.AppendUint(nil, Advance(n, w.Delta, w.Mode == Decr), 10)
		if len(text) > len(e.value) {
			e.state, e.fetched = 0, false
		}
		e.value = append(text, bytes.Repeat([]byte(" "), max(0, len(e.value)-len(text)))...)
	}
	return Stored, &e
}

// store has a write wait for room, unless it comes while a segment is emptied: it
// would empty another, in which another write waits, and so on until there is none.
func (m *model) store(w *Write) Status {
	st := m.tier.Store(w, m.now)
	for st == NoRoom && m.emptying == 0 {
		m.step(true)
		if w.HasDisplaced {
			m.dead(w.Displaced)
		}
		m.settle(w.Key) // the step may have evicted it
		m.wanted, m.becomes = m.expect(w)
		st = m.tier.Store(w, m.now)
	}
	if w.HasDisplaced {
		m.dead(w.Displaced)
	}
	return st
}

// settle finds out whether a key that the model has was evicted.
func (m *model) settle(key []byte) {
	if m.live(key) != nil {
		m.look(key, m.r.IntN(2) == 0)
	}
}

func (m *model) set(key []byte) {
	m.cas++
	w := &Write{Key: key, Value: m.value(), Flags: m.r.Uint32(), Exptime: m.exptime(), NewCAS: m.cas,
		State: State(m.r.IntN(4)), Mode: Mode(m.r.IntN(int(Claim) + 1)), Compare: m.r.IntN(2) == 0,
		AllowLate: m.r.IntN(2) == 0, Vivify: m.r.IntN(2) == 0, VivifyExptime: m.exptime(), KeepCAS: m.r.IntN(8) == 0, SetExptime: m.r.IntN(4) == 0,
		Delta: m.r.Uint64() >> m.r.IntN(64), Initial: m.r.Uint64() >> m.r.IntN(64)}
	w.Hash = m.tier.Hash(w.Key)
	m.settle(w.Key)
	if e := m.live(w.Key); e != nil {
		w.Expect = e.cas + uint64(max(0, m.r.IntN(5)-2)) - 1
	}
	m.wanted, m.becomes = m.expect(w)
	st := m.store(w)
	if st == OnFlash {
		st = m.storeAt(w)
	}
	if st == TooLarge {
		if e := m.live(w.Key); w.Mode != Append && w.Mode != Prepend || len(w.Key)+len(e.value)+len(w.Value) <= m.tier.item {
			m.fail("%d bytes too large", len(w.Value))
		}
		return
	}
	m.hits[st]++
	if st == NoRoom {
		return
	}
	if st != m.wanted {
		m.fail("%q mode %d: %v, want %v", w.Key, w.Mode, st, m.wanted)
	}
	if st == Stored {
		m.stored(w)
	}
}

// stored compares what a write says it has stored with what it should have.
func (m *model) stored(w *Write) {
	e, it := m.becomes, w.NewItem
	if it.ValueLen != len(e.value) || it.Flags != e.flags || it.Exptime != e.exptime || it.CAS != e.cas ||
		it.State&^Fetched != e.state || (it.Accessed || it.State&Fetched != 0) != e.fetched {
		m.fail("%q mode %d stored %+v, want %+v", w.Key, w.Mode, it, e)
	}
	if w.Mode == Incr || w.Mode == Decr {
		if n, _ := ParseNumber(e.value); n != w.Number {
			m.fail("%q mode %d: %d, want %d", w.Key, w.Mode, w.Number, n)
		}
	}
	m.want[string(w.Key)] = e
}

// storeAt does what the cache does with a condition that hangs on flash.
func (m *model) storeAt(w *Write) Status {
	rec, own := m.read(w.Key, Item{Loc: w.Displaced})
	if !own {
		m.fail("tag collision in a small test")
	}
	full := *w
	full.Found = Found{Loc: w.Displaced, Own: true, Flags: rec.flags, CAS: rec.cas, State: rec.state, Value: bytes.Clone(rec.value)}
	st := m.store(&full)
	*w = full
	return st
}
