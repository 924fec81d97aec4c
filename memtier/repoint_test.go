package memtier

import "testing"

// repointed is Repoint for tests that do not look at the exptime.
func (t *Tier) repointed(h uint64, old Loc, cas uint64, to Loc, class uint8) bool {
	_, ok := t.Repoint(h, old, cas, to, class)
	return ok
}

// TestRepointTellsExptime touches an item between the copy of its record and the
// moment its slot is repointed: whoever moved it must learn of that, or what
// flash says of the item is out of date.
func TestRepointTellsExptime(t *testing.T) {
	m, err := New(Options{Limit: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	key := []byte("key")
	w := Write{Hash: m.Hash(key), Key: key, Value: []byte("value"), Exptime: 100, NewCAS: 1}
	if st := m.Store(&w, 1); st != Stored {
		t.Fatal(st)
	}
	if _, _, st := m.Touch(w.Hash, key, nil, 50, 1, AsRead, nil); st != Hit {
		t.Fatal(st)
	}
	if exptime, ok := m.Repoint(w.Hash, w.NewItem.Loc, 1, FlashLoc(1), 1); !ok || exptime != 50 {
		t.Errorf("repointed %v with exptime %d, want 50", ok, exptime)
	}
}
