package oracle

import (
	"fmt"
	"time"
)

// missed judges that a key was absent.
func (t *trial) missed() Verdict {
	t.o.counts.misses.Add(1)
	if t.begin > t.h.missBegin {
		t.h.missBegin, t.h.missEnd = t.begin, t.end
	}
	if t.era.binding == never {
		return Fine
	}
	stored, text := t.mustHave()
	if stored == 0 || t.mayBeGone(stored) {
		return Fine
	}
	// One report a loss: as if it had been deleted now.
	t.h.ops = append(t.h.ops, &Op{
		o: t.o, h: t.h, kind: Delete, version: t.o.versions.Add(1), begin: t.begin, settled: t.end, seenIn: -1, run: len(t.era.ends),
	})
	return t.breach(Lost, text)
}

// mustHave is the begin of the last that shows the key present, before this
// operation began.
func (t *trial) mustHave() (begin time.Duration, text string) {
	begin = t.era.binding
	for _, op := range t.h.ops {
		present := op.kind.changesValue() && op.kind != Delete && !op.refused
		if present && t.past(op) && op != t.op && op.begin > begin {
			begin, text = op.begin, fmt.Sprintf("a miss after %v #%d of %.6f", op.kind, op.version, op.begin.Seconds())
		}
	}
	for i := range t.h.seen {
		s := &t.h.seen[i]
		if s.end < t.begin && t.valid(s) && s.begin > begin {
			begin, text = s.begin, fmt.Sprintf("a miss after %v was seen at %.6f", &s.content, s.begin.Seconds())
		}
	}
	if text == "" {
		return 0, ""
	}
	return begin, text
}

// mayBeGone tells whether anything can have removed what was there at stored.
func (t *trial) mayBeGone(stored time.Duration) bool {
	for _, op := range t.h.ops {
		if op == t.op {
			continue
		}
		removes := op.kind == Delete || op.kind.replaces() && (op.refused || !op.answered)
		if removes && t.settled(op) >= stored {
			return true
		}
		if op.ttl != 0 && op.begin+op.ttl-t.o.slack < t.end {
			return true
		}
	}
	for _, f := range t.era.flushes {
		if f.settled >= stored && f.begin < t.end {
			return true
		}
	}
	return false
}
