package hearth

import (
	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/memtier"
)

// Loan is a large value, to be read where it lies in RAM, or where it was read to
// from flash: so that a client who takes it slowly has no copy of it made. Its memory
// cannot be used for anything else before Return. The zero Loan is none.
type Loan struct {
	c    *Cache
	mem  memtier.Loan
	read *flashtier.Read // if not nil, of a value from flash
}

// of is where the RAM tier of c puts what it lends: nowhere if l is nil.
func (l *Loan) of(c *Cache) *memtier.Loan {
	if l == nil {
		return nil
	}
	l.c = c
	return &l.mem
}

// Lent tells whether there is a value.
func (l *Loan) Lent() bool { return l.read != nil || l.mem.Value() != nil }

// Value holds until Return, and is not to be written to. It is what the item was
// when it was borrowed, whatever becomes of that.
func (l *Loan) Value() []byte {
	if l.read != nil {
		return l.read.Lent()
	}
	return l.mem.Value()
}

// Return ends the loan.
func (l *Loan) Return() {
	switch {
	case l.read != nil:
		l.read.Return()
		l.read = nil
	case l.Lent():
		l.mem.Return()
	default:
		return
	}
	l.c.room.signal()
}
