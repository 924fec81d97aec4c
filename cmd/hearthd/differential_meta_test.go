package main_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// TestGeneratedMeta sends the same random streams of meta commands, with text
// commands between them, to memcached and to hearthd, in every setting.
func TestGeneratedMeta(t *testing.T) {
	t.Parallel()
	memcached := memcachedPath(t)
	for _, set := range settings {
		t.Run(set.name, func(t *testing.T) {
			t.Parallel()
			hearthdPath(t)
			for _, seed := range seeds() { // at once, as they mostly wait
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					t.Parallel()
					g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), flash: set.flash != "", meta: true}
					sameReplies(t, g, seed,
						func() *running { return startServer(t, memcached, memcachedArgs...) },
						func() *running { return set.start(t) })
				})
			}
		})
	}
}

// binaryKeys only come in base64.
var binaryKeys = []string{"\x00", "a b", "line\r\nend", "\xff\xfe\xfd"}

// metaKey is a key as it is written in a meta command, and the flag that says
// so.
func (g *generator) metaKey() (key, flag string) {
	if g.IntN(10) == 0 {
		return base64.StdEncoding.EncodeToString([]byte(pick(g, binaryKeys))), "b"
	}
	return pick(g, allKeys[:len(allKeys)-len(bigKeys)]), ""
}

// some returns a few of flags, in any order.
func (g *generator) some(flags ...string) string {
	g.Shuffle(len(flags), func(i, j int) { flags[i], flags[j] = flags[j], flags[i] })
	n := g.IntN(len(flags) + 1)
	return strings.Join(flags[:min(n, g.IntN(len(flags)+1))], " ")
}

// farTTL is one that is not reached, or none.
func (g *generator) farTTL() string { return pick(g, []string{"0", "1000000", "2000000"}) }

func (g *generator) opaque() string { return "O" + g.letters(1+g.IntN(30)) }

// metaRequest returns a meta command, by weight. What tells a CAS tells the key
// too, so that it is known whose it is.
func (g *generator) metaRequest() request {
	key, b := g.metaKey()
	switch w := g.IntN(100); {
	case w < 40:
		return g.metaGet(key, b)
	case w < 65:
		return g.metaSet(key, b)
	case w < 78:
		return g.metaDelete(key, b)
	case w < 92:
		return g.metaCount()
	case w < 95:
		return request{text: "mn\r\n"}
	}
	return g.metaMalformed(key)
}

func (g *generator) metaGet(key, b string) request {
	flags := []string{"v", "t", "f", "l", "q", g.opaque()}
	if key[0] != 'n' { // a counted number is written in place or anew: the exception inplace
		flags = append(flags, "s", "h")
	}
	flags = append(flags, "T"+g.farTTL())
	switch n := g.IntN(4); {
	case key[0] == 'n': // nor are tokens kept for what is counted anew
	case n == 0 && b == "": // memcached 1.6.18 tells the key of such an item undisguised
		flags[len(flags)-1] = "N" + g.farTTL()
	case n == 1: // without T: memcached minds which of the two comes first
		flags[len(flags)-1] = "R" + pick(g, []string{"30", "1500000", "0"})
	}
	return request{text: line("mg", key, b, g.some(flags...), pick(g, []string{"", "k", "k c"}))}
}

// invalidate is not for numbers: what memcached counts anew it holds to be fresh.
func (g *generator) invalidate(key string) string {
	if key[0] == 'n' {
		return ""
	}
	return "I"
}

// compared adds the comparison with a CAS, at times.
func (g *generator) compared(r request, key string) request {
	if g.IntN(3) == 0 {
		r.key, r.token = key, pick(g, []token{newest, newest, older, wrong})
		r.text = strings.Replace(r.text, "\r\n", " C"+casMark+"\r\n", 1)
	}
	return r
}

func (g *generator) metaSet(key, b string) request {
	value := g.value(key)
	mode := pick(g, []string{"", "", "", "MS", "ME", "MR", "MA", "MP"})
	switch {
	case key == "never":
		mode, value = "MR", "x"
	case b != "" && (mode == "MA" || mode == "MP"):
		mode = "" // memcached forgets then that the key was in base64
	case key[0] == 'n' && (mode == "MA" || mode == "MP"):
		mode, value = "MP", "0"
	}
	head := line("ms", key, strconv.Itoa(len(value)), b, mode, "F"+g.flags(),
		g.some("T"+g.farTTL(), "q", "k", g.opaque(), g.invalidate(key)))
	r := g.compared(request{text: head}, key)
	r.text += value + "\r\n"
	return r
}

