package certify

import (
	"embed"
	"fmt"
	"strings"
	"time"
)

//go:embed checks/*.txt
var scripts embed.FS

// groups are the groups of checks in the order in which they run; each is a file
// of scripts.
var groups = []string{"text", "meta", "binary", "flash"}

// Groups returns the names of the groups of checks.
func Groups() []string { return append([]string(nil), groups...) }

// boundary is what has to happen between two phases of a check.
type boundary int

const (
	none    boundary = iota
	waiting          // time passes: the clock of memcached ticks once a second
	toFlash          // what has been stored so far goes to flash
)

// waitTime is long enough that an exptime of one second has passed: the server's
// clock may stand up to a second before or behind.
const waitTime = 2200 * time.Millisecond

// A check is one script. Directives set the fields beside the phases:
//
//	! since 1.6.45 REASON   an older memcached need not pass
//	! needs flush           changes what others see: runs only if that is allowed
//	! needs small           goes over all items: not on a server with many
//	! needs big             sends more than an item may hold: not if that is much
//	! needs meta            is not of the meta group, but has meta commands
//	! needs nosasl          is of a server without SASL
//	! note TEXT             is said when the check fails
//	! retry BUSY            is run again while the reply begins so
//	! noresync              the connections cannot answer any more at the end
//	! wait                  a new phase: see boundary
//	! flash                 a new phase: see boundary
type check struct {
	group, name string
	since       string // the first version of memcached that answers so, or empty
	note        string
	needs       string
	retry       string
	noresync    bool
	phases      []phase
}

// phase is what a check does before the next boundary. Connections last for a
// phase.
type phase struct {
	before boundary
	steps  []step
}

// step is a run of lines for one connection that are all sent, or all expected.
type step struct {
	conn   byte // '1', '2', or 'B' and 'C', which are binary
	send   bool
	bytely bool // one write a byte
	lines  []string
	line   int // number in the file, of the first
}

func (s *step) binary() bool { return s.conn >= 'B' }

// load reads the scripts of a group. An error is ours: the scripts are part of
// the program.
func load(group string) ([]*check, error) {
	text, err := scripts.ReadFile("checks/" + group + ".txt")
	if err != nil {
		return nil, err
	}
	return parseScripts(group, string(text))
}

func parseScripts(group, text string) (checks []*check, err error) {
	var c *check
	for i, line := range strings.Split(text, "\n") {
		switch {
		case line == "" || line[0] == '#':
			continue
		case line[0] == '=':
			c = &check{group: group, name: strings.TrimSpace(line[1:]), phases: []phase{{}}}
			checks = append(checks, c)
			continue
		case c == nil:
			err = fmt.Errorf("line outside of a check: %q", line)
		case line[0] == '!':
			err = c.direct(strings.TrimSpace(line[1:]))
		default:
			err = c.addLine(line, i+1)
		}
		if err != nil {
			return nil, fmt.Errorf("%s.txt:%d: %w", group, i+1, err)
		}
	}
	return checks, nil
}

func (c *check) direct(directive string) error {
	word, rest, _ := strings.Cut(directive, " ")
	switch word {
	case "since":
		c.since, c.note, _ = strings.Cut(rest, " ")
	case "needs":
		c.needs = rest
	case "note":
		c.note = rest
	case "retry":
		c.retry = rest
	case "noresync":
		c.noresync = true
	case "wait":
		c.phases = append(c.phases, phase{before: waiting})
	case "flash":
		c.phases = append(c.phases, phase{before: toFlash})
	default:
		return fmt.Errorf("unknown directive %q", directive)
	}
	return nil
}

// addLine takes a line to send or to expect, and joins it to the step before if
// that is of the same kind.
func (c *check) addLine(line string, number int) error {
	s := step{conn: '1', line: number}
	if strings.IndexByte("2BC", line[0]) >= 0 {
		s.conn, line = line[0], line[1:]
	}
	head, rest, _ := strings.Cut(line, " ")
	switch head {
	case ">":
		s.send = true
	case ">>":
		s.send, s.bytely = true, true
	case "<":
	default:
		return fmt.Errorf("a line begins with %q", head)
	}
	s.lines = []string{rest}
	steps := &c.phases[len(c.phases)-1].steps
	if n := len(*steps); n > 0 {
		if last := &(*steps)[n-1]; last.conn == s.conn && last.send == s.send && last.bytely == s.bytely {
			last.lines = append(last.lines, rest)
			return nil
		}
	}
	*steps = append(*steps, s)
	return nil
}
