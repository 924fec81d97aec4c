package oracle

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// history is what is known of one key.
type history struct {
	mu     sync.Mutex
	active []*Op // not yet ended
	ops    []*Op // changes that a value may still have in it, or must not lack
	seen   []sight

	incrs, incrsOver uint64        // Incrs that began, and of these ended
	missBegin        time.Duration // of the miss that began last, 0 if none
	missEnd          time.Duration
	lines            [logLines]line // the last that happened, a ring
	written          int
}

// sight is a content that a get, or the reply to an Incr, has shown.
type sight struct {
	content
	begin, end time.Duration
	run        int
	answered   bool // so were all changes in it
}

const logLines = 12

// line is one operation in the log that a breach prints.
type line struct {
	kind       Kind
	version    uint64
	ttl        time.Duration
	result     string
	begin, end time.Duration
}

func (h *history) drop(op *Op) {
	h.ops = slices.DeleteFunc(h.ops, func(x *Op) bool { return x == op })
}

func (h *history) find(version uint64) *Op {
	i := slices.IndexFunc(h.ops, func(op *Op) bool { return op.version == version })
	if i < 0 {
		return nil
	}
	return h.ops[i]
}

func (h *history) log(l line) {
	h.lines[h.written%logLines] = l
	h.written++
}

// String is the key's recent log, one operation a line, in the order of their
// ends.
func (h *history) String() string {
	var text strings.Builder
	for i := max(0, h.written-logLines); i < h.written; i++ {
		l := &h.lines[i%logLines]
		fmt.Fprintf(&text, "  %12.6f to %12.6f  %s", l.begin.Seconds(), l.end.Seconds(), l.kind)
		if l.kind.kept() {
			fmt.Fprintf(&text, " #%d", l.version)
		}
		if l.ttl != 0 {
			fmt.Fprintf(&text, " for %v", l.ttl)
		}
		fmt.Fprintf(&text, ": %s\n", l.result)
	}
	for _, op := range h.active {
		fmt.Fprintf(&text, "  %12.6f to            ?  %s #%d\n", op.begin.Seconds(), op.kind, op.version)
	}
	return text.String()
}

// prune forgets what no get that is under way, or begins later, can need.
func (t *trial) prune() {
	h := t.h
	horizon := t.end
	for _, op := range h.active {
		if op.kind.shows() {
			horizon = min(horizon, op.begin)
		}
	}
	replaced, retimed := t.flushedAt(horizon), time.Duration(0)
	for _, op := range h.ops {
		if op.answered && op.settled < horizon {
			if op.kind.replaces() || op.kind == Delete {
				replaced = max(replaced, op.begin)
			} else if op.kind.retimes() {
				retimed = max(retimed, op.begin)
			}
		}
	}
	retimed = max(retimed, replaced)
	h.ops = slices.DeleteFunc(h.ops, func(op *Op) bool {
		settled := t.settled(op)
		return settled < replaced || op.kind.retimes() && settled < retimed
	})
	h.seen = slices.DeleteFunc(h.seen, func(s sight) bool {
		return h.find(s.parts[s.base]) == nil || !t.valid(&s) || t.dominated(&s, horizon)
	})
	h.ops, h.seen = clip(h.ops), clip(h.seen)
}

// dominated tells whether a later sight says all that s says.
func (t *trial) dominated(s *sight, horizon time.Duration) bool {
	return slices.ContainsFunc(t.h.seen, func(d sight) bool {
		later := d.begin > s.begin || d.begin == s.begin && d.end < s.end
		return later && d.end < horizon && s.within(&d.content) && (d.answered || !s.answered)
	})
}

// clip gives memory back that one busy moment has taken.
func clip[T any](s []T) []T {
	if cap(s) > 8 && cap(s) > 4*len(s) {
		return slices.Clone(s)
	}
	return s
}
