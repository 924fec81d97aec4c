package meta_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/meta"
)

const (
	badFormat = "CLIENT_ERROR bad command line format"
	badNumber = "CLIENT_ERROR bad token in command line format"
	badFlag   = "CLIENT_ERROR invalid flag"
	twice     = "CLIENT_ERROR duplicate flag"
	badCount  = "CLIENT_ERROR invalid or duplicate flag"
	tooMany   = "CLIENT_ERROR options flags are too long"
	badKey    = "CLIENT_ERROR error decoding key"
	tooLong   = "CLIENT_ERROR opaque token too long"
)

var opNames = map[protocol.Op]string{
	protocol.OpGet: "get", protocol.OpGat: "gat", protocol.OpSet: "set", protocol.OpAdd: "add",
	protocol.OpReplace: "replace", protocol.OpAppend: "append", protocol.OpPrepend: "prepend",
	protocol.OpDelete: "delete", protocol.OpIncr: "incr", protocol.OpDecr: "decr",
	protocol.OpNoop: "noop", protocol.OpMetaDebug: "debug",
}

// describe writes down all that is set in r, but for what every request has.
func describe(r *protocol.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q", opNames[r.Op], r.Key)
	for _, field := range []struct {
		name string
		set  bool
		what any
	}{
		{"base64", r.Base64, ""},
		{"quiet", r.Quiet, ""},
		{"value", r.Value != nil, string(r.Value)},
		{"novalue", r.NoValue, ""},
		{"nobump", r.NoBump, ""},
		{"flags", r.Flags != 0, r.Flags},
		{"exptime", r.HasExp || r.Exptime != 0, r.Exptime},
		{"oldttl", r.OldTTL, ""},
		{"cas", r.Compare, r.CAS},
		{"newcas", r.NewCAS != 0, r.NewCAS},
		{"delta", r.Delta != 0, r.Delta},
		{"vivify", r.Vivify, r.VivifyExptime},
		{"initial", r.Initial != 0, r.Initial},
		{"recache", r.Recache, r.RecacheTTL},
		{"invalidate", r.Invalidate, ""},
		{"drop", r.DropValue, ""},
		{"large", r.TooLarge, ""},
	} {
		if field.set {
			fmt.Fprintf(&b, " %s", strings.TrimSpace(fmt.Sprintf("%s %v", field.name, field.what)))
		}
	}
	if r.Proto != protocol.Meta || r.Noreply || len(r.Args) > 0 {
		b.WriteString(" and what no meta command has")
	}
	return b.String()
}

// parse is what a server makes of line.
func parse(line string) (string, *protocol.Request) {
	in := []byte(line)
	name, args, _ := bytes.Cut(in, []byte(" "))
	var r protocol.Request
	length, refusal := meta.Parse(name, args, &r)
	if refusal != "" {
		return fmt.Sprintf("%d %s", length, strings.TrimSuffix(refusal, "\r\n")), &r
	}
	meta.DecodeKey(&r)
	if length < 0 {
		return describe(&r), &r
	}
	return fmt.Sprintf("%d %s", length, describe(&r)), &r
}

