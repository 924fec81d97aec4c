package hearth

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
)

// deviceOptions are those of a small cache over n devices below dir, of 16 pages
// each.
func deviceOptions(dir string, n int) Options {
	o := Options{Memory: 16 << 20, MaxItem: 64 << 10, PageSize: 1 << 20, WriteBuffer: 256 << 10, HotPercent: -1}
	for i := range n {
		o.Devices = append(o.Devices, Device{Dir: filepath.Join(dir, fmt.Sprint("device", i)), Size: 16 << 20})
	}
	return o
}

// reopened closes the model's cache and opens it anew with o.
func (m *model) reopen(o Options) {
	m.t.Helper()
	err := m.c.Close()
	if err != nil {
		m.t.Fatal(err)
	}
	if m.c, err = Open("", quiet(o)); err != nil {
		m.t.Fatal(err)
	}
}

// TestDevicesRestart closes and opens a cache over three devices, in any order:
// everything is back.
func TestDevicesRestart(t *testing.T) {
	t.Parallel()
	o := deviceOptions(t.TempDir(), 3)
	o.PageSize, o.Devices[0].Size, o.Devices[1].Size, o.Devices[2].Size = 2<<20, 64<<20, 32<<20, 32<<20
	c, err := Open("", quiet(o))
	if err != nil {
		t.Fatal(err)
	}
	m := &model{t: t, c: c, rng: seeded(t), items: map[string]*Item{}, room: true}
	for range 3 {
		for range 6000 {
			m.step()
		}
		m.rng.Shuffle(3, func(i, j int) { o.Devices[i], o.Devices[j] = o.Devices[j], o.Devices[i] })
		m.reopen(o)
		if st := m.c.Stats(); st.Recovery.Mode != "clean" || st.Recovered != int64(len(m.items)) {
			t.Errorf("%s, %d of %d items", st.Recovery.Mode, st.Recovered, len(m.items))
		}
		for key := range m.items {
			m.get(key)
		}
	}
	if err := m.c.Close(); err != nil {
		t.Error(err)
	}
}

// TestDevicesComeAndGo leaves devices out of runs, and has them back later: what
// is found is never old, and a device that missed nothing has kept its items. One
// device of each run is there in the next: without, there is nothing to tell that
// the others are old.
func TestDevicesComeAndGo(t *testing.T) {
	t.Parallel()
	all := deviceOptions(t.TempDir(), 3)
	c, err := Open("", quiet(all))
	if err != nil {
		t.Fatal(err)
	}
	m := &model{t: t, c: c, rng: seeded(t), items: map[string]*Item{}}
	last := all.Devices
	for round := range 12 {
		for range 2000 {
			m.step()
		}
		o := all
		o.Devices = slices.Clone(all.Devices)
		m.rng.Shuffle(3, func(i, j int) { o.Devices[i], o.Devices[j] = o.Devices[j], o.Devices[i] })
		stays := slices.Index(o.Devices, last[m.rng.IntN(len(last))])
		o.Devices = o.Devices[min(stays, m.rng.IntN(3)):max(stays+1, m.rng.IntN(3)+1)]
		m.reopen(o)
		st := m.c.Stats()
		t.Logf("round %d: %d devices, %s, %d of %d items", round, len(o.Devices), st.Recovery.Mode, st.Recovered, len(m.items))
		if st.Recovered == 0 {
			t.Errorf("round %d: %d devices after %d, and nothing is left", round, len(o.Devices), len(last))
		}
		last = o.Devices
		for key := range m.items {
			m.get(key)
		}
	}
	if err := m.c.Close(); err != nil {
		t.Error(err)
	}
}
