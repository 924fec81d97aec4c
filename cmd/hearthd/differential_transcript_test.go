package main_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var record = flag.Bool("record", false, "record testdata/transcripts anew from the memcached that is installed")

const transcriptDir = "../../testdata/transcripts"

// A transcript is a text of steps, each of what is sent in one write and the
// bytes that memcached answered to it:
//
//	# a comment
//	@ b                        go on as client b, connecting it if need be
//	! sleep 2200ms             let time pass
//	! demote                   what is stored is on flash from here on, where there is one
//	? version                  the next reply may differ by this named exception
//	? hearthd ERROR\r\n         hearthd's next reply is this one; a comment says why
//	> set a 0 0 3\r\nabc\r\n   sent; several lines are one write
//	< STORED\r\n               the reply; a bare < is none
//	! closed                   and then the server closes the connection
//
// Text has the escapes \r \n \t \\ \{ \xNN and {TEXT*N}, which is TEXT N times
// with %d in it counting from 1. At the end every client half-closes and the
// server must close without another byte, so a superfluous reply is seen even
// after the last step.
type transcript struct {
	header []string // comments and blank lines after the last step
	steps  []step
}

// step is one exchange; lines are those before it (comments, blank) as written.
type step struct {
	at        int // line number
	lines     []string
	client    string
	pause     time.Duration
	demote    bool
	exception string
	instead   *[]byte  // hearthd's reply, if it is another one
	sent      []string // raw text of the > lines
	want      []byte
	closed    bool
}

func readTranscript(path string) (*transcript, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t := &transcript{}
	p := transcriptParser{t: t}
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if err := p.line(i+1, line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", filepath.Base(path), i+1, err)
		}
	}
	p.end()
	t.header = p.cur.lines
	return t, nil
}

// transcriptParser collects lines into steps: a step ends where, after its
// reply, the next one begins.
type transcriptParser struct {
	t       *transcript
	cur     step
	replied bool
}

func (p *transcriptParser) end() {
	if p.replied {
		p.t.steps = append(p.t.steps, p.cur)
		p.cur, p.replied = step{}, false
	}
}

func (p *transcriptParser) line(at int, line string) error {
	kind, rest, _ := strings.Cut(line, " ")
	if kind == "<" || line == "! closed" {
		return p.reply(kind, rest)
	}
	p.end()
	if kind == ">" {
		if p.cur.at == 0 {
			p.cur.at = at
		}
		_, err := unescape(rest)
		p.cur.sent = append(p.cur.sent, rest)
		return err
	}
	if len(p.cur.sent) > 0 {
		return fmt.Errorf("line %q between what is sent", line)
	}
	switch kind {
	case "@":
		p.cur.client = rest
	case "?":
		if err := p.differ(rest); err != nil {
			return err
		}
	case "!":
		if err := p.directive(rest); err != nil {
			return err
		}
	default:
		if line != "" && kind != "#" {
			return fmt.Errorf("line %q begins with none of # @ ! ? > <", line)
		}
	}
	p.cur.lines = append(p.cur.lines, line)
	return nil
}

func (p *transcriptParser) differ(rest string) error {
	if reply, ok := strings.CutPrefix(rest, "hearthd "); ok || rest == "hearthd" {
		b, err := unescape(strings.TrimPrefix(reply, "hearthd"))
		p.cur.instead = &b
		return err
	}
	p.cur.exception = rest
	if _, ok := exceptions[rest]; !ok {
		return fmt.Errorf("no exception is named %q", rest)
	}
	return nil
}

func (p *transcriptParser) directive(text string) (err error) {
	switch verb, arg, _ := strings.Cut(text, " "); verb {
	case "sleep":
		p.cur.pause, err = time.ParseDuration(arg)
	case "demote":
		p.cur.demote = true
	default:
		err = fmt.Errorf("unknown directive %q", text)
	}
	return err
}

func (p *transcriptParser) reply(kind, rest string) error {
	if len(p.cur.sent) == 0 {
		return errors.New("a reply to nothing")
	}
	p.replied = true
	if kind != "<" {
		p.cur.closed = true
		return nil
	}
	b, err := unescape(rest)
	p.cur.want = append(p.cur.want, b...)
	return err
}

