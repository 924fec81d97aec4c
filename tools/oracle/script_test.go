package oracle

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// script runs a history written as statements, of which each takes a second:
//
//	set a, add a, replace a, append a, prepend a, delete a, touch a, gat a, incr a, get a
//	cas a b       begins the operation a; ttl=5 after it is its expiry time
//	ok a, no a, absent a, refused a, lost a     ends it
//	got a b c     ends it with the value of operations b and c, in that order
//	number a b 3  ends it with b's number incremented 3 times
//	text a ...    ends it with these bytes
//	flush a [5]   begins a flush_all, in 5 seconds
//	kill, stop    end the server's run; stop keeps everything
//	sleep 5       lets seconds pass
//	forbid        forbids misses
//
// "set! a" is begin and ok in one, and "get! b c" a get that returns b and c.
type script struct {
	t      *testing.T
	o      *Oracle
	now    time.Duration
	ops    map[string]*Op
	flush  map[string]*Flush
	seen   map[string]Seen
	breach []Breach
}

const scriptSlack = 2 * time.Second

func newScript(t *testing.T, digits bool) *script {
	s := &script{t: t, ops: map[string]*Op{}, flush: map[string]*Flush{}, seen: map[string]Seen{}}
	s.o = New(Options{
		Keys: 2, Slack: scriptSlack, Run: 7, Digits: func(uint32) bool { return digits },
		Now:      func() time.Duration { return s.now },
		OnBreach: func(b Breach) { s.breach = append(s.breach, b) },
	})
	return s
}

var kindOf = map[string]Kind{
	"get": Get, "gat": Gat, "touch": Touch, "set": Set, "add": Add, "replace": Replace, "cas": CAS,
	"append": Append, "prepend": Prepend, "incr": Incr, "delete": Delete,
}

// run gives the verdict of the last statement.
func (s *script) run(text string) (v Verdict) {
	for statement := range strings.SplitSeq(text, ";") {
		s.now += time.Second
		v = s.step(strings.Fields(statement))
	}
	return v
}

func (s *script) step(words []string) Verdict {
	verb, once := strings.CutSuffix(words[0], "!")
	kind, begins := kindOf[verb]
	if !begins {
		return s.other(verb, words[1:])
	}
	if once && (kind == Get || kind == Gat) {
		s.begin(kind, []string{"!"})
		s.now += time.Second / 2
		return s.other("got", append([]string{"!"}, words[1:]...))
	}
	s.begin(kind, words[1:])
	if once {
		s.now += time.Second / 2
		return s.ops[words[1]].Applied()
	}
	return Fine
}

func (s *script) begin(kind Kind, words []string) {
	ttl := time.Duration(0)
	if text, found := strings.CutPrefix(words[len(words)-1], "ttl="); found {
		seconds, err := strconv.Atoi(text)
		if err != nil {
			s.t.Fatal(err)
		}
		ttl = time.Duration(seconds) * time.Second
	}
	if kind == CAS {
		s.ops[words[0]] = s.o.BeginCAS(0, ttl, s.seen[words[1]])
	} else {
		s.ops[words[0]] = s.o.Begin(kind, 0, ttl)
	}
}

func (s *script) other(verb string, words []string) Verdict {
	switch verb {
	case "kill", "stop":
		s.o.Restart(verb == "stop")
		return Fine
	case "forbid":
		s.o.ForbidMisses()
		return Fine
	case "sleep":
		s.now += time.Duration(s.number(words[0])) * time.Second
		return Fine
	case "flush", "flush!":
		delay := time.Duration(0)
		if len(words) > 1 {
			delay = time.Duration(s.number(words[1])) * time.Second
		}
		s.flush[words[0]] = s.o.BeginFlush(delay)
		return Fine
	}
	if f := s.flush[words[0]]; f != nil {
		delete(s.flush, words[0])
		if verb == "ok" {
			f.Applied()
		} else {
			f.Unknown()
		}
		return Fine
	}
	return s.finish(verb, s.ops[words[0]], words)
}

func (s *script) finish(verb string, op *Op, words []string) Verdict {
	switch verb {
	case "ok":
		return op.Applied()
	case "no":
		op.NotApplied()
	case "absent":
		return op.Absent()
	case "refused":
		op.Refused()
	case "lost":
		op.Unknown()
	case "number":
		return op.Number(s.o.numberOf(0, s.ops[words[1]].version) + uint64(s.number(words[2])))
	case "got":
		return s.got(op, words[1:])
	case "text":
		_, v := op.Got([]byte(strings.Join(words[1:], " ")))
		return v
	default:
		s.t.Fatalf("no verb %q", verb)
	}
	return Fine
}

// got ends a get with the value that the named operations make; +3 after a
// number's set is its increments.
func (s *script) got(op *Op, names []string) Verdict {
	var value []byte
	for i, name := range names {
		if text, found := strings.CutPrefix(name, "+"); found {
			value = fmt.Appendf(nil, "%d", s.o.numberOf(0, s.ops[names[0]].version)+uint64(s.number(text)))
		} else {
			value = s.ops[name].Value(value, ChunkSize+10*i+1)
		}
	}
	seen, v := op.Got(value)
	if len(names) > 0 {
		s.seen[names[0]] = seen
	}
	return v
}

func (s *script) number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}
