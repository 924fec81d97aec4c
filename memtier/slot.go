package memtier

// slot is what the index keeps of an item: 16 bytes, no pointer, no key.
//
//	head  63      21 20  19 18    16 15    8 7         0
//	     │ tag 43   │ kind │ access │ class │ loc 39-32 │
//	tail  63               32 31                        0
//	     │ exptime           │ loc 31-0                  │
//
// The two low access bits count reads since the record was written or moved,
// the third says that it was overwritten in place since.
//
// An empty slot is all zeroes. A tag is never zero, so that comparing tags
// alone never finds an empty slot.
type slot struct{ head, tail uint64 }

const (
	tagShift    = 21
	kindShift   = 19
	accessShift = 16
	classShift  = 8

	readsMax    = 3 // reads are counted up to here
	overwritten = 4
)

// kind says which tier a slot points into.
type kind uint8

const (
	kindRAM   kind = 1
	kindFlash kind = 2
)

func makeSlot(tag uint64, l Loc, class uint8, exptime uint32) slot {
	k := kindRAM
	if l.OnFlash() {
		k = kindFlash
	}
	return slot{
		head: tag<<tagShift | uint64(k)<<kindShift | uint64(class)<<classShift | uint64(l&unitsMask)>>32,
		tail: uint64(exptime)<<32 | uint64(uint32(l)),
	}
}

func (p *slot) tag() uint64     { return p.head >> tagShift }
func (p *slot) empty() bool     { return p.head == 0 }
func (p *slot) onFlash() bool   { return kind(p.head>>kindShift)&3 == kindFlash }
func (p *slot) class() uint8    { return uint8(p.head >> classShift) }
func (p *slot) exptime() uint32 { return uint32(p.tail >> 32) }
func (p *slot) access() uint    { return uint(p.head>>accessShift) & 7 }

func (p *slot) loc() Loc {
	l := Loc(p.head&0xff)<<32 | Loc(uint32(p.tail))
	return l | Loc(p.head>>kindShift&2)<<(locBits-1)
}

func (p *slot) expired(now uint32) bool {
	e := p.exptime()
	return e != 0 && e <= now
}

func (p *slot) setExptime(e uint32) { p.tail = p.tail&0xffffffff | uint64(e)<<32 }

func (p *slot) reads() uint { return p.access() & readsMax }

func (p *slot) setAccess(a uint) {
	p.head = p.head&^(7<<accessShift) | uint64(a)<<accessShift
}

// touch counts a read. A slot that has been read often is left alone, so that
// the cache line of a hot slot stays clean.
func (p *slot) touch() {
	if p.reads() < readsMax {
		p.head += 1 << accessShift
	}
}

// overwrite notes that the record has a new value.
func (p *slot) overwrite() { p.setAccess(overwritten) }

// age forgets half of the reads.
func (p *slot) age() { p.setAccess(p.reads() >> 1) }

// item fills in what the slot knows.
func (p *slot) item() Item {
	return Item{Exptime: p.exptime(), Loc: p.loc(), Class: p.class(), Accessed: p.reads() > 0, Reads: uint8(p.reads())}
}