// text is the transcript as a file.
func (t *transcript) text() []byte {
	var b bytes.Buffer
	line := func(s string) { b.WriteString(s + "\n") }
	for _, s := range t.steps {
		for _, l := range s.lines {
			line(l)
		}
		for _, l := range s.sent {
			line("> " + l)
		}
		if len(s.want) == 0 {
			line("<")
		}
		for _, l := range escapeLines(s.want) {
			line("< " + l)
		}
		if s.closed {
			line("! closed")
		}
	}
	for _, l := range t.header {
		line(l)
	}
	return b.Bytes()
}

// unescape returns the bytes that a transcript's text stands for.
func unescape(s string) ([]byte, error) {
	var out []byte
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			n, b, err := unescapeOne(s[i+1:])
			if err != nil {
				return nil, err
			}
			out = append(out, b)
			i += n
		case s[i] == '{':
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return nil, fmt.Errorf("{ without }: %q", s[i:])
			}
			b, err := repeated(s[i+1 : i+end])
			if err != nil {
				return nil, err
			}
			out = append(out, b...)
			i += end
		default:
			out = append(out, s[i])
		}
	}
	return out, nil
}

// unescapeOne decodes what follows a backslash and says how long it is.
func unescapeOne(s string) (int, byte, error) {
	switch s[0] {
	case 'r':
		return 1, '\r', nil
	case 'n':
		return 1, '\n', nil
	case 't':
		return 1, '\t', nil
	case '\\', '{':
		return 1, s[0], nil
	case 'x':
		if len(s) >= 3 {
			b, err := strconv.ParseUint(s[1:3], 16, 8)
			return 3, byte(b), err
		}
	}
	return 0, 0, fmt.Errorf("unknown escape \\%c", s[0])
}

// repeated expands TEXT*N.
func repeated(s string) ([]byte, error) {
	star := strings.LastIndexByte(s, '*')
	if star < 0 {
		return nil, fmt.Errorf("{%s} has no *N", s)
	}
	n, err := strconv.Atoi(s[star+1:])
	if err != nil {
		return nil, err
	}
	text, err := unescape(s[:star])
	if err != nil || !bytes.Contains(text, []byte("%d")) {
		return bytes.Repeat(text, n), err
	}
	var out []byte
	for i := 1; i <= n; i++ {
		out = append(out, bytes.ReplaceAll(text, []byte("%d"), strconv.AppendInt(nil, int64(i), 10))...)
	}
	return out, nil
}

// escape is the inverse of unescape; long runs of one byte are repetitions.
func escape(b []byte) string {
	var out strings.Builder
	for i := 0; i < len(b); {
		n := i + 1
		for n < len(b) && b[n] == b[i] {
			n++
		}
		if n-i >= 40 && b[i] > ' ' && b[i] < 0x7f && !strings.ContainsRune(`\{}*`, rune(b[i])) {
			fmt.Fprintf(&out, "{%c*%d}", b[i], n-i)
			i = n
			continue
		}
		out.WriteString(escapeOne(b[i]))
		i++
	}
	return out.String()
}

// escapeLines escapes a reply line by line; equal lines that follow each other
// become one repetition.
func escapeLines(b []byte) []string {
	var out []string
	lines := bytes.SplitAfter(b, []byte("\n"))
	for i := 0; i < len(lines); {
		n := i + 1
		for n < len(lines) && bytes.Equal(lines[n], lines[i]) {
			n++
		}
		text := escape(lines[i])
		if n-i > 3 && !strings.ContainsAny(text, "{%*}") {
			out = append(out, fmt.Sprintf("{%s*%d}", text, n-i))
		} else {
			for range n - i {
				out = append(out, text)
			}
		}
		i = n
	}
	if out[len(out)-1] == "" { // what follows the last line's end
		out = out[:len(out)-1]
	}
	return out
}

