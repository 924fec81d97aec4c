package flashtier

import (
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// deadMerger puts dead sets together. Pebble calls it in reads and compactions,
// in any grouping, older before newer.
var deadMerger = &pebble.Merger{
	Name: "hearth.dead.1",
	Merge: func(_, value []byte) (pebble.ValueMerger, error) {
		m := &deadMerge{}
		return m, m.MergeNewer(value)
	},
}

// deadMerge is one merge. Reads add operands from the newest to the oldest,
// compactions may add them in either order. Sets that only say dead, which are
// most, are put together as they are: sorting all of a page's deaths in each
// compaction would cost more than the journal.
type deadMerge struct {
	newer []byte   // the entries of the first operand and newer ones, oldest first
	older [][]byte // those of older ones, newest first
	timed bool
}

// MergeNewer adds an operand that is newer than all so far.
func (m *deadMerge) MergeNewer(value []byte) error {
	timed, err := checkDead(value)
	if err == nil {
		m.timed = m.timed || timed
		m.newer = append(m.newer, value[deadHead:]...)
	}
	return err
}

// MergeOlder adds an operand that is older than all so far.
func (m *deadMerge) MergeOlder(value []byte) error {
	timed, err := checkDead(value)
	if err == nil {
		m.timed = m.timed || timed
		m.older = append(m.older, slices.Clone(value[deadHead:]))
	}
	return err
}

// Finish gives the merged dead set.
func (m *deadMerge) Finish(bool) ([]byte, io.Closer, error) {
	size := len(m.newer)
	for _, v := range m.older {
		size += len(v)
	}
	v := newDeadSet(size/4, m.timed)
	for _, older := range slices.Backward(m.older) {
		v = append(v, older...)
	}
	v = append(v, m.newer...)
	if !m.timed {
		return v, nil, nil
	}
	changes, err := decodeDead(v, nil)
	return encodeDead(changes), nil, err
}

// encodeDead makes the dead set of changes, of which later ones are newer.
func encodeDead(changes []change) []byte {
	timed := slices.ContainsFunc(changes, func(c change) bool { return c.kind == changeExptime })
	if timed {
		changes = settleChanges(changes) // or records that are touched again and again would make it grow
	}
	v := newDeadSet(len(changes), timed)
	for _, c := range changes {
		v = appendChange(v, c)
	}
	return v
}

// settleChanges leaves of each record the change that counts: that it is dead,
// else its last exptime. The result is in the order of the page.
func settleChanges(changes []change) []change {
	order := make([]uint64, len(changes)) // integers sort in a quarter of the time
	for i, c := range changes {
		order[i] = uint64(c.unit)<<32 | uint64(i)
	}
	slices.Sort(order)
	out := make([]change, 0, len(changes))
	for _, o := range order {
		c := changes[uint32(o)]
		switch n := len(out); {
		case n == 0 || out[n-1].unit != c.unit:
			out = append(out, c)
		case out[n-1].kind != changeDead:
			out[n-1] = c
		}
	}
	return out
}
