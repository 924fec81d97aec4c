package ioqtest

import "maps"

// sectorSize is what the disk writes whole or not at all.
const sectorSize = 4096

type sector [sectorSize]byte

// inode is the bytes of a file and what of them a power loss would leave. A
// sector that is absent is all zeroes.
type inode struct {
	size    int64
	sectors map[int64]*sector
	// dirty holds, for each sector changed since it was last synced, what the
	// disk surely has instead.
	dirty       map[int64]dirtySector
	durableSize int64
	writes      uint64 // counts write calls, to tell what a sync covers
}

type dirtySector struct {
	old   *sector // nil: zeroes
	since uint64  // inode.writes when it became dirty
}

func newInode() *inode {
	return &inode{sectors: map[int64]*sector{}, dirty: map[int64]dirtySector{}}
}

// eachSector splits off, n into sectors: at is where it starts within sector i,
// and the piece of the caller's bytes is from to to.
func eachSector(off int64, n int, f func(i int64, at, from, to int)) {
	for from := 0; from < n; {
		i, at := (off+int64(from))/sectorSize, int((off+int64(from))%sectorSize)
		to := min(n, from+sectorSize-at)
		f(i, at, from, to)
		from = to
	}
}

// read fills p from off and returns how much of it lies within the file.
func (f *inode) read(p []byte, off int64) int {
	n := int(min(int64(len(p)), max(0, f.size-off)))
	eachSector(off, n, func(i int64, at, from, to int) {
		if s := f.sectors[i]; s != nil {
			copy(p[from:to], s[at:])
		} else {
			clear(p[from:to])
		}
	})
	return n
}

// write keeps p, growing the file.
func (f *inode) write(p []byte, off int64) {
	f.writes++
	eachSector(off, len(p), func(i int64, at, from, to int) {
		copy(f.change(i)[at:], p[from:to])
	})
	f.size = max(f.size, off+int64(len(p)))
}

// change returns sector i to be written to, having kept what was synced of it.
func (f *inode) change(i int64) *sector {
	old := f.sectors[i]
	fresh := new(sector)
	if old != nil {
		*fresh = *old
	}
	if _, ok := f.dirty[i]; !ok {
		f.dirty[i] = dirtySector{old, f.writes}
	}
	f.sectors[i] = fresh
	return fresh
}

// sync makes durable what was written when f.writes was at most upTo.
func (f *inode) sync(upTo uint64) {
	maps.DeleteFunc(f.dirty, func(_ int64, d dirtySector) bool { return d.since <= upTo })
	f.durableSize = f.size
}

func (f *inode) truncate(size int64) {
	f.writes++
	if size < f.size {
		for i := range f.sectors {
			if cut := size - i*sectorSize; cut < sectorSize {
				clear(f.change(i)[max(0, cut):])
			}
		}
	}
	f.size = size
}

// clone copies f as a crash leaves it: of each change that was not synced, keep
// says whether it survives.
func (f *inode) clone(keep func() bool) *inode {
	c := newInode()
	c.size = f.size
	if f.size != f.durableSize && !keep() {
		c.size = f.durableSize
	}
	for i, s := range f.sectors {
		copied := *s
		c.sectors[i] = &copied
	}
	for _, i := range sortedKeys(f.dirty) {
		if keep() {
			continue
		}
		delete(c.sectors, i)
		if old := f.dirty[i].old; old != nil {
			copied := *old
			c.sectors[i] = &copied
		}
	}
	c.durableSize = c.size
	return c
}