func TestRequest(t *testing.T) {
	key250, key251 := strings.Repeat("k", 250), strings.Repeat("k", 251)
	for _, test := range []struct{ line, want string }{
		{"mg key", `get "key" novalue`},
		{"mg key v", `get "key"`},
		{"mg  key   v  ", `get "key"`},
		{"mg key s t c f l h k Oab", `get "key" novalue`},
		{"mg key q u v", `get "key" quiet nobump`},
		{"mg key T90 v", `gat "key" exptime 90`},
		{"mg key T0 v", `gat "key" exptime 0`},
		{"mg key T-1 v", `gat "key" exptime -1`},
		{"mg key t T90 v", `gat "key" exptime 90 oldttl`},
		{"mg key T90 t v", `gat "key" exptime 90`},
		{"mg key N30 v", `get "key" vivify 30`},
		{"mg key t N30 v", `get "key" oldttl vivify 30`},
		{"mg key N30 T90 v", `gat "key" exptime 90 vivify 90`},
		{"mg key T90 N30 v", `gat "key" exptime 90 vivify 30`},
		{"mg key T90 t N30 v", `gat "key" exptime 90 vivify 30`},
		{"mg key N30 R20 E7 v", `get "key" newcas 7 vivify 30 recache 20`},
		{"mg key C5 v", `get "key" cas 5`},
		{"mg key C0 v", `get "key" cas 0`},
		{"mg Zm9vIGJhcg== b k v", `get "foo bar" base64`},
		{"mg key I x M? J1 D1 F1 P1 L1 v", `get "key"`},
		{"mg " + key250 + " v", `get "` + key250 + `"`},
		{"mg k" + strings.Repeat(" ", 100) + "v", `get "k"`},
		{"mg key v O" + strings.Repeat("o", 31), `get "key"`},

		{"ms key 0", `0 set "key"`},
		{"ms key 2 T90 F7 q", `2 set "key" quiet flags 7 exptime 90`},
		{"ms key 2 F4294967295", `2 set "key" flags 4294967295`},
		{"ms key 2 MS", `2 set "key"`},
		{"ms key 2 MSomething", `2 set "key"`},
		{"ms key 2 ME C9", `2 add "key"`},
		{"ms key 2 MA", `2 append "key"`},
		{"ms key 2 MA N30 T5", `2 append "key" exptime 5 vivify 30`},
		{"ms key 2 MP N30 C9", `2 prepend "key" cas 9 vivify 30`},
		{"ms key 2 MA C0", `2 append "key"`},
		{"ms key 2 MR", `2 replace "key"`},
		{"ms key 2 N30", `2 set "key"`},
		{"ms key 2 C9 E10 c", `2 set "key" cas 9 newcas 10`},
		{"ms key 2 C0", `2 set "key" cas 0`},
		{"ms key 2 I C9 T30", `2 set "key" exptime 30 cas 9 invalidate`},
		{"ms key 2 I", `2 set "key"`},
		{"ms key 2 MA I C9", `2 append "key" cas 9`},
		{"ms key 2 MR I C9", `2 replace "key" cas 9 invalidate`},
		{"ms key 2147483645", `2147483645 set "key"`},
		{"ms Zm9v 2 b", `2 set "foo" base64`},

		{"md key", `delete "key"`},
		{"md key q C9 k Oab", `delete "key" quiet cas 9`},
		{"md key I T30 E9", `delete "key" exptime 30 newcas 9 invalidate`},
		{"md key x F3 T30", `delete "key" flags 3 exptime 30 drop`},
		{"md key N30 R5 u v", `delete "key"`},

		{"ma key", `incr "key" novalue delta 1`},
		{"ma key MI v", `incr "key" delta 1`},
		{"ma key M+ v", `incr "key" delta 1`},
		{"ma key MD v", `decr "key" delta 1`},
		{"ma key M- v D18446744073709551615", `decr "key" delta 18446744073709551615`},
		{"ma key D0 v", `incr "key"`},
		{"ma key N0 J13 v t", `incr "key" delta 1 vivify 0 initial 13`},
		{"ma key T30 t C9 E10 v", `incr "key" exptime 30 cas 9 newcas 10 delta 1`},
		{"ma key t T30 C0 v", `incr "key" exptime 30 oldttl delta 1`},
		{"ma Zm9v q b v", `incr "foo" base64 quiet delta 1`},

		{"me key", `debug "key"`},
		{"me Zm9v b", `debug "foo" base64`},
		{"me Zm9v v b", `debug "foo" base64`},
		{"me key v v nothing", `debug "key"`},
		{"mn", `noop ""`},
		{"mn anything at !all", `noop ""`},

		{"mg", "-1 " + badFormat},
		{"mg ", "-1 " + badFormat},
		{"md", "-1 " + badFormat},
		{"ma", "-1 " + badFormat},
		{"me", "-1 " + badFormat},
		{"ms", "-1 " + badFormat},
		{"ms key", "-1 " + badFormat},
		{"ms key v", "-1 " + badFormat},
		{"ms key S100", "-1 " + badFormat},
		{"ms key -1", "-1 " + badFormat},
		{"ms key +1", "-1 " + badFormat},
		{"ms key 2x", "-1 " + badFormat},
		{"ms key 2147483646", "-1 " + badFormat},
		{"ms key 4294967296", "-1 " + badFormat},
		{"ms key 18446744073709551616", "-1 " + badFormat},
		{"ms key 000000000002", "-1 " + badFormat},

		{"mg " + key251, "-1 " + badFormat},
		{"mg " + key251 + " v v !", "-1 " + badFormat},
		{"ms " + key251 + " 2", "2 " + badFormat},
		{"md " + key251, "-1 " + badFormat},
		{"ma " + key251, "-1 " + badCount},
		{"me " + key251, "-1 " + badFormat},

		{"mg key w", "-1 " + badFlag},
		{"mg key 5", "-1 " + badFlag},
		{"mg key _", "-1 " + badFlag},
		{"mg key S5", "-1 " + badFlag},
		{"mg key W", "-1 " + badFlag},
		{"mg key w v v", "-1 " + badFlag},
		{"mg key v v", "-1 " + twice},
		{"mg key v v w", "-1 " + twice},
		{"mg key Oa Ob", "-1 " + twice},
		{"mg key T5 T6", "-1 " + twice},
		{"mg key !", "-1 " + badFormat},
		{"mg key v v !", "-1 " + badFormat},
		{"mg key \xff", "-1 " + badFormat},
		{"mg key {", "-1 " + badFormat},
		{"me key !", "-1 " + badFormat},
		{"ma key !", "-1 " + badFormat},
		{"ms key 2 !", "2 " + badFormat},
		{"ms key 2 w", "2 " + badFlag},
		{"ms key 2 q q", "2 " + twice},
		{"md key w", "-1 " + badFlag},
		{"ma key w", "-1 " + badCount},
		{"ma key v v", "-1 " + badCount},

		{"mg key T", "-1 " + badNumber},
		{"mg key Tx", "-1 " + badNumber},
		{"mg key T5x", "-1 " + badNumber},
		{"mg key T5 N", "-1 " + badNumber},
		{"mg key Rx", "-1 " + badNumber},
		{"mg key C", "-1 " + badNumber},
		{"mg key C-1", "-1 " + badNumber},
		{"mg key C18446744073709551616", "-1 " + badNumber},
		{"mg key E-1", "-1 " + badNumber},
		{"mg key T9223372036854775808", "-1 " + badNumber},
		{"mg key Fx", "-1 " + badFormat},
		{"mg key Jx", "-1 CLIENT_ERROR invalid numeric initial value"},
		{"mg key Dx", "-1 CLIENT_ERROR invalid numeric delta value"},
		{"mg key Tx Dx", "-1 CLIENT_ERROR invalid numeric delta value"},
		{"mg key Dx Tx", "-1 " + badNumber},
		{"mg key Tx w", "-1 " + badFlag},
		{"mg key Tx Fx", "-1 " + badNumber},
		{"mg key Fx Tx", "-1 " + badNumber},
		{"ms key 2 Tx", "2 " + badNumber},
		{"ms key 2 F-1", "2 " + badFormat},
		{"ma key Dx", "-1 " + badCount},
		{"ma key D-1", "-1 " + badCount},
		{"ma key Tx", "-1 " + badCount},

		{"ms key 2 MZ", "2 CLIENT_ERROR invalid mode for ms M token"},
		{"ms key 2 M", "2 CLIENT_ERROR invalid mode for ms M token"},
		{"ms key 2 MI", "2 CLIENT_ERROR invalid mode for ms M token"},
		{"ma key MX", "-1 CLIENT_ERROR invalid mode for ma M token"},
		{"ma key M", "-1 CLIENT_ERROR invalid mode for ma M token"},
		{"ma key MS", "-1 CLIENT_ERROR invalid mode for ma M token"},

		{"mg key b", "-1 " + badKey},
		{"mg ==== b", "-1 " + badKey},
		{"mg !!!! b", "-1 " + badKey},
		{"mg A=== b", "-1 " + badKey},
		{"ms key 2 b", "2 " + badKey},
		{"md key b", "-1 " + badKey},
		{"ma key b", "-1 " + badCount},
		{"me key b", "-1 " + badFormat},

		{"mg key s t c f l h k Oab q u N1 R1 T1 C1 E1 I x v", `gat "key" quiet nobump exptime 1 oldttl cas 1 newcas 1 vivify 1 recache 1`},
		{"mg key s t c f l h k Oab q u N1 R1 T1 C1 E1 I x v M", "-1 " + tooMany},
		{"ms key 2 s t c f l h k Oab q u N1 R1 T1 C1 E1 I x", `2 set "key" quiet exptime 1 cas 1 newcas 1 invalidate`},
		{"ms key 2 s t c f l h k Oab q u N1 R1 T1 C1 E1 I x v", "2 " + tooMany},
		{"ma key" + strings.Repeat(" v", 19), "-1 " + badCount},
		{"mg key" + strings.Repeat(" v", 18), "-1 " + twice},
		{"mg key" + strings.Repeat(" v", 19), "-1 " + tooMany},

		{"mg key O" + strings.Repeat("o", 32), "-1 " + tooLong},
		{"ms key 2 O" + strings.Repeat("o", 32), "2 " + tooLong},
		{"md key O" + strings.Repeat("o", 32), "-1 " + tooLong},
		{"ma key O" + strings.Repeat("o", 32), "-1 " + tooLong},
		{"ma key MX O" + strings.Repeat("o", 32), "-1 CLIENT_ERROR invalid mode for ma M token"},
	} {
		if got, _ := parse(test.line); got != test.want {
			t.Errorf("%s\n got %s\nwant %s", test.line, got, test.want)
		}
	}
}

