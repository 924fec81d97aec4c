package ioqtest_test

import (
	"testing"

	"github.com/hearthcache/hearth/ioq"
	"github.com/hearthcache/hearth/ioq/ioqtest"
)

// census counts the blocks of an image by their byte, and wants each whole.
func census(t *testing.T, image []byte) map[byte]int {
	t.Helper()
	m := map[byte]int{}
	for ; len(image) > 0; image = image[4096:] {
		for _, c := range image[:4096] {
			if c != image[0] {
				t.Fatal("a 4 KiB sector is torn")
			}
		}
		m[image[0]]++
	}
	return m
}

func write(d *ioqtest.Disk, f ioq.File, off int64, buf []byte) {
	d.Submit(&ioq.Op{File: f, Kind: ioq.Write, Off: off, Buf: buf})
	d.Drain()
}

// TestCrashKeepsWhatWasSynced writes a, syncs, writes b over half of it and has
// c in flight over the rest of that half: of b and c some survive, of the
// synced a all that was not overwritten.
func TestCrashKeepsWhatWasSynced(t *testing.T) {
	d := ioqtest.NewDisk(t, ioqtest.DiskOptions{Manual: true})
	f, err := d.Open("a", 400*4096)
	if err != nil {
		t.Fatal(err)
	}
	write(d, f, 0, blocks('a', 400))
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	write(d, f, 0, blocks('b', 100))
	d.Submit(&ioq.Op{File: f, Kind: ioq.Write, Off: 100 * 4096, Buf: blocks('c', 100)})
	crashed, killed := d.CrashClone(), d.KillClone()

	m := census(t, crashed.Image("a"))
	if m['b'] < 20 || m['b'] > 80 || m['c'] < 20 || m['c'] > 80 || m['a']+m['b']+m['c'] != 400 {
		t.Errorf("after a power loss: %v", m)
	}
	if m := census(t, crashed.Image("a")[200*4096:]); m['a'] != 200 {
		t.Errorf("synced bytes lost: %v", m)
	}
	m = census(t, killed.Image("a"))
	if m['b'] != 100 || m['c'] < 20 || m['c'] > 80 {
		t.Errorf("after kill -9: %v", m)
	}
	d.Drain()
	if m := census(t, d.Image("a")); m['c'] != 100 || m['b'] != 100 {
		t.Errorf("the disk itself was changed: %v", m)
	}
	if m := census(t, crashed.CrashClone().Image("a")); m['a']+m['b']+m['c'] != 400 {
		t.Errorf("a second crash: %v", m)
	}
}

// TestSyncCoversWhatWasDoneBefore submits a sync, then completes a write before
// it: the sync does not vouch for that write.
func TestSyncCoversWhatWasDoneBefore(t *testing.T) {
	d := ioqtest.NewDisk(t, ioqtest.DiskOptions{Manual: true})
	f, err := d.Open("a", 100*4096)
	if err != nil {
		t.Fatal(err)
	}
	write(d, f, 0, blocks('a', 50))
	d.Submit(&ioq.Op{File: f, Kind: ioq.Sync}, &ioq.Op{File: f, Kind: ioq.Write, Off: 50 * 4096, Buf: blocks('b', 50)})
	d.Complete(1)
	d.Complete(0)
	if m := census(t, d.CrashClone().Image("a")); m['a'] != 50 || m['b'] == 50 {
		t.Errorf("%v", m)
	}
}

// TestCrashAndNames wants lengths and removals that were not synced to survive
// some crashes and not others.
func TestCrashAndNames(t *testing.T) {
	d := ioqtest.NewDisk(t, ioqtest.DiskOptions{Manual: true})
	for _, name := range []string{"cut", "gone"} {
		f, err := d.Open(name, 4096)
		if err != nil {
			t.Fatal(err)
		}
		write(d, f, 0, blocks('a', 1))
		f.Sync()
		if name == "cut" {
			f.Truncate(0)
		}
	}
	d.Remove("gone")
	lengths, names := map[int]int{}, map[int]int{}
	for range 64 {
		c := d.CrashClone()
		lengths[len(c.Image("cut"))]++
		names[len(c.Paths())]++
	}
	if lengths[0] == 0 || lengths[4096] == 0 || names[1] == 0 || names[2] == 0 {
		t.Errorf("lengths %v, names %v", lengths, names)
	}
	if k := d.KillClone(); len(k.Paths()) != 1 || len(k.Image("cut")) != 0 {
		t.Error("kill -9 lost a truncation or a removal")
	}
}
