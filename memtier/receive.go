package memtier

// Memory for a value on its way in is taken by steps, in bytes: as much as has come,
// within these bounds.
const (
	firstStep   = 64 << 10
	receiveStep = 1 << 20
)

// Receipt is a large record whose value is still to come. It takes memory only as
// that comes, so to announce a large value costs nobody anything. The zero Receipt
// is none. It is for one goroutine at a time.
type Receipt struct {
	t     *Tier
	loc   Loc
	value []byte // all of it
	there int    // bytes of it that have memory
}

// LargeValue is the length of a value, in bytes, from which on its record has a
// segment of its own.
func (t *Tier) LargeValue() int { return 1 << t.segs.shift / 2 << unitShift }

// Receive begins a record for a value of n bytes, at least LargeValue. It is Stored
// if that has begun, NoRoom, or TooLarge.
func (t *Tier) Receive(key []byte, n int, now uint32) (Receipt, Status) {
	units := unitsFor(len(key), n)
	if n > t.item || len(key) > maxKey || int64(units)<<unitShift > t.segs.largest() {
		return Receipt{}, TooLarge
	}
	l, ok := t.segs.beginLarge(units, now)
	if !ok {
		return Receipt{}, NoRoom
	}
	r := t.segs.record(l)
	r.init(key, n, units, 0)
	return Receipt{t: t, loc: l, value: r.value()}, Stored
}

// Next is memory for the next bytes of the value, to be filled before Next is
// called again: none after the last. It is NoRoom if there is none now.
func (r *Receipt) Next() ([]byte, Status) {
	from, to := r.there, min(r.there+max(firstStep, min(r.there, receiveStep)), len(r.value))
	if from < to && !r.t.segs.growLarge(r.loc, headerBytes+maxKey+int64(to)) {
		return nil, NoRoom
	}
	r.there = to
	return r.value[from:to:to], Stored
}

// Value is the whole value, once all of it has come.
func (r *Receipt) Value() []byte { return r.value }

// Drop ends the receipt. What no slot points at is free then.
func (r *Receipt) Drop() {
	if r.t != nil {
		r.t.segs.unpin(r.loc)
		*r = Receipt{}
	}
}

// beginLarge takes a large segment with memory for little more than the key,
// pinned.
func (g *segments) beginLarge(units uint64, now uint32) (Loc, bool) {
	l, ok := g.allocLarge(units, pageBytes, now)
	if !ok {
		return 0, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	m := &g.meta[g.number(l)]
	m.pins = 1
	g.pinned += m.size
	return l, true
}

// growLarge gives a pinned large segment memory for so many bytes, at most what its
// record has.
func (g *segments) growLarge(l Loc, bytes int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := &g.meta[g.number(l)]
	size := wholePages(min(bytes, int64(m.used())<<unitShift))
	more := size - m.size
	if more > 0 && (g.tooMuchLocked(g.pinned-m.size, size) || !g.claimLargeLocked(more)) {
		return false
	}
	m.size = size
	g.orders[m.gen].bytes += more
	g.pinned += more
	g.signalLowLocked()
	return true
}
