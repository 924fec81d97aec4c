package oracle

import (
	"fmt"
	"slices"
	"time"
)

// trial is the end of one operation: it judges what was returned, and then
// notes it in the history. It holds the history's lock.
type trial struct {
	o          *Oracle
	op         *Op
	h          *history
	era        *era
	begin, end time.Duration
}

// end takes the time of the operation's end, as the first thing after its reply
// was received.
func (op *Op) end(result string) *trial {
	h := op.h
	h.mu.Lock()
	t := &trial{o: op.o, op: op, h: h, era: op.o.era.Load(), begin: op.begin, end: op.o.now()}
	h.active = slices.DeleteFunc(h.active, func(x *Op) bool { return x == op })
	if op.kind == Incr {
		h.incrsOver++
	}
	op.o.counts.ops.Add(1)
	if result != "" {
		t.note(result)
	}
	return t
}

func (t *trial) leave() {
	t.prune()
	t.h.mu.Unlock()
	t.o.flying.Add(-1)
}

func (t *trial) note(result string) {
	t.h.log(line{kind: t.op.kind, version: t.op.version, ttl: t.op.ttl, result: result, begin: t.begin, end: t.end})
}

// settled is when op had taken effect, if it ever did.
func (t *trial) settled(op *Op) time.Duration {
	if op.run < len(t.era.ends) {
		return min(op.settled, t.era.ends[op.run])
	}
	return op.settled
}

// sure tells whether op has happened, and nothing may undo it.
func (t *trial) sure(op *Op) bool { return op.answered || op.seenIn == len(t.era.ends) }

// past tells whether op had happened before this operation began.
func (t *trial) past(op *Op) bool { return t.sure(op) && t.settled(op) < t.begin }

// valid tells whether s still counts: what was seen of changes that were never
// answered, the end of the run may have undone.
func (t *trial) valid(s *sight) bool { return s.answered || s.run == len(t.era.ends) }

// returned judges the content that a get was told.
func (t *trial) returned(c content) Verdict {
	parts, v, text := t.impossible(&c)
	if v == Fine {
		v, text = t.expired(parts[c.base])
	}
	if v != Fine {
		return t.breach(v, text)
	}
	if t.h.missEnd != 0 && t.h.missEnd < t.begin && t.lastSettled(parts) < t.h.missBegin && c.count == 0 {
		t.o.counts.cameBack.Add(1)
	}
	t.saw(c, parts, c.count == 0)
	return Fine
}

// numbered judges the CAS number that came with c.
func (t *trial) numbered(c *content, cas uint64) Verdict {
	for _, version := range c.parts {
		if op := t.h.find(version); cas <= t.era.casMost && op.run == len(t.era.ends) {
			return t.breach(Wrong, fmt.Sprintf("%v has CAS %d, and %d was seen before #%d was sent to this run", c, cas, t.era.casMost, version))
		}
	}
	for most := t.o.casMost.Load(); cas > most && !t.o.casMost.CompareAndSwap(most, cas); {
		most = t.o.casMost.Load()
	}
	return Fine
}

// replaced judges the content that a CAS has replaced.
func (t *trial) replaced(from *Seen) Verdict {
	if len(from.content.parts) == 0 {
		return Fine // what it was compared with was a breach itself
	}
	_, v, text := t.impossible(&from.content)
	if v != Fine {
		return t.breach(v, "compared and swapped: "+text)
	}
	return Fine
}

// incremented judges the reply to an Incr, and what it must have replaced.
func (t *trial) incremented(c content) Verdict {
	before := c
	before.count--
	parts, v, text := t.impossible(&before)
	for _, s := range t.h.seen {
		if v == Fine && s.answered && s.count == c.count && s.parts[0] == c.parts[0] {
			v, text = Wrong, fmt.Sprintf("an increment to %v was answered twice", &c)
		}
	}
	if v != Fine {
		return t.breach(v, "incremented: "+text)
	}
	t.saw(c, parts, true)
	return Fine
}

// impossible tells why a get could not return c, but for its expiry time.
// Otherwise it gives the operations that made it.
func (t *trial) impossible(c *content) (parts []*Op, v Verdict, text string) {
	for _, version := range c.parts {
		op := t.h.find(version)
		switch {
		case version > t.o.versions.Load():
			return nil, Wrong, fmt.Sprintf("%v has #%d, which was never sent", c, version)
		case op == nil:
			return nil, Stale, fmt.Sprintf("%v has #%d, which was replaced long ago or has not happened", c, version)
		case op.refused:
			return nil, Resurrected, fmt.Sprintf("%v has #%d, which was refused", c, version)
		}
		parts = append(parts, op)
	}
	if v, text := t.disorder(c, parts); v != Fine {
		return nil, v, text
	}
	first := parts[0]
	for _, op := range parts {
		if t.settled(op) < t.settled(first) {
			first = op
		}
	}
	v, text = t.superseded(c, first)
	return parts, v, text
}

