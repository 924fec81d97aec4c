package flashtier

import (
	"cmp"
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
// compactions may add them in either order.
type deadMerge struct {
	changes []change   // of the first operand and newer ones, oldest first
	older   [][]change // of older ones, newest first
}

// MergeNewer adds an operand that is newer than all so far.
func (m *deadMerge) MergeNewer(value []byte) (err error) {
	m.changes, err = decodeDead(value, m.changes)
	return err
}

// MergeOlder adds an operand that is older than all so far.
func (m *deadMerge) MergeOlder(value []byte) error {
	older, err := decodeDead(value, nil)
	m.older = append(m.older, older)
	return err
}

// Finish gives the merged dead set.
func (m *deadMerge) Finish(bool) ([]byte, io.Closer, error) {
	slices.Reverse(m.older)
	return encodeDead(append(slices.Concat(m.older...), m.changes...)), nil, nil
}

// encodeDead makes the dead set of changes, of which later ones are newer.
func encodeDead(changes []change) []byte {
	changes = settleChanges(changes)
	v := newDeadSet(make([]byte, 0, deadHead+deadEntry*len(changes)))
	for _, c := range changes {
		v = appendChange(v, c)
	}
	return v
}

func byUnit(a, b change) int { return cmp.Compare(a.unit, b.unit) }

// settleChanges leaves of each record the change that counts: that it is dead,
// else its last exptime. The result is in the order of the page.
func settleChanges(changes []change) []change {
	slices.SortStableFunc(changes, byUnit)
	out := changes[:0]
	for _, c := range changes {
		switch n := len(out); {
		case n == 0 || out[n-1].unit != c.unit:
			out = append(out, c)
		case out[n-1].kind != changeDead:
			out[n-1] = c
		}
	}
	return out
}
