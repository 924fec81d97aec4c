package flashtier

import (
	"fmt"
	"math/bits"
)

// Addr says where a record lies and how many bytes a read must fetch to hold it
// whole. Bits 0 to 39 are the place: page id times the page size, plus the
// offset in the page, in units of 8 bytes. Bits 40 to 47 are the size class. An
// Addr carries no page version: whoever keeps addresses drops those of a page
// when the page is reclaimed, before Free.
type Addr uint64

// MaxSize bounds a flash tier in bytes, because an Addr has 40 bits of units.
const MaxSize = unit << placeBits

const (
	placeBits = 40
	placeMask = 1<<placeBits - 1
)

// PageID numbers the pages of a tier from 0.
type PageID uint32

// NewAddr joins a place, in units of 8 bytes, and a size class.
func NewAddr(place uint64, class uint8) Addr {
	return Addr(place&placeMask | uint64(class)<<placeBits)
}

// Place is the address without its class, in units of 8 bytes.
func (a Addr) Place() uint64 { return uint64(a) & placeMask }

// Class is the size class.
func (a Addr) Class() uint8 { return uint8(a >> placeBits) }

// String shows place and size for logs.
func (a Addr) String() string {
	return fmt.Sprintf("%#x+%d", a.Place(), ClassSize(a.Class()))
}

// A class is a small floating-point number, 3 bits of mantissa under 5 of
// exponent, so that at most an eighth of a read is in vain.
const (
	mantissaBits = 3
	mantissas    = 1 << mantissaBits
	smallestLog2 = 6 // class 0 is 64 bytes
)

// ClassFor is the smallest class that holds n bytes.
func ClassFor(n int) uint8 {
	if n <= 1<<smallestLog2 {
		return 0
	}
	log := bits.Len(uint(n-1)) - 1
	step := (n - 1 - 1<<log) >> (log - mantissaBits)
	return uint8((log-smallestLog2)<<mantissaBits + step + 1)
}

// ClassSize is the bytes a record of class c may have, padding included.
func ClassSize(c uint8) int {
	return (mantissas + int(c)%mantissas) << (c >> mantissaBits) << (smallestLog2 - mantissaBits)
}

// base is the place of page id's first byte.
func (t *Tier) base(id PageID) uint64 { return uint64(id) * t.pageUnits }

// life is the present life of p.
func (t *Tier) life(p *page) Life {
	return Life{Format: p.format, Version: p.version.Load(), Base: t.base(p.id)}
}

// addr makes the address of size bytes at off in page id.
func (t *Tier) addr(id PageID, off int64, size int) Addr {
	return NewAddr(t.base(id)+uint64(off)/unit, ClassFor(size))
}

// locate is the page and the offset that a stands for; ok is false if this tier
// has no such page.
func (t *Tier) locate(a Addr) (p *page, off int64, ok bool) {
	id := a.Place() / t.pageUnits
	if id >= uint64(len(t.pages)) {
		return nil, 0, false
	}
	return &t.pages[id], int64(a.Place()%t.pageUnits) * unit, true
}