// disorder tells whether c's parts cannot have been put together in the order
// of its bytes: what was appended or prepended later is further outside.
func (t *trial) disorder(c *content, parts []*Op) (Verdict, string) {
	outwards := func(inner, outer *Op) bool { return t.settled(outer) >= inner.begin }
	for i := range parts[1:] {
		inner, outer := parts[i], parts[i+1]
		if i < c.base {
			inner, outer = outer, inner
		}
		if !outwards(inner, outer) {
			return Wrong, fmt.Sprintf("%v has #%d around #%d, which began after it had ended", c, outer.version, inner.version)
		}
	}
	if base := parts[c.base]; c.count > t.h.incrs-base.overBefore {
		return Wrong, fmt.Sprintf("%v was incremented more often than asked for", c)
	}
	return Fine, ""
}

// superseded looks for what happened after first, the earliest settled part of
// c, and is not in c.
func (t *trial) superseded(c *content, first *Op) (Verdict, string) {
	settled := t.settled(first)
	after := fmt.Sprintf("%v, of which #%d was settled at %.6f, came after", c, first.version, settled.Seconds())
	for _, x := range t.h.ops {
		if x.kind.changesValue() && t.past(x) && x.begin > settled && !c.has(x.version) {
			v := Stale
			if x.kind == Delete || x.refused {
				v = Resurrected
			}
			return v, fmt.Sprintf("%s %v #%d of %.6f to %.6f", after, x.kind, x.version, x.begin.Seconds(), t.settled(x).Seconds())
		}
	}
	for _, f := range t.era.flushes {
		if f.answered && f.settled < t.begin && f.begin > settled {
			return Resurrected, fmt.Sprintf("%s flush_all of %.6f to %.6f", after, f.begin.Seconds(), f.settled.Seconds())
		}
	}
	for i := range t.h.seen {
		s := &t.h.seen[i]
		if s.end < t.begin && t.valid(s) && !s.within(c) && (s.begin > settled || c.within(&s.content)) {
			return Stale, fmt.Sprintf("%s %v was seen from %.6f to %.6f", after, &s.content, s.begin.Seconds(), s.end.Seconds())
		}
	}
	return Fine, ""
}

// expired tells whether a value with this base was over when the get began,
// whichever of the expiry times it may have had is taken.
func (t *trial) expired(base *Op) (Verdict, string) {
	latest := time.Duration(0)
	for _, op := range t.timers(base) {
		latest = max(latest, t.expiry(op))
	}
	if latest >= t.begin {
		return Fine, ""
	}
	return Expired, fmt.Sprintf("a value of #%d expired at %.6f at the latest", base.version, latest.Seconds())
}

// timers are the operations whose expiry time a value with this base may have.
func (t *trial) timers(base *Op) (timers []*Op) {
	all := []*Op{base}
	for _, op := range t.h.ops {
		if op.kind.retimes() && op != t.op {
			all = append(all, op)
		}
	}
	for _, op := range all {
		later := func(x *Op) bool { return t.past(x) && x.begin > t.settled(op) }
		if !slices.ContainsFunc(all, later) {
			timers = append(timers, op)
		}
	}
	return timers
}

// expiry is by when a value that got its time from op is gone.
func (t *trial) expiry(op *Op) time.Duration {
	settled := t.settled(op)
	if op.ttl == 0 || settled == never {
		return never
	}
	return settled + op.ttl + t.o.slack
}

func (t *trial) lastSettled(parts []*Op) (last time.Duration) {
	for _, op := range parts {
		last = max(last, t.settled(op))
	}
	return last
}

// saw notes that a content was current at some time from begin to end, and so
// that all in it has happened.
func (t *trial) saw(c content, parts []*Op, answered bool) {
	for _, op := range parts {
		op.settled = min(op.settled, t.end)
		op.seenIn = len(t.era.ends)
		answered = answered && op.answered
	}
	if len(t.h.ops) == 1 && c.count == 0 && t.era.binding == never {
		return // nothing else could be returned
	}
	t.h.seen = append(t.h.seen, sight{content: c, begin: t.begin, end: t.end, run: len(t.era.ends), answered: answered})
}
