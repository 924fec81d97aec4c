package hearth

import "github.com/hearthcache/hearth/memtier"

// Loan is a large value in RAM, to be read where it lies: so that a client who takes
// it slowly has no copy of it made. Its memory cannot be used for anything else
// before Return. The zero Loan is none.
type Loan struct {
	c   *Cache
	mem memtier.Loan
}

// Borrow is Find that may lend the value: then loan.Lent is true and dst as it was,
// and Return has to be called. That is so with values of at least LargeValue in RAM,
// unless half of the memory for values is lent or being received.
func (c *Cache) Borrow(key, dst []byte, loan *Loan) ([]byte, Meta, Status) {
	loan.c = c
	return c.find(key, dst, &loan.mem)
}

// BorrowWith is Borrow with a say in what it does to the item.
func (c *Cache) BorrowWith(key []byte, a Access, dst []byte, loan *Loan) ([]byte, Meta, Status) {
	loan.c = c
	return c.findWith(key, a, dst, &loan.mem)
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
