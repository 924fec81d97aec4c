package meta

import "github.com/hearthcache/hearth/protocol"

// letters is a set of letters from A to z.
type letters uint64

// letter is the set of c, empty or of no letter if c is none.
func letter(c byte) letters { return 1 << (c - 'A') }

func setOf(s string) (set letters) {
	for i := range len(s) {
		set |= letter(s[i])
	}
	return set
}

var (
	// plainFlags are those with nothing behind them that matters. P and L
	// are for proxies.
	plainFlags = setOf("cfhklqstuvxIPL")
	// otherFlags are those with something behind them.
	otherFlags = setOf("bONTRFCEMJD")
)

// flags is what a line's flags say that is not in the Request yet.
type flags struct {
	seen   letters
	words  int  // of the line so far
	mode   byte // what follows M; 0 if there is none
	opaque int  // bytes after O
	lastT  bool // T came after N
	odd    bool // a word began with what no flag begins with
}

func (f *flags) has(c byte) bool { return f.seen&letter(c) != 0 }

// odd tells of the first character of a word that the word cannot be a flag.
func odd(c byte) bool { return c-'A' > 'z'-'A' && c-'0' > 9 }

// parse parses r.Echo. Of several faults memcached tells one: before all others
// a word that cannot be a flag, the key's length, and too many words. A flag
// that is unknown or comes twice ends the search, else the last fault counts,
// that of an F only if there is no other.
func (f *flags) parse(r *protocol.Request) (refusal string) {
	line, words, ended := r.Echo, f.words, false
	simple := plainFlags // that may still come
	for i := 0; i < len(line); i++ {
		c := line[i]
		if c == ' ' {
			continue
		}
		words++
		if set := letter(c); simple&set != 0 && (i+1 == len(line) || line[i+1] == ' ') {
			simple &^= set
			f.seen |= set
			continue
		}
		from := i + 1
		for i++; i < len(line) && line[i] != ' '; i++ {
		}
		switch why := ""; {
		case odd(c):
			f.odd = true
			return badFormat
		case !ended:
			why, ended = f.flag(c, line[from:i], r)
			if why != "" && (why != badFormat || refusal == "") {
				refusal = why
			}
			simple = plainFlags &^ f.seen
		}
		if ended {
			simple = 0
		}
	}
	switch {
	case len(r.Key) > protocol.MaxKey:
		return badFormat
	case words > maxWords:
		return tooManyWords
	}
	r.Quiet = f.has('q')
	return refusal
}

// flag takes one flag and what follows it, and tells whether it is the last that
// is looked at.
func (f *flags) flag(c byte, word []byte, r *protocol.Request) (refusal string, last bool) {
	set := letter(c)
	switch {
	case f.seen&set != 0:
		return twiceFlag, true
	case (plainFlags|otherFlags)&set == 0:
		return badFlag, true
	case otherFlags&set != 0:
		refusal = f.argument(c, word, r)
	}
	f.seen |= set
	return refusal, false
}

// argument takes what follows the flag c.
func (f *flags) argument(c byte, word []byte, r *protocol.Request) (refusal string) {
	ok := true
	refusal = badNumber
	switch c {
	case 'b':
		r.Base64, refusal = true, badKey
		ok = validKey(r.Key)
	case 'O':
		f.opaque = len(word)
	case 'M':
		f.mode = ' '
		if len(word) > 0 {
			f.mode = word[0]
		}
	case 'T':
		r.Exptime, ok = protocol.ParseInt(word)
		r.HasExp, r.OldTTL, f.lastT = true, f.has('t'), f.has('N')
	case 'N':
		r.VivifyExptime, ok = protocol.ParseInt(word)
		r.OldTTL = r.OldTTL || f.has('t') && !r.HasExp
	case 'R':
		r.RecacheTTL, ok = protocol.ParseInt(word)
	case 'F':
		var v uint64
		v, ok = protocol.ParseUint(word)
		r.Flags, refusal = uint32(v), badFormat
	case 'C':
		r.CAS, ok = protocol.ParseUint(word)
		r.Compare = true
	case 'E':
		r.NewCAS, ok = protocol.ParseUint(word)
	case 'J':
		r.Initial, ok = protocol.ParseUint(word)
		refusal = "CLIENT_ERROR invalid numeric initial value\r\n"
	case 'D':
		r.Delta, ok = protocol.ParseUint(word)
		refusal = "CLIENT_ERROR invalid numeric delta value\r\n"
	}
	if ok {
		return ""
	}
	return refusal
}
