package loadgen

import (
	"bytes"
	"fmt"

	"github.com/hearthcache/hearth/tools/seeded"
)

// receiver takes the replies to a ring's requests apart. It is given bytes as
// they come and keeps none.
type receiver struct {
	keys     *keyspace
	versions *versions
	expiry   *expiry
	refill   *refill
	counts   *counts
	ledger   *Ledger // may be nil
	asked    int     // of the get being answered: asks settled so far
	within   bool    // a value is on its way in:
	value    arrival // this one
	name     []byte  // scratch for a key's text
}

// consume handles the replies in buf and says how many bytes it is done with;
// the rest must come again with more after it. started tells whether a byte of
// request r.sent has been built.
func (rc *receiver) consume(buf []byte, r *ring, started bool, now int64) (used int, err error) {
	for used < len(buf) {
		if !(r.head < r.sent || r.head == r.sent && started) {
			return used, fmt.Errorf("%w: %.40q", errUnasked, buf[used:])
		}
		n, err := rc.take(buf[used:], r, now)
		if n == 0 || err != nil {
			return used, err
		}
		used += n
	}
	return used, nil
}

func (rc *receiver) take(buf []byte, r *ring, now int64) (n int, err error) {
	if rc.within {
		return rc.takeValue(buf)
	}
	line, n, err := cutLine(buf)
	if n == 0 || err != nil {
		return 0, err
	}
	o := r.at(r.head)
	done, err := rc.takeLine(line, o, now)
	if done {
		rc.counts.answer(o, now)
		rc.asked = 0
		r.head++
	}
	return n, err
}

// takeLine handles one reply line to o and tells whether it was the last.
func (rc *receiver) takeLine(line []byte, o *op, now int64) (done bool, err error) {
	switch {
	case o.verb != get && rc.changed(line, o):
		a := o.asks[0]
		if o.verb != touch {
			rc.versions.settle(a.key, a.version)
		}
		rc.expiry.renew(a.key, now, rc.keys.ttlSeconds(a.key))
		return true, nil
	case o.verb == get && string(line) == "END":
		for _, a := range o.asks[rc.asked:] {
			rc.miss(a.key)
		}
		return true, nil
	case o.verb == get && bytes.HasPrefix(line, []byte("VALUE ")):
		return false, rc.beginValue(line, o)
	case bytes.HasPrefix(line, []byte("SERVER_ERROR ")):
		rc.refuse(line, o)
		return true, nil
	}
	return false, fmt.Errorf("%w: %.80q", errUnexpected, line)
}

// changed tells whether line says that o is done, and counts it.
func (rc *receiver) changed(line []byte, o *op) bool {
	switch {
	case o.verb == set && string(line) == "STORED":
		rc.counts.stored++
	case o.verb == remove && string(line) == "DELETED":
		rc.counts.deleted++
	case o.verb == touch && string(line) == "TOUCHED":
		rc.counts.touched++
	default:
		return o.verb != set && string(line) == "NOT_FOUND"
	}
	return true
}

// refuse ends o by a SERVER_ERROR. A refused set leaves no old value, so
// versions count it as answered.
func (rc *receiver) refuse(line []byte, o *op) {
	rc.counts.refuse(o, line)
	if o.verb == set {
		rc.versions.settle(o.asks[0].key, o.asks[0].version)
	}
}

// beginValue finds the ask that line answers. Values come in the order of the
// asks, so those passed over are misses.
func (rc *receiver) beginValue(line []byte, o *op) error {
	v, ok := parseValueLine(line)
	if !ok {
		return fmt.Errorf("%w: %.80q", errUnexpected, line)
	}
	for ; rc.asked < len(o.asks); rc.asked++ {
		a := o.asks[rc.asked]
		rc.name = rc.keys.appendKey(rc.name[:0], a.key)
		if bytes.Equal(rc.name, v.key) {
			rc.within = true
			rc.value = arrival{ask: a, flags: v.flags, size: v.size, bad: -1}
			return nil
		}
		rc.miss(a.key)
	}
	return fmt.Errorf("%w: a value for key %q, which was not asked for", errUnexpected, v.key)
}

func (rc *receiver) miss(key uint64) {
	rc.counts.misses++
	rc.refill.miss(key)
}

// takeValue checks what buf has of the value, then the line end after it.
func (rc *receiver) takeValue(buf []byte) (n int, err error) {
	v := &rc.value
	if v.off < v.size {
		chunk := buf[:min(len(buf), v.size-v.off)]
		if v.off == 0 {
			if len(chunk) < min(seeded.HeadSize, v.size) {
				return 0, nil
			}
			v.begin(chunk)
		}
		v.take(chunk)
		n = len(chunk)
	}
	if v.off < v.size || len(buf)-n < 2 {
		return n, nil
	}
	if string(buf[n:n+2]) != "\r\n" {
		return n, fmt.Errorf("%w but %q", errValueEnd, buf[n:n+2])
	}
	rc.endValue()
	return n + 2, nil
}

func (rc *receiver) endValue() {
	rc.within = false
	rc.asked++
	v, c := &rc.value, rc.counts
	wanted, newest := rc.keys.valueSize(v.ask.key), rc.versions.newest(v.ask.key)
	wrong, stale := v.verdict(wanted, newest)
	switch {
	case wrong:
		c.wrong++
	case stale:
		c.stale++
	default:
		c.hits++
		rc.ledger.find(v.ask.key, v.version)
		return
	}
	if len(c.examples) < maxExamples {
		rc.name = rc.keys.appendKey(rc.name[:0], v.ask.key)
		c.example(v.describe(rc.name, wanted, newest))
	}
}
