package oracle

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Kind is what an operation does to its key.
type Kind uint8

// The kinds of operations.
const (
	Get   Kind = iota // also gets
	Gat               // get, with a new expiry time
	Touch             // a new expiry time
	Set
	Add     // set if absent: that it was done says that the key was absent
	Replace // set if present
	CAS     // set if unchanged
	Append  // to a value of bytes
	Prepend // to a value of bytes
	Incr    // of a value of digits, by one
	Delete
)

var kindNames = [...]string{"get", "gat", "touch", "set", "add", "replace", "cas", "append", "prepend", "incr", "delete"}

// String is the command's name.
func (k Kind) String() string { return kindNames[k] }

func (k Kind) replaces() bool { return k == Set || k == Add || k == Replace || k == CAS }
func (k Kind) retimes() bool  { return k == Touch || k == Gat }

// shows tells whether the reply shows something of the value that was there.
func (k Kind) shows() bool { return k == Get || k == Gat || k == CAS || k == Incr }

// changesValue tells whether a value without the operation is another one.
func (k Kind) changesValue() bool {
	return k.replaces() || k == Append || k == Prepend || k == Delete
}

// kept tells whether a history keeps operations of this kind one by one.
// Increments are counted, and seen by their replies.
func (k Kind) kept() bool { return k != Get && k != Incr }

// never is after all times.
const never = time.Duration(math.MaxInt64)

// Op is one operation on one key, from its begin to its end. Exactly one of
// the methods that end it must be called: Applied, NotApplied, Absent, Refused,
// Got, Number or Unknown. All that is in it is guarded by its history's lock.
type Op struct {
	o       *Oracle
	h       *history
	kind    Kind
	key     uint32
	version uint64
	ttl     time.Duration // 0: lives for ever
	from    Seen          // what a CAS replaces
	digits  bool          // its value is a number
	refused bool          // a set that failed, and took the old value with it

	begin, settled time.Duration
	run            int  // of the server, in which it was sent
	seenIn         int  // the run in which a get saw it, -1 if none
	answered       bool // the client knows that it has happened
	overBefore     uint64
}

// Value appends the bytes that the operation is to store: size of them, at
// least ChunkSize. A number has its own size.
func (op *Op) Value(dst []byte, size int) []byte {
	if op.digits {
		return strconv.AppendUint(dst, op.o.numberOf(op.key, op.version), 10)
	}
	place := uint64(basePlace)
	switch op.kind {
	case Append:
		place = backPlace
	case Prepend:
		place = frontPlace
	}
	return op.o.appendChunk(dst, op.key, op.version|place<<placeShift, size)
}

// Applied ends a change that was done: STORED, DELETED, TOUCHED.
func (op *Op) Applied() Verdict {
	t := op.end("done")
	defer t.leave()
	op.answered, op.settled = true, min(op.settled, t.end)
	switch op.kind {
	case Add:
		return t.missed()
	case CAS:
		return t.replaced(&op.from)
	}
	return Fine
}

// NotApplied ends a change that was not done, for a reason that says nothing
// about the value: EXISTS, or NOT_STORED to add.
func (op *Op) NotApplied() {
	t := op.end("not done")
	op.h.drop(op)
	t.leave()
}

// Absent ends an operation that found nothing: a get without a value, NOT_FOUND,
// NOT_STORED to append and replace.
func (op *Op) Absent() Verdict {
	t := op.end("absent")
	defer t.leave()
	if op.kind == Delete {
		op.answered, op.settled = true, t.end
	} else {
		op.h.drop(op)
	}
	return t.missed()
}

// Refused ends a change that was answered with an error: a set has then removed
// the old value, any other change has done nothing.
func (op *Op) Refused() {
	t := op.end("refused")
	defer t.leave()
	if op.kind != Set {
		op.h.drop(op)
		return
	}
	op.refused, op.answered, op.settled = true, true, t.end
}

// Unknown ends an operation whose reply was not received: it may have happened,
// or still happen while the server runs.
func (op *Op) Unknown() {
	t := op.end("unknown")
	t.leave()
}

// Number ends an Incr with the number in its reply.
func (op *Op) Number(n uint64) Verdict {
	t := op.end(strconv.FormatUint(n, 10))
	defer t.leave()
	c, bad := op.o.parseNumber(op.key, n)
	if bad == "" && c.count == 0 {
		bad = fmt.Sprintf("the number %d was not incremented", n)
	}
	if bad != "" {
		return t.breach(Wrong, bad)
	}
	return t.incremented(c)
}

// Got ends a Get or Gat with the value that it returned, which may be used in a
// CAS later.
func (op *Op) Got(value []byte) (Seen, Verdict) { return op.GotCAS(value, 0) }

// GotCAS is Got of a value that came with its CAS number, if that is not 0. The
// numbers must grow: one that was seen in an earlier run is not given to a value
// that was stored in this one.
func (op *Op) GotCAS(value []byte, cas uint64) (Seen, Verdict) {
	var c content
	var bad string
	if op.digits {
		c, bad = op.o.parseDigits(op.key, value)
	} else {
		c, bad = op.o.parse(op.key, value)
	}
	t := op.end("")
	defer t.leave()
	t.note(c.String())
	if op.kind == Gat {
		op.answered, op.settled = true, min(op.settled, t.end)
	}
	op.o.counts.values.Add(1)
	if bad != "" {
		return Seen{}, t.breach(Wrong, bad)
	}
	v := t.returned(c)
	if v == Fine && cas != 0 {
		v = t.numbered(&c, cas)
	}
	return Seen{c}, v
}

// Bad ends a Get or Gat whose reply was wrong in a way that the oracle cannot
// see, such as another key's name.
func (op *Op) Bad(text string) Verdict {
	t := op.end("bad")
	defer t.leave()
	op.h.drop(op)
	return t.breach(Wrong, text)
}

// Seen is the content of a value that a get has returned.
type Seen struct{ content content }
