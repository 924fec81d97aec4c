package hearth

import "github.com/hearthcache/hearth/memtier"

// Loan is a large value in RAM, to be read where it lies: so that a client who takes
// it slowly has no copy of it made. Its memory cannot be used for anything else
// before Return. The zero Loan is none.
type Loan struct {
	c   *Cache
	mem memtier.Loan
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
func (l *Loan) Lent() bool { return l.mem.Value() != nil }

// Value holds until Return, and is not to be written to. It is what the item was
// when it was borrowed, whatever becomes of that.
func (l *Loan) Value() []byte { return l.mem.Value() }

// Return ends the loan.
func (l *Loan) Return() {
	if l.Lent() {
		l.mem.Return()
		l.c.room.signal()
	}
}
