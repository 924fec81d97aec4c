package ioqtest

// Pending lists the operations in flight, in order of arrival.
func (d *Disk) Pending() []Call {
	d.mu.Lock()
	defer d.mu.Unlock()
	calls := make([]Call, len(d.pending))
	for i, fl := range d.pending {
		calls[i] = fl.call
	}
	return calls
}

// AwaitPending returns when at least n operations are in flight.
func (d *Disk) AwaitPending(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.pending) < n {
		d.changed.Wait()
	}
}

// Hold stops completions from now on, as DiskOptions.Manual does from the start.
func (d *Disk) Hold() { d.setManual(true) }

// Release lets operations complete by themselves again.
func (d *Disk) Release() { d.setManual(false) }

func (d *Disk) setManual(on bool) {
	d.mu.Lock()
	d.manual = on
	d.mu.Unlock()
	d.changed.Broadcast()
}

// Complete finishes the ith operation of Pending.
func (d *Disk) Complete(i int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i < 0 || i >= len(d.pending) {
		d.panicf("Complete(%d) with %d pending", i, len(d.pending))
	}
	d.completeLocked(i)
}

// Step finishes one pending operation, chosen by the seed; false if there is none.
func (d *Disk) Step() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.pending) == 0 {
		return false
	}
	d.completeLocked(d.rng.IntN(len(d.pending)))
	return true
}

// Drain steps until nothing is pending.
func (d *Disk) Drain() {
	for d.Step() {
	}
}

// Paths lists the disk's files in order.
func (d *Disk) Paths() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return sortedKeys(d.files)
}

// Image returns a copy of a file's bytes, as a read would see them.
func (d *Disk) Image(path string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	node := d.nodeLocked(path)
	p := make([]byte, node.size)
	node.read(p, 0)
	return p
}

// Overwrite puts p at off of a file, at rest: synced and with no fault.
func (d *Disk) Overwrite(path string, off int64, p []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	node := d.nodeLocked(path)
	eachSector(off, len(p), func(i int64, at, from, to int) {
		s := node.sectors[i]
		if s == nil {
			s = new(sector)
			node.sectors[i] = s
		}
		copy(s[at:], p[from:to])
	})
	node.size = max(node.size, off+int64(len(p)))
}

// FlipBit changes one bit of a file at rest.
func (d *Disk) FlipBit(path string, off int64, bit uint) {
	p := d.Image(path)[off : off+1]
	p[0] ^= 1 << (bit % 8)
	d.Overwrite(path, off, p)
}

func (d *Disk) nodeLocked(path string) *inode {
	node := d.files[path]
	if node == nil {
		d.panicf("no file %s", path)
	}
	return node
}
