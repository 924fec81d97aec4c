package ioqtest

import "math/rand/v2"

// CrashClone returns the disk as a power loss now would leave it: all that was
// synced, and of each 4 KiB sector written since (by an operation done or still
// in flight), each length changed and each file removed, a seeded half. A write
// counts as synced by a sync that was submitted after the write was done. The
// disk itself goes on.
func (d *Disk) CrashClone() *Disk { return d.clone(2) }

// KillClone returns the disk as a kill -9 now would leave it: all that was
// written, and of each sector of a write in flight a seeded half.
func (d *Disk) KillClone() *Disk { return d.clone(0) }

// clone loses one change in every lose of those not synced.
func (d *Disk) clone(lose int) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := d.opts
	o.Seed = d.rng.Uint64() | 1
	c := NewDisk(d.t, o)
	keep := func() bool { return lose == 0 || c.rng.IntN(lose) != 0 }
	c.mu.Lock()
	defer c.mu.Unlock()
	copies := map[*inode]*inode{}
	for _, path := range sortedKeys(d.files) {
		node := d.files[path]
		copies[node] = node.clone(keep)
		c.files[path] = copies[node]
	}
	for _, path := range sortedKeys(d.removed) {
		if d.files[path] == nil && !keep() {
			c.files[path] = d.removed[path].clone(keep)
		}
	}
	for _, fl := range d.pending {
		if node := copies[fl.file.inode]; node != nil && fl.call.Verb == Write {
			node.scatter(fl.op.Buf, fl.call.Off, c.rng)
		}
	}
	return c
}

// scatter writes a seeded half of p's sectors, durably.
func (f *inode) scatter(p []byte, off int64, rng *rand.Rand) {
	eachSector(off, len(p), func(_ int64, _, from, to int) {
		if rng.IntN(2) == 0 {
			f.write(p[from:to], off+int64(from))
		}
	})
	f.sync(f.writes)
}