// TestEveryFlag: a flag that is known to one command is known to all.
func TestEveryFlag(t *testing.T) {
	const known = "bcfhklqstuvxCDEFIJLMNOPRT"
	for c := byte('!'); c < 0xff; c++ {
		argument := ""
		switch {
		case strings.IndexByte("CDEFJNRT", c) >= 0:
			argument = "1"
		case c == 'M':
			argument = "I"
		}
		for _, line := range []string{"mg Zm9v %c%s", "md Zm9v %c%s", "ma Zm9v %c%s"} {
			got, _ := parse(fmt.Sprintf(strings.Replace(line, "%c", "%s", 1), []byte{c}, argument))
			if taken := !strings.Contains(got, "CLIENT_ERROR"); taken != (strings.IndexByte(known, c) >= 0) {
				t.Errorf("%s with %q: %s", line, c, got)
			}
		}
	}
}

func TestEcho(t *testing.T) {
	for line, want := range map[string]string{
		"mg key":            "",
		"mg key k  Oab v":   "k  Oab v",
		"ms key 2 c":        "c",
		"md key q":          "q",
		"ma key N0 v":       "N0 v",
		"mg Zm9v b k Oab v": "b k Oab v",
	} {
		if _, r := parse(line); string(r.Echo) != want {
			t.Errorf("%s: echo %q, want %q", line, r.Echo, want)
		}
	}
}

