package text_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/text"
)

// logins are what memcached 1.6.45 makes of lines before the login.
var logins = []struct{ in, want string }{
	{"get a\r\n", "unauthenticated;"},
	{"\r\n", "unauthenticated;"},
	{"\n", "unauthenticated;"},
	{"quit\r\nversion\r\n", "unauthenticated;unauthenticated;"},
	{"set a 0 0\r\n", "unauthenticated;"},
	{"set a 0 0 7\r\nann x:y\r\n", `"ann" "x:y";`},
	{"set a 0 0 7\nann x:y\r\nset b 1 1 3 noreply\r\na b\r\n", `"ann" "x:y";"a" "b";`},
	{"set any old thing 7\r\nann x:y\r\n", `"ann" "x:y";`},
	{"set a 0 0 9\r\njoe pa ss\r\n", `"joe" "pa ss";`},
	{"set a 0 0 4\r\njoe \r\n", `"joe" "";`},
	{"set a 0 0 4\r\n joe\r\n", `"" "joe";`},
	{"setx a 0 0 7\r\nann x:y\r\n", `"ann" "x:y";`},
	{" set a 0 0 7\r\nann x:y\r\n", "unauthenticated;unauthenticated;"},
	{"set a 0 0 7x\r\nann x:y\r\n", "unauthenticated;unauthenticated;"},
	{"set a 0 0 -1\r\nann x:y\r\n", "unauthenticated;unauthenticated;"},
	{"set a 0 0 99999999999999999999\r\n", "unauthenticated;"},
	{"set a 0 0 4294967295\r\n", "unauthenticated;"},
	{"set a 0 0 7\r\nann x:yzzget a\r\n", "bad command line termination;unauthenticated;"},
	{"set a 0 0 3\r\nann\r\n", "bad authentication token format;"},
	{"set a 0 0 0\r\n\r\n", "bad authentication token format;"},
	{"set a 0 0 5000\r\n" + strings.Repeat("a b\r\n", 1000) + "\r\nget a\r\n", "bad authentication token format;unauthenticated;"},
	{strings.Repeat("x", 2047) + "\r\n", "unauthenticated;"},
	{strings.Repeat("x", 2048) + "\r\nget a\r\n", "close;"},
	{strings.Repeat("x", 2049), "close;"},
	{"\x80\x0b\x00\x00", ""},
}

// login says what a parser that waits for a login finds in the pieces of in.
func login(t testing.TB, in string, cut func(left int) int) string {
	p := text.Parser{MaxValue: maxValue, Login: true}
	var r protocol.Request
	var held []byte
	var log strings.Builder
	for in != "" {
		n := min(max(cut(len(in)), 1), len(in))
		held, in = append(held, in[:n]...), in[n:]
		for {
			n, status := p.Next(held, &r)
			if n < 0 || n > len(held) || p.Need > 1<<13 {
				t.Fatalf("consumed %d of %d bytes, needs %d", n, len(held), p.Need)
			}
			if status == protocol.Complete {
				fmt.Fprintf(&log, "%q %q;", r.Key, r.Value)
			}
			if status == protocol.Invalid {
				log.WriteString(strings.TrimSuffix(strings.TrimPrefix(p.Reply, "CLIENT_ERROR "), "\r\n") + ";")
			}
			held = held[n:]
			if status == protocol.Close {
				return log.String() + "close;"
			}
			if status == protocol.Incomplete {
				break
			}
		}
	}
	return log.String()
}

func TestLogin(t *testing.T) {
	for _, l := range logins {
		for name, cut := range map[string]func(int) int{"whole": whole, "bytes": func(int) int { return 1 }, "sevens": func(int) int { return 7 }} {
			if got := login(t, l.in, cut); got != l.want {
				t.Errorf("%.60q in %s: got %s, want %s", l.in, name, got, l.want)
			}
		}
	}
}

// FuzzLogin: the outcome does not depend on how the bytes were split, and
// nobody has the parser wait for much.
func FuzzLogin(f *testing.F) {
	for _, l := range logins {
		f.Add(l.in, uint8(3))
	}
	f.Fuzz(func(t *testing.T, in string, piece uint8) {
		if got, want := login(t, in, func(int) int { return int(piece) }), login(t, in, whole); got != want {
			t.Errorf("in pieces of %d: %s, whole: %s", piece, got, want)
		}
	})
}