func escapeOne(b byte) string {
	switch {
	case b == '\r':
		return `\r`
	case b == '\n':
		return `\n`
	case b == '\\' || b == '{':
		return `\` + string(b)
	case b < ' ' || b >= 0x7f:
		return fmt.Sprintf(`\x%02x`, b)
	}
	return string(b)
}

// player runs the steps of a transcript against a server, one connection for
// every client named in it.
type player struct {
	s       *running
	clients map[string]net.Conn
	ended   map[string]bool // closed by the server
	client  string
	record  bool
	inBytes bool // short requests are sent a byte at a time
}

func newPlayer(s *running) *player {
	return &player{s: s, clients: map[string]net.Conn{}, ended: map[string]bool{}}
}

// play runs one step and returns what was wrong with the reply.
func (p *player) play(t testing.TB, st *step) error {
	time.Sleep(st.pause)
	if st.demote {
		p.s.demote(t)
	}
	if st.client != "" {
		p.client = st.client
	}
	c := p.clients[p.client]
	if c == nil {
		c = p.s.dial(t)
		p.clients[p.client] = c
	}
	if p.ended[p.client] {
		return errors.New("the server has closed this connection already")
	}
	send, _ := unescape(strings.Join(st.sent, ""))
	// Beside the reading, as the reply may fill the socket before all is sent;
	// a server that closes does not take all of it.
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		c.SetWriteDeadline(time.Now().Add(patience))
		for piece := range slices.Chunk(send, p.pieceOf(send)) {
			if _, err := c.Write(piece); err != nil {
				return
			}
		}
	}()
	defer func() { <-sent }()
	if p.record {
		return p.recordReply(c, st)
	}
	return p.checkReply(c, st)
}

// pieceOf is how many bytes of what is sent go into one write.
func (p *player) pieceOf(send []byte) int {
	if p.inBytes && len(send) < 5000 {
		return 1
	}
	return max(len(send), 1)
}

// recordReply keeps what comes until the server falls silent.
func (p *player) recordReply(c net.Conn, st *step) error {
	got, err := readQuiet(c, 60*time.Millisecond)
	st.want, st.closed = got, err == nil
	p.ended[p.client] = st.closed
	return nil
}

func (p *player) checkReply(c net.Conn, st *step) error {
	if st.instead != nil && p.s.name == "hearthd" {
		other := *st
		other.want = *st.instead
		st = &other
	}
	if len(st.want) == 0 && !st.closed {
		// Nothing to wait for. The pause lets the server see this write apart
		// from the next one, which is what such a step is for.
		time.Sleep(5 * time.Millisecond)
		return nil
	}
	allowed := p.allowed(st)
	got, err := readReply(c, st, allowed)
	if allowed.closes && len(got) == 0 && err == errClosed {
		p.ended[p.client] = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w\nwant %s\ngot  %s", err, brief(st.want), brief(got))
	}
	if !st.closed {
		return nil
	}
	p.ended[p.client] = true
	return expectClose(c)
}

// allowed returns the exception that holds for a step, the zero one for none.
func (p *player) allowed(st *step) exception {
	if e := exceptions[st.exception]; !e.own || p.s.name == "memcached" {
		return e
	}
	return exception{}
}

var (
	errClosed  = errors.New("the server closed the connection")
	errDiffers = errors.New("the reply differs")
)

// readReply reads until the reply is as wanted, or allowed in its place, or
// cannot become either.
func readReply(c net.Conn, st *step, allowed exception) ([]byte, error) {
	var got []byte
	buf := make([]byte, 64<<10)
	c.SetReadDeadline(time.Now().Add(patience))
	for {
		if bytes.Equal(got, st.want) || allowed.allows != nil && allowed.allows(st.want, got) {
			return got, nil
		}
		limit := len(buf)
		if allowed.allows == nil {
			if !bytes.HasPrefix(st.want, got) {
				more, _ := readQuiet(c, 50*time.Millisecond)
				return append(got, more...), errDiffers
			}
			limit = min(limit, len(st.want)-len(got))
		}
		n, err := c.Read(buf[:limit])
		got = append(got, buf[:n]...)
		switch {
		case err == nil || bytes.Equal(got, st.want):
		case errors.Is(err, os.ErrDeadlineExceeded):
			return got, errors.New("the reply is not complete")
		default: // EOF, or a reset when the server had not read all
			return got, errClosed
		}
	}
}

// expectClose wants the server to close without a further byte.
func expectClose(c net.Conn) error {
	c.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	switch {
	case n > 0:
		more, _ := readQuiet(c, 50*time.Millisecond)
		return fmt.Errorf("bytes that nothing asked for: %s", brief(append(buf[:n], more...)))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("the server does not close")
	}
	return nil // EOF, or a reset when it had not read all we sent
}

// finish half-closes the connections that are left.
func (p *player) finish() error {
	for name, c := range p.clients {
		if p.ended[name] {
			continue
		}
		c.(*net.TCPConn).CloseWrite()
		if err := expectClose(c); err != nil {
			return fmt.Errorf("at the end, client %q: %w", name, err)
		}
		c.Close()
	}
	return nil
}

// brief shows bytes escaped, the middle of long ones left out.
func brief(b []byte) string {
	const most = 600
	if s := escape(b); len(s) <= most {
		return s
	} else {
		return s[:most/2] + " [...] " + s[len(s)-most/2:] + fmt.Sprintf(" (%d bytes)", len(b))
	}
}

// differences runs a whole transcript. It goes on after a reply that differs,
// though what is found then may be a consequence.
func differences(t testing.TB, p *player, script *transcript) []error {
	t.Helper()
	var all []error
	for i := range script.steps {
		st := &script.steps[i]
		err := p.play(t, st)
		if err == nil {
			continue
		}
		all = append(all, fmt.Errorf("line %d: %s to %s: %w", st.at, p.s.name, strings.Join(st.sent, ""), err))
		if len(all) == 10 || !errors.Is(err, errDiffers) {
			return all
		}
	}
	if err := p.finish(); err != nil {
		all = append(all, err)
	}
	return all
}

// transcripts lists the files in testdata.
func transcripts(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(transcriptDir, "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no transcripts in %s: %v", transcriptDir, err)
	}
	return paths
}

// eachTranscript runs a function as a parallel subtest for every transcript.
func eachTranscript(t *testing.T, f func(t *testing.T, path string, script *transcript)) {
	for _, path := range transcripts(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			t.Parallel()
			script, err := readTranscript(path)
			if err != nil {
				t.Fatal(err)
			}
			f(t, path, script)
		})
	}
}

// TestTranscriptsMemcached holds the recorded replies to the memcached that is
// installed. With -record it writes them.
func TestTranscriptsMemcached(t *testing.T) {
	t.Parallel()
	bin := memcachedPath(t)
	eachTranscript(t, func(t *testing.T, path string, script *transcript) {
		p := newPlayer(startServer(t, bin, memcachedArgs...))
		p.record = *record
		for _, err := range differences(t, p, script) {
			t.Error(err)
		}
		if *record && !t.Failed() {
			if err := os.WriteFile(path, script.text(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestTranscriptsHearthd holds hearthd to the recorded replies, in every
// setting. It needs no memcached.
func TestTranscriptsHearthd(t *testing.T) {
	t.Parallel()
	for _, set := range settings {
		t.Run(set.name, func(t *testing.T) {
			t.Parallel()
			hearthdPath(t)
			eachTranscript(t, func(t *testing.T, _ string, script *transcript) {
				for _, err := range differences(t, newPlayer(set.start(t)), script) {
					t.Error(err)
				}
			})
		})
	}
}

// TestTranscriptsInBytes sends what is sent a byte at a time: a reply must not
// depend on how its request was split.
func TestTranscriptsInBytes(t *testing.T) {
	t.Parallel()
	for _, set := range settings[:2] {
		t.Run(set.name, func(t *testing.T) {
			t.Parallel()
			hearthdPath(t)
			eachTranscript(t, func(t *testing.T, _ string, script *transcript) {
				p := newPlayer(set.start(t))
				p.inBytes = true
				for _, err := range differences(t, p, script) {
					t.Error(err)
				}
			})
		})
	}
}

// TestTranscriptEscapes holds escape and unescape together.
func TestTranscriptEscapes(t *testing.T) {
	all := make([]byte, 0, 600)
	for b := range 256 {
		all = append(all, byte(b))
	}
	all = append(all, bytes.Repeat([]byte("x"), 100)...)
	all = append(all, bytes.Repeat([]byte("{"), 100)...)
	if back, err := unescape(escape(all)); err != nil || !bytes.Equal(back, all) {
		t.Errorf("got %q, %v; want %q", back, err, all)
	}
	for text, want := range map[string]string{
		`{ab*3}`: "ababab", `a{ k%d*3}\r\n`: "a k1 k2 k3\r\n", `\x00\{`: "\x00{", `{%d\r\n*2}`: "1\r\n2\r\n",
	} {
		if got, err := unescape(text); err != nil || string(got) != want {
			t.Errorf("unescape(%s) = %q, %v; want %q", text, got, err, want)
		}
	}
	for _, bad := range []string{`\q`, `{abc`, `{abc}`, `\x1`, `{a*b}`} {
		if got, err := unescape(bad); err == nil {
			t.Errorf("unescape(%s) = %q, want an error", bad, got)
		}
	}
}
