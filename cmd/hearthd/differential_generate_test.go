package main_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// request is one of a generated stream: it can be sent to several servers,
// whose unique values for cas differ.
type request struct {
	text   string // what is sent, the unique value of a cas as {cas}
	key    string // whose unique value
	token  token
	client int
	last   bool // of a batch: all replies are read before the next is sent
	first  bool // of a batch: see longKeys, and generator.packet
	demote bool // nothing is sent, see running.demote
	closes bool // the server closes the connection, so it is the last of its batch
}

// token says which unique value of its key a cas names.
type token int

const (
	noToken token = iota
	newest        // the last one that this server told
	older         // the one before
	wrong         // one that no server gives out
)

const (
	casMark      = "{cas}"
	wrongToken   = "18446744073709551614"
	clients      = 3
	largestItem  = 1 << 20 // -I of all servers
	batchPadding = "get padding\r\nget padding\r\n"
)

var tooLong = strings.Repeat("L", 251)

// longKeys are retrievals that are refused for a key. They begin a batch, as
// memcached drops with them the replies to whatever it read before them in the
// same piece. It is their first key, as memcached counts those before it.
var longKeys = []string{"get " + tooLong + "\r\n", "get " + tooLong + " t1\r\n", "gats 0 " + tooLong + " n1\r\n"}

// generator writes random requests. Keys have kinds, so that commands meet
// values that mean something to them.
type generator struct {
	*rand.Rand
	flash bool
	meta  bool // mostly meta commands
}

func newGenerator(seed uint64, flash bool) *generator {
	return &generator{Rand: rand.New(rand.NewPCG(seed, 0)), flash: flash}
}

var (
	textKeys   = []string{"t1", "t2", "t3", "t4", "t5", "t6", strings.Repeat("K", 250)}
	numberKeys = []string{"n1", "n2", "n3", "n4"}
	bigKeys    = []string{"big1", "big2", "big3"}
	allKeys    = append(append(append([]string{"never"}, textKeys...), numberKeys...), bigKeys...)
)

// stream returns n requests in batches.
func (g *generator) stream(n int) []request {
	reqs := make([]request, 0, n)
	for len(reqs) < n {
		client := g.IntN(clients)
		for range 1 + g.IntN(1<<g.IntN(7)) {
			r := g.request()
			r.client = client
			if r.first && len(reqs) > 0 {
				reqs[len(reqs)-1].last = true
			}
			reqs = append(reqs, r)
		}
		reqs[len(reqs)-1].last = true
		if g.flash && g.IntN(10) == 0 {
			reqs = append(reqs, request{demote: true, last: true})
		}
	}
	return reqs
}

func pick[T any](g *generator, from []T) T { return from[g.IntN(len(from))] }

// request returns one, by weight.
func (g *generator) request() request {
	if g.meta && g.IntN(4) > 0 {
		return g.metaRequest()
	}
	switch w := g.IntN(1000); {
	case w < 300:
		return g.retrieval()
	case w < 540:
		return g.storage()
	case w < 620:
		return g.cas()
	case w < 780:
		return g.arithmetic()
	case w < 840:
		return request{text: line("touch", pick(g, allKeys), g.exptime(), g.noreply())}
	case w < 900:
		return request{text: line("delete", pick(g, allKeys), pick(g, []string{"", "", "", "0"}), g.noreply())}
	case w < 907:
		// Not with a delay: that brings back, in memcached, what an earlier
		// flush_all removed and no thread has met since.
		return request{text: line("flush_all", pick(g, []string{"", "0", "-1"}), g.noreply())}
	case w < 980:
		return g.malformed()
	case w < 987:
		return request{text: pick(g, longKeys), first: true}
	}
	return g.badData()
}

// line joins the words that are not empty.
func line(words ...string) string {
	var b strings.Builder
	for _, w := range words {
		if w != "" && b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w)
	}
	return b.String() + "\r\n"
}

func (g *generator) noreply() string {
	if g.IntN(8) == 0 {
		return "noreply"
	}
	return ""
}

// exptime returns one that is reached before the stream begins or long after
// its end: most often none at all.
func (g *generator) exptime() string {
	if g.IntN(3) > 0 {
		return "0"
	}
	return pick(g, []string{"1000", "2592000", "2000000000", "-1", "-1000", "2592001", "1000000000"})
}

func (g *generator) flags() string {
	return pick(g, []string{"0", "0", "1", "42", "65536", "4294967295"})
}

func (g *generator) retrieval() request {
	name := pick(g, []string{"get", "get", "gets", "gets", "gat", "gats"})
	words := []string{name}
	if strings.HasPrefix(name, "gat") {
		words = append(words, g.exptime())
	}
	for range 1 + g.IntN(1<<g.IntN(5)) {
		words = append(words, pick(g, allKeys))
	}
	return request{text: line(words...)}
}

