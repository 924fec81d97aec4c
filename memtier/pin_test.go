package memtier

import (
	"bytes"
	"testing"
)

// receive fills a receipt and stores what came of it.
func receive(t *testing.T, tier *Tier, key string, value []byte, cas uint64) {
	t.Helper()
	r, st := tier.Receive([]byte(key), len(value), 1)
	if st != Stored {
		t.Fatal(st)
	}
	for rest := value; len(rest) > 0; {
		piece, st := r.Next()
		if st != Stored || len(piece) == 0 {
			t.Fatalf("%d bytes left: %v, %d bytes given", len(rest), st, len(piece))
		}
		rest = rest[copy(piece, rest):]
	}
	w := Write{Hash: tier.Hash([]byte(key)), Key: []byte(key), Value: r.Value(), NewCAS: cas, Flags: 3, Received: r}
	if st := tier.Store(&w, 1); st != Stored || w.Received.t != nil {
		t.Fatalf("%v, %+v", st, w.Received)
	}
}

// patterned is n bytes that differ from those at other places, and of other seeds.
func patterned(n, seed int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8*seed + seed)
	}
	return b
}

// emptyAll drops all that is in segments, but for what is pinned or being written.
func emptyAll(tier *Tier) {
	for v, ok := tier.TakeOldest(0, 1); ok; v, ok = tier.TakeOldest(0, 1) {
		v.Free()
	}
}

// clean checks that of large values nothing is left.
func clean(t *testing.T, tier *Tier, used int64) {
	t.Helper()
	st := tier.Stats()
	if st.PinnedBytes != 0 || st.Used > used+1<<20 {
		t.Errorf("%d bytes pinned, %d in use, %d before", st.PinnedBytes, st.Used, used)
	}
	for gen := range tier.segs.orders {
		if o := &tier.segs.orders[gen]; o.oldest == 0 && o.bytes != 0 {
			t.Errorf("%d bytes in an order of nothing", o.bytes)
		}
	}
	if r := resident(t, tier.segs.large, tier.segs.size[1]); r != 0 {
		t.Errorf("%d bytes of large segments are resident", r)
	}
}

// TestReceive: a value is received into the record that it then is.
func TestReceive(t *testing.T) {
	tier := newTier(t, Options{Limit: 64 << 20, MaxItem: 32 << 20})
	used := tier.Stats().Used
	for i, n := range []int{600 << 10, 1<<20 + 1, 1 << 20, 5<<20 - 3, 1 << 20} {
		value := patterned(n, i+1)
		receive(t, tier, "k", value, uint64(i+1))
		if out, it, st := get(tier, "k"); st != Hit || !bytes.Equal(out, value) || it.CAS != uint64(i+1) || it.Flags != 3 {
			t.Fatalf("%d bytes: %v, %d bytes back, %+v", n, st, len(out), it)
		}
	}
	tier.Delete(tier.Hash([]byte("k")), []byte("k"), 1)
	clean(t, tier, used)
}

// TestReceiveTakesAsItComes: to announce a value takes next to nothing, and what is
// dropped on the way is free.
func TestReceiveTakesAsItComes(t *testing.T) {
	tier := newTier(t, Options{Limit: 64 << 20, MaxItem: 32 << 20})
	used := tier.Stats().Used
	var open []Receipt
	for range 100 {
		r, st := tier.Receive([]byte("k"), 32<<20-100, 1)
		if st != Stored {
			t.Fatal(st)
		}
		open = append(open, r)
	}
	if st := tier.Stats(); st.Used > used+1<<20 {
		t.Errorf("%d bytes taken for what was announced", st.Used-used)
	}
	got := 0
	for i := 0; i < 10*len(open); i++ {
		if piece, st := open[i%len(open)].Next(); st == Stored {
			got += len(piece)
			clear(piece)
		} else if st != NoRoom {
			t.Fatal(st)
		}
	}
	if st := tier.Stats(); got < 16<<20 || got > 40<<20 || st.PinnedBytes < int64(got) {
		t.Errorf("%d bytes given, %d pinned", got, st.PinnedBytes)
	}
	for i := range open {
		open[i].Drop()
		open[i].Drop() // there is none any more
	}
	clean(t, tier, used)
	if _, st := tier.Receive([]byte("k"), 32<<20+1, 1); st != TooLarge {
		t.Error(st)
	}
}

// TestReceiveConditions: a receipt outlives an answer that is not Stored, and the
// item that there is stays as it is.
func TestReceiveConditions(t *testing.T) {
	tier := newTier(t, Options{Limit: 64 << 20, MaxItem: 32 << 20})
	used := tier.Stats().Used
	old := patterned(3<<20, 1)
	receive(t, tier, "k", old, 7)
	for _, c := range []struct {
		w    Write
		want Status
	}{
		{Write{Mode: Add}, NotStored},
		{Write{Mode: Set, Compare: true, Expect: 6}, Exists},
		{Write{Mode: Set, Key: []byte("none"), Compare: true, Expect: 6}, NotFound},
		{Write{Mode: Replace, Key: []byte("none")}, NotStored},
		{Write{Mode: Replace}, Stored},
	} {
		w := c.w
		if w.Key == nil {
			w.Key = []byte("k")
		}
		value := patterned(2<<20, 9)
		r, _ := tier.Receive(w.Key, len(value), 1)
		for rest := value; len(rest) > 0; {
			piece, _ := r.Next()
			rest = rest[copy(piece, rest):]
		}
		w.Hash, w.Value, w.Received, w.NewCAS = tier.Hash(w.Key), r.Value(), r, 8
		if st := tier.Store(&w, 1); st != c.want {
			t.Fatalf("%+v: %v", c.w, st)
		}
		if out, _, _ := get(tier, "k"); c.want != Stored && !bytes.Equal(out, old) || c.want == Stored && !bytes.Equal(out, value) {
			t.Errorf("%v: the value is another", c.want)
		}
		w.Received.Drop()
	}
	tier.Delete(tier.Hash([]byte("k")), []byte("k"), 1)
	clean(t, tier, used)
}

