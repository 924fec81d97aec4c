package certify

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// What braces hold:
//
//	{k}, {kname}    a key of this check, that no other has; {k:250} one of 250 bytes
//	{b64 k}         that key in base64
//	{x*100}         x a hundred times
//	{now+100}       the Unix time in 100 s; so with any number that is known
//	{name}          what an earlier pattern has named, or a setting of the server
//
// and in what is expected also:
//
//	{#}, {#name}    any number, which gets the name
//	{7..9}          a number in this range
//	{a|b}           one or the other
//	{~}             the rest of the line
//	{...}           anything up to what follows
//	{eof}           the connection is closed
//
// Outside of braces \r, \n, \t, \\, \{ and \xNN are as in Go.

// kind is that of an element.
type kind int

const (
	literal kind = iota
	number       // decimal, between low and high
	word         // 8 bytes, big endian; not 0
	oneOf        // texts in alts
	restOfLine
	skip
	eof
	bodyLength // 4 bytes, of a packet whose value may be any
	bodyRest   // what its length says is left, after low bytes
)

// element is a piece of what is expected.
type element struct {
	kind      kind
	text      []byte // of a literal
	name      string // what a number or a word is called from now on
	low, high uint64
	alts      []string
}

// compile expands text for e. What comes next to each other and is known is one
// literal.
func compile(text string, e *env) (elements []element, err error) {
	var lit []byte
	flush := func() {
		if len(lit) > 0 {
			elements, lit = append(elements, element{kind: literal, text: lit}), nil
		}
	}
	for len(text) > 0 {
		i := strings.IndexAny(text, `\{`)
		if i < 0 {
			i = len(text)
		}
		lit, text = append(lit, text[:i]...), text[i:]
		switch {
		case text == "":
		case text[0] == '\\':
			var b byte
			if b, text, err = unescape(text); err != nil {
				return nil, err
			}
			lit = append(lit, b)
		default:
			inside, rest, ok := strings.Cut(text[1:], "}")
			if !ok {
				return nil, fmt.Errorf("no end of %q", text)
			}
			text = rest
			el, err := brace(inside, e)
			if err != nil {
				return nil, err
			}
			if el.kind == literal {
				lit = append(lit, el.text...)
				continue
			}
			flush()
			elements = append(elements, el)
		}
	}
	flush()
	return elements, nil
}

func unescape(text string) (b byte, rest string, err error) {
	if strings.HasPrefix(text, `\{`) {
		return '{', text[2:], nil
	}
	r, _, rest, err := strconv.UnquoteChar(text, 0)
	if err != nil {
		return 0, "", fmt.Errorf("escape in %q: %w", text, err)
	}
	return byte(r), rest, nil
}

func unescapeAll(text string) (out []byte, err error) {
	for text != "" {
		b := text[0]
		if b != '\\' {
			text = text[1:]
		} else if b, text, err = unescape(text); err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// brace reads what is between braces.
func brace(inside string, e *env) (element, error) {
	low, high, isRange := strings.Cut(inside, "..")
	name, isNumber := strings.CutPrefix(inside, "#")
	switch {
	case inside == "...":
		return element{kind: skip}, nil
	case inside == "~":
		return element{kind: restOfLine}, nil
	case inside == "eof":
		return element{kind: eof}, nil
	case isNumber:
		return element{kind: number, name: name, high: 1<<64 - 1}, nil
	case strings.Contains(inside, "|"):
		return element{kind: oneOf, alts: strings.Split(inside, "|")}, nil
	case isRange:
		lo, err := e.number(low)
		if err != nil {
			return element{}, err
		}
		hi, err := e.number(high)
		return element{kind: number, low: lo, high: hi}, err
	}
	text, err := e.expand(inside)
	return element{kind: literal, text: text}, err
}

// expand gives the bytes of what is known.
func (e *env) expand(inside string) ([]byte, error) {
	if name, ok := strings.CutPrefix(inside, "b64 "); ok {
		key, err := e.expand(name)
		return []byte(base64.StdEncoding.EncodeToString(key)), err
	}
	if what, times, ok := strings.Cut(inside, "*"); ok {
		n, err := e.number(times)
		if err != nil {
			return nil, err
		}
		text, err := unescapeAll(what)
		return bytes.Repeat(text, int(n)), err
	}
	if strings.HasPrefix(inside, "k") {
		return e.key(inside)
	}
	n, err := e.number(inside)
	return strconv.AppendUint(nil, n, 10), err
}

// key is a key of this check; with :N, it is padded to N bytes.
func (e *env) key(name string) ([]byte, error) {
	name, size, padded := strings.Cut(name, ":")
	key := e.prefix + name
	if padded {
		n, err := e.number(size)
		if err != nil || int(n) < len(key) {
			return nil, fmt.Errorf("key of %s bytes", size)
		}
		key += strings.Repeat("_", int(n)-len(key))
	}
	e.keys[key] = true
	return []byte(key), nil
}

// number is a decimal or a known number, or one of + - / between two.
func (e *env) number(text string) (uint64, error) {
	if i := max(strings.LastIndexAny(text, "+-"), strings.LastIndexByte(text, '/')); i > 0 {
		return e.combine(text[:i], text[i], text[i+1:])
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return n, nil
	}
	if n, ok := e.numbers[text]; ok {
		return n, nil
	}
	return 0, fmt.Errorf("nothing is called %q", text)
}

func (e *env) combine(left string, op byte, right string) (uint64, error) {
	a, err := e.number(left)
	if err != nil {
		return 0, err
	}
	b, err := e.number(right)
	switch {
	case err != nil || op == '/' && b == 0:
		return 0, fmt.Errorf("%s %c %s", left, op, right)
	case op == '/':
		return a / b, nil
	case op == '-':
		return a - b, nil
	}
	return a + b, nil
}

// env is what a check knows while it runs.
type env struct {
	prefix  string            // of this check's keys
	keys    map[string]bool   // that it has named so far
	numbers map[string]uint64 // settings of the server, and what patterns have named
}

// name gives n a name, if there is one.
func (e *env) name(name string, n uint64) {
	if name != "" {
		e.numbers[name] = n
	}
}

// show is a pattern as a report has it.
func show(elements []element) string {
	var b strings.Builder
	for _, el := range elements {
		switch el.kind {
		case literal:
			b.WriteString(escape(el.text))
		case number:
			if el.low > 0 || el.high < 1<<64-1 {
				fmt.Fprintf(&b, "{%d..%d}", el.low, el.high)
			} else {
				b.WriteString("{#}")
			}
		case word:
			b.WriteString("{#}")
		case oneOf:
			b.WriteString("{" + strings.Join(el.alts, "|") + "}")
		case restOfLine:
			b.WriteString("{~}")
		case skip:
			b.WriteString("{...}")
		case bodyLength:
			b.WriteString("{length}")
		case bodyRest:
			b.WriteString("{value}")
		case eof:
			b.WriteString("{eof}")
		}
	}
	return b.String()
}

// showMost is how many bytes of a long text a report has from its beginning and
// from its end.
const showMost = 100

// escape shows bytes as a Go string would, without its quotes.
func escape(b []byte) string {
	if len(b) > 2*showMost+20 {
		return fmt.Sprintf("%s...(%d bytes)...%s", escape(b[:showMost]), len(b)-2*showMost, escape(b[len(b)-showMost:]))
	}
	q := strconv.QuoteToASCII(string(b))
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}