// value returns one for a key, of its kind. None is only white space, and no
// number ever reaches 2^63: memcached 1.6.18 reads on behind the former for a
// number, and behind the latter for a sign, into whatever lies there.
func (g *generator) value(key string) string {
	switch key[0] {
	case 'n':
		return pick(g, []string{"0", "1", "9", "10", "99", "100", "007", "1  ", "1234567890123456789",
			"4611686018427387904", fmt.Sprint(g.Uint64N(1 << 40))})
	case 'b':
		return g.letters(pick(g, []int{10_000, 60_000, 150_000, 400_000}) + g.IntN(5000))
	}
	return pick(g, []string{"", "x", "no number", "+\r\n", "END\r\n", "VALUE t1 0 1\r\nx\r\n", "\x00\xff\x80",
		g.letters(g.IntN(40)), g.letters(g.IntN(3000)), g.letters(g.IntN(9000))})
}

// letters returns n bytes that differ from any other call's. No command is
// written with these letters alone: the end of a value may be taken for one.
func (g *generator) letters(n int) string {
	b := make([]byte, n)
	word := g.Uint64()
	for i := range b {
		b[i] = 'a' + byte(word>>(i%8*8))%8
		if i%8 == 7 {
			word = word*6364136223846793005 + 1442695040888963407
		}
	}
	return string(b)
}

// storage writes values of their kind. A text never goes where a number is: a
// decr leaves spaces after a number or not (the exception inplace), and what
// follows an appended text would show it.
func (g *generator) storage() request {
	key := pick(g, allKeys)
	name := pick(g, []string{"set", "set", "set", "add", "replace", "append", "prepend"})
	value := g.value(key)
	switch {
	case key[0] == 'n' && name == "append":
		name = "prepend"
		fallthrough
	case key[0] == 'n' && name == "prepend":
		value = pick(g, []string{"0", "00", ""})
	case key == "never":
		name, value = pick(g, []string{"replace", "append", "prepend"}), "x"
	case key[0] == 'b' && strings.HasSuffix(name, "pend"):
		// Little, or it would grow into the sizes near the limit, which
		// memcached counts the key and its own header against.
		value = g.letters(g.IntN(300))
	}
	return request{text: g.withValue(name, key, value, "")}
}

func (g *generator) withValue(name, key, value, cas string) string {
	return line(name, key, g.flags(), g.exptime(), fmt.Sprint(len(value)), cas, g.noreply()) + value + "\r\n"
}

func (g *generator) cas() request {
	key := pick(g, allKeys[1:])
	return request{
		text: g.withValue("cas", key, g.value(key), casMark), key: key,
		token: pick(g, []token{newest, newest, newest, older, wrong}),
	}
}

func (g *generator) arithmetic() request {
	key := pick(g, numberKeys)
	if g.IntN(8) == 0 {
		key = pick(g, textKeys)
	}
	name, delta := "incr", pick(g, []string{"0", "1", "1", "9", "100", fmt.Sprint(g.Uint64N(1 << 30))})
	if g.IntN(2) == 0 {
		name, delta = "decr", pick(g, []string{delta, delta, delta, "18446744073709551615"})
	}
	return request{text: line(name, key, delta, g.noreply())}
}

// malformed returns lines that are refused. Each is a whole line, so that what
// follows is a request again. Those that memcached's newer versions refuse in
// other words, as hearthd does, are in the transcripts.
func (g *generator) malformed() request {
	return request{text: pick(g, []string{
		"bogus\r\n", "gat x t1\r\n", "GET t1\r\n", "set t1 0 0 x\r\n", "set t1 0 0 -1\r\n", "set t1 0 0 -5\r\nbogus\r\n",
		"set t1 0 0 4294967295\r\n", "incr n1 x\r\n", "decr n1 -x\r\n", "incr n1 18446744073709551616\r\n", "touch t1 x\r\n",
		"\xff\xfe t1\r\n", "gett t1\r\n", "get  t1  t2 \r\n", "  get t1\r\n", "get t1\n", "set t1 0 0 1\nz\r\n",
		"verbosity 0\r\n", "stats bogus\r\n", "incr " + tooLong + " 1\r\n", "touch " + tooLong + " 0\r\n", "delete " + tooLong + "\r\n",
	})}
}

// badData returns storage commands whose data is not what they announce. One
// that is too short ends its batch: it is the padding that is taken for data,
// as the value of a request without its line could be a line that is too long
// (the exception longline). All are replied to, so that they can be counted.
func (g *generator) badData() request {
	name, key := pick(g, []string{"set", "add", "replace", "append", "prepend"}), pick(g, textKeys)
	head := func(n int) string { return line(name, key, "0 0", fmt.Sprint(n)) }
	value := g.letters(10 + g.IntN(100))
	switch g.IntN(4) {
	case 0:
		// What is left is a line that is long enough to be one.
		return request{text: head(len(value)-4-g.IntN(5)) + value + "\r\n"}
	case 1:
		return request{text: head(len(value)+1+g.IntN(8)) + value + "\r\n", last: true}
	case 2:
		return request{text: head(len(value)) + value + "xx"}
	}
	n := largestItem + 1 + g.IntN(1000)
	return request{text: head(n) + g.letters(n) + "\r\n"}
}
