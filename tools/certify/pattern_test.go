package certify

import (
	"bufio"
	"net"
	"strings"
	"testing"
	"time"
)

// played is a stream on which the server says reply, and then nothing, or ends.
func played(t *testing.T, reply string, ends bool) *stream {
	client, server := net.Pipe()
	t.Cleanup(func() { client.Close(); server.Close() })
	go func() {
		_, _ = server.Write([]byte(reply)) // fails when the test is over
		if ends {
			server.Close()
		}
	}()
	return &stream{conn: client, in: bufio.NewReader(client), timeout: 50 * time.Millisecond}
}

func newEnv() *env {
	return &env{prefix: "p-", keys: map[string]bool{}, numbers: map[string]uint64{"five": 5}}
}

// TestPatterns matches what comes with what is expected.
func TestPatterns(t *testing.T) {
	for _, test := range []struct{ pattern, reply, why string }{
		{`OK\r\n`, "OK\r\n", ""},
		{`OK\r\n`, "ok\r\n", "differs at byte 1"},
		{`OK\r\n`, "OK\n", "differs at byte 3"},
		{`OK\r\n`, "OK", "no more came after byte 2"},
		{`OK\r\n`, "OK|", "the connection was closed"},
		{`\x00\x80\\\{`, "\x00\x80\\{", ""},
		{`VALUE {k} {#} \r\n`, "VALUE p-k 17 \r\n", ""},
		{`{#}\r`, "\r", "differs at byte 1"},
		{`{#}\r`, "-1\r", "differs at byte 1"},
		{`{#}\r`, "18446744073709551616\r", "differs at byte 20"},
		{`{3..five}\r`, "5\r", ""},
		{`{3..five}\r`, "6\r", "differs at byte 1"},
		{`{#n} {n}\r`, "12 12\r", `nothing is called "n"`}, // within a line nothing is known yet
		{`{99|99 }\r`, "99 \r", ""},
		{`{99|99 }\r`, "99\r", ""},
		{`{99|99 }\r`, "9\r", "differs at byte 1"},
		{`{9|99}`, "9", ""},
		{`{OK|BUSY x}\r\n`, "BUSY x\r\n", ""},
		{`VERSION {~}\r\n`, "VERSION a b\r\n", ""},
		{`VERSION {~}\r\n`, "VERSION a b", "no more came after byte 11"},
		{`{...}END\r\n`, "STAT END\r\nEN\rEND\r\n", ""},
		{`{...}END\r\n`, "", "no more came after byte 0"},
		{`{ab*3}\r\n`, "ababab\r\n", ""},
		{`{\r\n*2}`, "\r\n\r\n", ""},
		{`{b64 k}`, "cC1r", ""},
		{`{five+2} {five-2} {five/2}`, "7 3 2", ""},
		{`OK{eof}`, "OK|", ""},
		{`OK{eof}`, "OK", "no more came after byte 2"},
		{`OK{eof}`, "OK!", "differs at byte 3"},
	} {
		reply, ends := strings.CutSuffix(test.reply, "|")
		if got := match(t, test.pattern, played(t, reply, ends)); got != test.why {
			t.Errorf("%s with %q: %q, want %q", test.pattern, test.reply, got, test.why)
		}
	}
}

func match(t *testing.T, pattern string, s *stream) string {
	e := newEnv()
	elements, err := compile(pattern, e)
	if err != nil {
		return err.Error()
	}
	if err := s.expect(elements, e); err != nil {
		return s.reason(err)
	}
	return ""
}

// TestPackets: words make the packet that they say, and match it.
func TestPackets(t *testing.T) {
	header := "\x81\x05\x00\x01\x04\x00\x00\x02\x00\x00\x00\x07\xfa\xca\xde\x42"
	for _, test := range []struct{ line, reply, why string }{
		{"incr status=2 flags=9 key=a value=bc", header + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09abc", ""},
		{"incr status=2 flags=9 key=a value=bc", header + "\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x09abc", "differs at byte 24"},
		{"incr status=2 flags=9 key=a cas=# value=bc", header + "\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x09abc", ""},
		{"incr status=2 flags=9 key=a cas=# value=bc", header + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09abc", "differs at byte 24"},
		{"incr status=2 flags=9 key=a value=*", header + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09axy", ""},
		{"incr status=2 flags=9 key=a value=*", header + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09ax", "no more came after byte 30"},
		{"{...} incr status=2 flags=9 key=a value=bc", "\x81" + header + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09abc", ""},
		{"{eof}", "|", ""},
	} {
		reply, ends := strings.CutSuffix(test.reply, "|")
		s, e := played(t, reply, ends), newEnv()
		elements, err := compilePacket(test.line, false, e)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := s.expect(elements, e); err != nil {
			got = s.reason(err)
		}
		if got != test.why {
			t.Errorf("%s with %q: %q, want %q", test.line, test.reply, got, test.why)
		}
	}
}

// TestScriptErrors: what is no script is refused, with its place.
func TestScriptErrors(t *testing.T) {
	for text, want := range map[string]string{
		"> version\\r\\n":     "line outside of a check",
		"= a\n! certify":      `unknown directive "certify"`,
		"= a\n? version\\r\n": `a line begins with "?"`,
	} {
		if _, err := parseScripts("text", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	for _, line := range []string{`{k`, `{unknown}`, `\q`, `{x*y}`, `{k:2}`, `{1..x}`, `{five/0}`} {
		if _, err := compile(line, newEnv()); err == nil {
			t.Errorf("%s is taken", line)
		}
	}
	for _, line := range []string{"bogus key=a", "get key={#}", "get cas=x", "get flags={x}"} {
		if _, err := compilePacket(line, true, newEnv()); err == nil {
			t.Errorf("%s is taken", line)
		}
	}
}

func TestOlder(t *testing.T) {
	for _, test := range []struct {
		version, since string
		want           bool
	}{
		{"1.6.18", "1.6.45", true}, {"1.6.45", "1.6.45", false}, {"1.6.45-hearth-0.1.0", "1.6.45", false},
		{"1.6.9", "1.6.18", true}, {"1.10.1", "1.6.45", false}, {"1.6", "1.6.45", true}, {"unknown", "1.6.45", false},
		{"2.0", "1.6.45", false},
	} {
		if got := older(test.version, test.since); got != test.want {
			t.Errorf("%s older than %s: %v", test.version, test.since, got)
		}
	}
}
