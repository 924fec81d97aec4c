package certify

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"time"
)

// runner runs checks one after another.
type runner struct {
	opt    *Options
	server *server
	prefix string // of all keys
	checks int    // begun, which numbers their keys
}

// newPrefix makes keys that no one else has.
func newPrefix() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return "certify-" + hex.EncodeToString(b[:]) + "-"
}

// trial is a check under way.
type trial struct {
	*check
	env     *env
	result  Result
	streams map[byte]*stream
	opened  []byte // names of streams, in order
	sent    []byte
}

// group runs the checks of a group: all that come before a boundary, then what
// the boundary asks for, once, then what comes behind it. Results are in the
// order of the checks.
func (r *runner) group(ctx context.Context, checks []*check) ([]Result, error) {
	trials := make([]*trial, len(checks))
	for i, c := range checks {
		trials[i] = r.begin(c)
	}
	defer r.cleanUp(ctx, trials)
	at := make([]int, len(checks)) // the phase that is next
	for before := none; ; {
		for i, t := range trials {
			if at[i] < len(t.phases) && t.phases[at[i]].before == before {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				r.phase(ctx, t, &t.phases[at[i]])
				at[i]++
			}
		}
		next := none
		for i, t := range trials {
			if at[i] < len(t.phases) && t.result.Verdict == "" {
				next = max(next, t.phases[at[i]].before)
			}
		}
		if next == none {
			break
		}
		if err := r.cross(ctx, next, trials); err != nil {
			return nil, err
		}
		before = next
	}
	return r.results(trials), nil
}

func (r *runner) results(trials []*trial) (results []Result) {
	for _, t := range trials {
		if t.result.Verdict == "" {
			t.result.Verdict = Pass
		}
		r.server.excuse(t.check, &t.result)
		results = append(results, t.result)
		if r.opt.Each != nil {
			r.opt.Each(t.result)
		}
	}
	return results
}

func (r *runner) begin(c *check) *trial {
	r.checks++
	t := &trial{check: c, result: Result{Group: c.group, Name: c.name}}
	t.env = &env{
		prefix:  fmt.Sprintf("%s%d-", r.prefix, r.checks),
		keys:    map[string]bool{},
		numbers: maps.Clone(r.server.numbers),
	}
	t.env.numbers["now"] = uint64(time.Now().Unix())
	if why := r.server.lacks(c, r.opt.Flush); why != "" {
		t.result.Verdict, t.result.Why = NotSupported, why
	}
	return t
}

// cross does what a boundary between phases asks for.
func (r *runner) cross(ctx context.Context, b boundary, trials []*trial) error {
	if b == toFlash {
		why, err := r.moveToFlash(ctx)
		if why != "" {
			for _, t := range trials {
				if t.result.Verdict == "" {
					t.result.Verdict, t.result.Why = NotSupported, why
				}
			}
		}
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(waitTime):
		return nil
	}
}

// A check may find the server busy with something that it does of itself.
const (
	mostRetries = 30
	retryPause  = 100 * time.Millisecond
)

// phase runs the steps of a phase, unless the check has a verdict already.
func (r *runner) phase(ctx context.Context, t *trial, p *phase) {
	if t.result.Verdict != "" {
		return
	}
	for range mostRetries {
		r.try(ctx, t, p)
		f := t.result.Failure
		if f == nil || t.retry == "" || !strings.HasPrefix(f.Received, t.retry) {
			return
		}
		t.result = Result{Group: t.group, Name: t.name}
		time.Sleep(retryPause)
	}
	t.result.Verdict, t.result.Why = NotSupported, "the server was always busy"
}

// try runs the steps of a phase on new connections.
func (r *runner) try(ctx context.Context, t *trial, p *phase) {
	t.streams, t.opened = map[byte]*stream{}, nil
	defer func() {
		for _, s := range t.streams {
			s.conn.Close()
		}
	}()
	for i := range p.steps {
		if t.result.Verdict == "" {
			r.step(ctx, t, &p.steps[i])
		}
	}
	for _, name := range t.opened {
		if s := t.streams[name]; t.result.Verdict == "" && !s.closed && !t.noresync {
			r.resync(t, s, name, p.steps[len(p.steps)-1].line)
		}
	}
}

// resync proves that a connection is where a client would believe it to be after
// the step at line.
func (r *runner) resync(t *trial, s *stream, name byte, line int) {
	ask := step{conn: name, line: line, send: true, lines: []string{`version\r\n`}}
	answer := step{conn: name, line: line, lines: []string{`VERSION {~}\r\n`}}
	if ask.binary() {
		ask.lines, answer.lines = []string{"noop opaque=0x5ca1ab1e"}, []string{"noop opaque=0x5ca1ab1e"}
	}
	for _, st := range []*step{&ask, &answer} {
		if t.result.Verdict == "" {
			r.exchange(t, s, st)
		}
	}
	if t.result.Verdict == Fail {
		t.result.Why = "the connection is out of step after the check"
	}
}

func (r *runner) step(ctx context.Context, t *trial, st *step) {
	s := t.streams[st.conn]
	if s == nil {
		conn, err := r.server.dial(ctx, r.opt, st.binary())
		if err != nil {
			t.fail(st, "a connection", nil, "connect: "+err.Error())
			return
		}
		s = &stream{conn: conn, in: bufio.NewReaderSize(conn, keepMost), timeout: r.opt.Timeout}
		t.streams[st.conn] = s
		t.opened = append(t.opened, st.conn)
	}
	r.exchange(t, s, st)
}

// exchange sends what st sends, or receives what it expects. A line is expanded
// once what it follows has come, so that it can use what that has named.
func (r *runner) exchange(t *trial, s *stream, st *step) {
	if st.send {
		r.send(t, s, st)
		return
	}
	s.got = s.got[:0]
	var shown strings.Builder
	for i, line := range st.lines {
		elements, err := st.compile(line, t.env)
		if err != nil {
			t.fail(st, line, nil, err.Error())
			return
		}
		shown.WriteString(show(elements))
		if err := s.expect(elements, t.env); err != nil {
			shown.WriteString(strings.Join(st.lines[i+1:], ""))
			why := s.reason(err)
			t.fail(st, shown.String(), s.rest(), why)
			return
		}
	}
}

func (r *runner) send(t *trial, s *stream, st *step) {
	t.sent = t.sent[:0]
	for _, line := range st.lines {
		elements, err := st.compile(line, t.env)
		if err != nil {
			t.fail(st, line, nil, err.Error())
			return
		}
		for _, el := range elements {
			t.sent = append(t.sent, el.text...)
		}
	}
	// The server may rightly have closed the connection, which then shows in
	// what is expected.
	_ = s.send(t.sent, st.bytely)
}

// fail is the verdict: what came instead of what was expected, and how the two
// differ.
func (t *trial) fail(st *step, expected string, received []byte, why string) {
	t.result.Verdict, t.result.Why = Fail, t.note
	t.result.Failure = &Failure{
		Line: st.line, Sent: escape(t.sent),
		Expected: expected, Received: escape(received), Difference: why,
	}
}

// compile expands a line of st.
func (st *step) compile(line string, e *env) ([]element, error) {
	if st.binary() {
		return compilePacket(line, st.send, e)
	}
	return compile(line, e)
}