func TestIsCommand(t *testing.T) {
	for _, name := range []string{"mg", "ms", "md", "ma", "mn", "me"} {
		if !meta.IsCommand([]byte(name)) {
			t.Errorf("%s is one", name)
		}
	}
	for _, name := range []string{"", "m", "mb", "mG", "mgg", "gm", "get"} {
		if meta.IsCommand([]byte(name)) {
			t.Errorf("%s is none", name)
		}
	}
}

// TestDecodeKey: memcached is lenient, so we are.
func TestDecodeKey(t *testing.T) {
	for encoded, want := range map[string]string{
		"Zm9v": "foo", "Zm8=": "fo", "Zg==": "f", "AP8K": "\x00\xff\n", "44OG44K544OI": "テスト",
		"Z-m9v": "foo", "Zm9vZg==": "foof", "Zm8=Zm9v": "fo", "Z=9v": "d\x0f",
	} {
		in := []byte(encoded)
		r := protocol.Request{Key: in, Base64: true}
		if meta.DecodeKey(&r); string(r.Key) != want {
			t.Errorf("%s is %q, want %q", encoded, r.Key, want)
		}
		if &r.Key[0] != &in[0] {
			t.Errorf("%s was copied", encoded)
		}
	}
	r := protocol.Request{Key: []byte("Zm9v")}
	if meta.DecodeKey(&r); string(r.Key) != "Zm9v" {
		t.Errorf("a plain key became %q", r.Key)
	}
}

func TestParseAgain(t *testing.T) {
	args := []byte("Zm9v 2 b c")
	var first, second protocol.Request
	meta.Parse([]byte("ms"), args, &first)
	if string(args) != "Zm9v 2 b c" {
		t.Fatalf("the input became %q", args)
	}
	meta.Parse([]byte("ms"), args, &second)
	if describe(&first) != describe(&second) {
		t.Errorf("%s, then %s", describe(&first), describe(&second))
	}
}