// metaDelete is never quiet: memcached 1.6.18 tells then of a miss, newer ones do
// not, nor does hearthd.
func (g *generator) metaDelete(key, b string) request {
	return g.compared(request{text: line("md", key, b, g.some("k", g.opaque(), g.invalidate(key), "T"+g.farTTL()))}, key)
}

func (g *generator) metaCount() request {
	key := pick(g, numberKeys)
	delta := pick(g, []string{"", "D0", "D5", "D" + fmt.Sprint(g.Uint64N(1<<30))})
	mode := pick(g, []string{"", "", "MI", "M+", "MD", "M-"})
	flags := []string{"v", "t", g.opaque()} // no T: memcached 1.6.18 may give it to the item that was
	if g.IntN(3) == 0 {
		flags = append(flags, "N"+g.farTTL(), "J"+fmt.Sprint(g.IntN(2000)))
	} else { // memcached 1.6.18 is not quiet about an item that it makes
		flags = append(flags, "q")
	}
	return request{text: line("ma", key, delta, mode, g.some(flags...), pick(g, []string{"", "k", "k c"}))}
}

// metaMalformed returns commands that are refused as a line.
func (g *generator) metaMalformed(key string) request {
	return request{text: pick(g, []string{
		"mg " + tooLong + " v\r\n",
		line("mg", key, "v v"), line("mg", key, "y"), line("mg", key, "Tx"), line("mg", key, "N"), line("mg", key, "Rx"),
		line("md", key, "O"+strings.Repeat("o", 33)),
		line("ms", key, "x"), line("ms", key, "-1"), line("ms", key),
		line("ms", key, "1 F0 F0") + "x\r\n", line("ms", key, "1 MZ") + "x\r\n",
		line("ms", key, "1 Tx") + "x\r\n", line("ms", key, "1 Fx") + "x\r\n",
	})}
}

// metaValue appends a meta reply in normal form, with its value if it has one.
// CASes go by numbers; what depends on the second is told apart only as far as it
// does not.
func (st *stream) metaReply(out, l []byte, in *bufio.Reader) ([]byte, error) {
	words := strings.Fields(string(l))
	key := ""
	for _, w := range words[1:] {
		if w[0] == 'k' {
			key = w[1:]
		}
	}
	first := 1
	if words[0] == "VA" {
		first = 2
	}
	for i, w := range words[min(first, len(words)):] {
		words[first+i] = st.normalFlag(key, w)
	}
	if words[0] != "VA" || len(words) < 2 {
		return append(out, strings.Join(words, " ")+"\r\n"...), nil
	}
	n, err := strconv.Atoi(words[1])
	if err != nil || n < 0 || n > 2*largestItem {
		return append(out, strings.Join(words, " ")+"\r\n"...), nil
	}
	data := make([]byte, n+2)
	got, err := io.ReadFull(in, data)
	data = data[:got]
	if number := bytes.TrimRight(data, " \r\n"); len(number) > 0 && len(bytes.Trim(number, "0123456789")) == 0 {
		data, words[1] = number, "#" // the exception inplace
	}
	return append(append(out, strings.Join(words, " ")+"\r\n"...), data...), err
}

func (st *stream) normalFlag(key, w string) string {
	switch {
	case w[0] == 'c' && key != "" && w != "c0":
		return "c" + st.normal(key, w[1:])
	case w[0] == 't' && w != "t-1":
		n, _ := strconv.Atoi(w[1:])
		return fmt.Sprintf("t%dK", (n+500)/1000)
	case w[0] == 'l':
		return "l"
	}
	return w
}

// metaCodes are those that begin a meta reply with flags.
var metaCodes = [][]byte{[]byte("VA "), []byte("HD"), []byte("EN"), []byte("NS"), []byte("EX"), []byte("NF")}

func isMetaReply(l []byte) bool {
	for _, code := range metaCodes {
		if bytes.HasPrefix(l, code) && !bytes.HasPrefix(l, []byte("END")) && !bytes.HasPrefix(l, []byte("EXISTS")) {
			return true
		}
	}
	return false
}