// TestLoan: whatever becomes of an item, a value that is lent stays as it was; and
// its memory is free when it has been returned.
func TestLoan(t *testing.T) {
	h, key := uint64(0), []byte("k")
	loc := FlashLoc(1000)
	for name, change := range map[string]func(*Tier){
		"nothing":    func(tier *Tier) {},
		"delete":     func(tier *Tier) { tier.Delete(h, key, 1) },
		"flush":      func(tier *Tier) { tier.FlushAll() },
		"expire":     func(tier *Tier) { tier.Touch(h, key, nil, 1, 1, 0, nil); tier.Get(h, key, nil, 2, nil) },
		"set":        func(tier *Tier) { put(t, tier, "k", patterned(3<<20, 5), 9) },
		"smaller":    func(tier *Tier) { put(t, tier, "k", patterned(100, 5), 9) },
		"append":     func(tier *Tier) { tier.Store(&Write{Hash: h, Key: key, Mode: Append, Value: []byte("x")}, 1) },
		"prepend":    func(tier *Tier) { tier.Store(&Write{Hash: h, Key: key, Mode: Prepend, Value: []byte("x")}, 1) },
		"invalidate": func(tier *Tier) { tier.Store(&Write{Hash: h, Key: key, Mode: Invalidate, NewCAS: 10}, 1) },
		"evict":      func(tier *Tier) { emptyAll(tier) },
		"shrink":     func(tier *Tier) { tier.SetLimit(20 << 20); emptyAll(tier) },
		"repoint":    func(tier *Tier) { tier.Repoint(h, tier.LocOf(h), 7, loc, 3) },
	} {
		tier := newTier(t, Options{Limit: 64 << 20, MaxItem: 32 << 20})
		used := tier.Stats().Used
		h = tier.Hash(key)
		value := patterned(3<<20-100, 1)
		receive(t, tier, "k", value, 7)
		var a, b Loan
		out, it, st := tier.Get(h, key, nil, 1, &a)
		if st != Hit || len(out) != 0 || it.ValueLen != len(value) {
			t.Fatalf("%s: %v, %d bytes, %+v", name, st, len(out), it)
		}
		tier.GetQuiet(h, key, nil, 1, &b)
		change(tier)
		put(t, tier, "other", patterned(3<<20, 8), 11) // would take memory that is free
		for _, l := range []*Loan{&a, &b} {
			if !bytes.Equal(l.Value(), value) {
				t.Errorf("%s: the value that was lent has changed", name)
			}
			l.Return()
			l.Return() // there is none any more
		}
		tier.Delete(h, key, 1)
		tier.Delete(tier.Hash([]byte("other")), []byte("other"), 1)
		tier.SetLimit(64 << 20)
		tier.FlushAll()
		emptyAll(tier)
		clean(t, tier, used)
	}
}

// TestLoanOfVictim: a value may be lent while its segment is being emptied, and
// then it is the last to return it who frees the segment.
func TestLoanOfVictim(t *testing.T) {
	tier := newTier(t, Options{Limit: 64 << 20, MaxItem: 32 << 20})
	used := tier.Stats().Used
	key := []byte("k")
	value := patterned(3<<20-100, 1)
	receive(t, tier, "k", value, 7)
	v, ok := tier.TakeOldest(0, 1)
	if !ok || !v.Next() || string(v.Key()) != "k" {
		t.Fatal("not the victim")
	}
	var l Loan
	tier.Get(tier.Hash(key), key, nil, 1, &l)
	if _, ok := tier.Repoint(v.Hash(), v.Loc(), 7, FlashLoc(1000), 3); !ok {
		t.Fatal("not repointed")
	}
	v.Free()
	put(t, tier, "other", patterned(3<<20, 8), 11)
	if !bytes.Equal(l.Value(), value) {
		t.Error("the value that was lent has changed")
	}
	l.Return()
	tier.Delete(tier.Hash([]byte("other")), []byte("other"), 1)
	clean(t, tier, used)
}

// TestLoansBounded: values are copied where more than half of the segments' memory
// would be pinned, but one is always lent, and to any number of readers.
func TestLoansBounded(t *testing.T) {
	tier := newTier(t, Options{Limit: 64 << 20, MaxItem: 40 << 20})
	var loans [4]Loan
	for i, key := range []string{"a", "b", "c", "d"} {
		receive(t, tier, key, patterned(12<<20, i), 1)
	}
	for i, key := range []string{"a", "b", "c", "d"} {
		out, _, st := tier.Get(tier.Hash([]byte(key)), []byte(key), nil, 1, &loans[i])
		if lent := loans[i].t != nil; st != Hit || lent != (i < 2) || len(out) == 0 != lent {
			t.Errorf("%s: %v, lent %v, %d bytes", key, st, lent, len(out))
		}
	}
	for range 70000 {
		var l Loan
		if tier.Get(tier.Hash([]byte("a")), []byte("a"), nil, 1, &l); l.t == nil {
			t.Fatal("not lent")
		}
		defer l.Return()
	}
	for i := range loans {
		loans[i].Return()
	}
}
