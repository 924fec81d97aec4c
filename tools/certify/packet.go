package certify

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// A line of a binary connection is a packet in words: the opcode, then
//
//	key=... opaque=N cas=N status=N
//	flags=N exp=N level=N   extras of 4 bytes, in the order of the words
//	delta=N initial=N       extras of 8 bytes
//	number=N                a value of 8 bytes
//	value=...               the value; the last word, spaces and all
//	magic=N type=N vbucket=N keylen=N extlen=N bodylen=N
//	                        another than the right one
//
// What is not said is 0 or empty, but for the opaque, which is defaultOpaque. Of
// a reply, cas=# is any but 0, cas=#name gives it a name, and value=* is any. A
// packet behind {...} is the first of what may be many; a line that begins with
// an escape or another brace has bytes.
var opcodes = map[string]byte{
	"get": 0x00, "set": 0x01, "add": 0x02, "replace": 0x03, "delete": 0x04, "incr": 0x05, "decr": 0x06,
	"quit": 0x07, "flush": 0x08, "getq": 0x09, "noop": 0x0a, "version": 0x0b, "getk": 0x0c, "getkq": 0x0d,
	"append": 0x0e, "prepend": 0x0f, "stat": 0x10, "setq": 0x11, "addq": 0x12, "replaceq": 0x13,
	"deleteq": 0x14, "incrq": 0x15, "decrq": 0x16, "quitq": 0x17, "flushq": 0x18, "appendq": 0x19,
	"prependq": 0x1a, "verbosity": 0x1b, "touch": 0x1c, "gat": 0x1d, "gatq": 0x1e, "sasllist": 0x20,
	"saslauth": 0x21, "saslstep": 0x22, "gatk": 0x23, "gatkq": 0x24,
}

const (
	magicRequest  = 0x80
	magicReply    = 0x81
	headerSize    = 24
	defaultOpaque = 0xfacade42
)

// extraSize is the length of the extras that a word stands for.
var extraSize = map[string]int{"flags": 4, "exp": 4, "level": 4, "delta": 8, "initial": 8}

// packet is a line's words, read.
type packet struct {
	opcode           byte
	extras           []byte
	key, value       []byte
	numbers          map[string]uint64 // of the header
	casName          string            // what the CAS is to be called
	anyCAS, anyValue bool
}

// compilePacket gives the bytes of a packet, or the elements that match it.
func compilePacket(line string, request bool, e *env) ([]element, error) {
	if rest, ok := strings.CutPrefix(line, "{...} "); ok {
		elements, err := compilePacket(rest, request, e)
		return append([]element{{kind: skip}}, elements...), err
	}
	if line[0] == '{' || line[0] == '\\' {
		return compile(line, e)
	}
	p, err := parsePacket(line, request, e)
	if err != nil {
		return nil, fmt.Errorf("packet %q: %w", line, err)
	}
	head := p.header()
	body := append(append(p.extras, p.key...), p.value...)
	switch {
	case p.anyValue:
		return []element{
			{kind: literal, text: head[:8]}, {kind: bodyLength}, {kind: literal, text: head[12:]},
			{kind: literal, text: body}, {kind: bodyRest, low: uint64(len(body))},
		}, nil
	case p.anyCAS:
		return []element{{kind: literal, text: head[:16]}, {kind: word, name: p.casName}, {kind: literal, text: body}}, nil
	}
	return []element{{kind: literal, text: append(head, body...)}}, nil
}

func parsePacket(line string, request bool, e *env) (*packet, error) {
	line, value, hasValue := strings.Cut(line, " value=")
	words := strings.Fields(line)
	p := &packet{numbers: map[string]uint64{"opaque": defaultOpaque, "magic": magicReply}}
	if request {
		p.numbers["magic"] = magicRequest
	}
	opcode, known := opcodes[words[0]]
	if !known {
		n, err := strconv.ParseUint(words[0], 0, 8)
		if err != nil {
			return nil, fmt.Errorf("opcode: %w", err)
		}
		opcode = byte(n)
	}
	p.opcode = opcode
	for _, word := range words[1:] {
		if err := p.word(word, e); err != nil {
			return nil, err
		}
	}
	if hasValue {
		p.anyValue = value == "*"
		if !p.anyValue {
			return p, p.text(&p.value, value, e)
		}
	}
	return p, nil
}

func (p *packet) word(word string, e *env) error {
	name, text, _ := strings.Cut(word, "=")
	if name == "key" {
		return p.text(&p.key, text, e)
	}
	if cas, ok := strings.CutPrefix(text, "#"); ok && name == "cas" {
		p.anyCAS, p.casName = true, cas
		return nil
	}
	n, err := packetNumber(text, e)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	switch size := extraSize[name]; {
	case size == 4:
		p.extras = binary.BigEndian.AppendUint32(p.extras, uint32(n))
	case size == 8:
		p.extras = binary.BigEndian.AppendUint64(p.extras, n)
	case name == "number":
		p.value = binary.BigEndian.AppendUint64(p.value, n)
	default:
		p.numbers[name] = n
	}
	return nil
}

func packetNumber(text string, e *env) (uint64, error) {
	if inside, ok := strings.CutPrefix(text, "{"); ok {
		return e.number(strings.TrimSuffix(inside, "}"))
	}
	return strconv.ParseUint(text, 0, 64)
}

func (p *packet) text(to *[]byte, text string, e *env) error {
	elements, err := compile(text, e)
	if err != nil {
		return err
	}
	for _, el := range elements {
		if el.kind != literal {
			return fmt.Errorf("a pattern in %q", text)
		}
		*to = append(*to, el.text...)
	}
	return nil
}

// header is that of p, with the lengths of what is in it unless p has others.
func (p *packet) header() []byte {
	field := func(name string, otherwise int) uint64 {
		if n, ok := p.numbers[name]; ok {
			return n
		}
		return uint64(otherwise)
	}
	h := []byte{byte(p.numbers["magic"]), p.opcode}
	h = binary.BigEndian.AppendUint16(h, uint16(field("keylen", len(p.key))))
	h = append(h, byte(field("extlen", len(p.extras))), byte(p.numbers["type"]))
	h = binary.BigEndian.AppendUint16(h, uint16(field("vbucket", int(p.numbers["status"]))))
	h = binary.BigEndian.AppendUint32(h, uint32(field("bodylen", len(p.extras)+len(p.key)+len(p.value))))
	h = binary.BigEndian.AppendUint32(h, uint32(p.numbers["opaque"]))
	return binary.BigEndian.AppendUint64(h, p.numbers["cas"])
}
