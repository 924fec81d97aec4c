package protocol

import (
	"encoding/base64"
	"slices"
	"strconv"
)

// metaCodes are the outcomes in the meta protocol. Those without a code are told
// as in text.
var metaCodes = [...]string{
	Hit: "HD", Miss: "EN", Stored: "HD", NotStored: "NS", Exists: "EX", NotFound: "NF",
	Touched: "HD", Deleted: "HD", Done: "MN",
}

// metaFlags is a set of the letters from A to z that are flags.
type metaFlags uint64

func metaFlag(c byte) metaFlags {
	if c < 'A' || c > 'z' {
		return 0
	}
	return 1 << (c - 'A')
}

func metaFlagsOf(letters string) (set metaFlags) {
	for i := range len(letters) {
		set |= metaFlag(letters[i])
	}
	return set
}

// The flags that replies repeat, by what is said.
var (
	metaHitFlags    = metaFlagsOf("stcflhOk")
	metaStoreFlags  = metaFlagsOf("scOk")
	metaCountFlags  = metaFlagsOf("tcOk")
	metaAlwaysFlags = metaFlagsOf("Ok")
)

// metaGap is at least as long as the longest header of a hit of r with the line
// end after the value: a flag and the space before it take at least two bytes of
// Echo, and lead to at most " c18446744073709551615"; but for the key, which is
// told once. beginMeta and endMeta come to the same number.
func metaGap(r *Request) int {
	const perByte = len(" c18446744073709551615") / 2
	const fixed = len("VA 4294967295 Z X W\r\n\r\n") + len(" k b")
	return fixed + perByte*(len(r.Echo)+1) + base64.StdEncoding.EncodedLen(len(r.Key))
}

func beginMeta(dst []byte, r *Request) (out []byte, mark int) {
	mark, n := len(dst), metaGap(r)
	return slices.Grow(dst, n)[:mark+n], mark
}

// endMeta writes the header and, unless r has no use for it, moves the value up
// against it.
func endMeta(dst []byte, mark int, r *Request, it *Item) []byte {
	value := dst[mark+metaGap(r):]
	size := len(value)
	if r.NoValue && size == 0 {
		size = it.Size
	}
	head := appendMetaHead(dst[:mark], r, it, size)
	if !WithValue(r, it) {
		return head
	}
	n := copy(head[len(head):len(head)+len(value)], value)
	return append(head[:len(head)+n], '\r', '\n')
}

// appendMetaHead appends the header of a hit whose value has size bytes.
func appendMetaHead(dst []byte, r *Request, it *Item, size int) []byte {
	head := append(dst, "HD"...)
	if WithValue(r, it) {
		head = strconv.AppendUint(append(dst, "VA "...), uint64(size), 10)
	}
	head = appendMetaFlags(head, r, metaHitFlags, it, size)
	if it.TokenSent {
		head = append(head, " Z"...)
	}
	if it.Stale {
		head = append(head, " X"...)
	}
	if it.Won {
		head = append(head, " W"...)
	}
	return append(head, '\r', '\n')
}

// appendMetaFlags answers those flags of r that are in set, in r's order.
func appendMetaFlags(dst []byte, r *Request, set metaFlags, it *Item, size int) []byte {
	echo := r.Echo
	for i := 0; i < len(echo); i++ {
		c, from := echo[i], i
		if c == ' ' {
			continue
		}
		for i++; i < len(echo) && echo[i] != ' '; i++ {
		}
		if set&metaFlag(c) == 0 {
			continue
		}
		dst = append(dst, ' ', c)
		switch c {
		case 's':
			dst = strconv.AppendUint(dst, uint64(size), 10)
		case 't':
			dst = strconv.AppendInt(dst, it.TTL, 10)
		case 'c':
			dst = strconv.AppendUint(dst, it.CAS, 10)
		case 'f':
			dst = strconv.AppendUint(dst, uint64(it.Flags), 10)
		case 'l':
			dst = strconv.AppendUint(dst, uint64(it.Age), 10)
		case 'h':
			dst = append(dst, digit(it.Fetched))
		case 'O':
			dst = append(dst, echo[from+1:i]...)
		case 'k':
			dst = appendMetaKey(dst, r)
			if r.Base64 {
				dst = append(dst, " b"...)
			}
			set &^= metaFlag('k')
		}
	}
	return dst
}

func digit(b bool) byte {
	if b {
		return '1'
	}
	return '0'
}

func appendMetaKey(dst []byte, r *Request) []byte {
	if r.Base64 {
		return base64.StdEncoding.AppendEncode(dst, r.Key)
	}
	return append(dst, r.Key...)
}

func appendMeta(dst []byte, r *Request, res *Result) []byte {
	code := metaCodes[res.Outcome]
	switch {
	case code == "":
		return append(dst, res.Outcome.Line()...)
	case r.Op == OpMetaDebug && res.Outcome == Hit:
		return appendMetaDebug(dst, r, &res.Item)
	case r.Quiet && metaExpected(r.Op, res.Outcome):
		return dst
	}
	done := res.Outcome == Stored
	if done && (r.Op == OpIncr || r.Op == OpDecr) {
		return appendMetaNumber(dst, r, res)
	}
	dst = append(dst, code...)
	switch {
	case done && (r.Op == OpAppend || r.Op == OpPrepend):
		dst = appendMetaFlags(dst, r, metaStoreFlags, &res.Item, res.Item.Size)
	case done:
		dst = appendMetaFlags(dst, r, metaStoreFlags, &res.Item, len(r.Value))
	case r.Op.Storage():
		dst = appendMetaFlags(dst, r, metaStoreFlags, &Item{}, len(r.Value))
	case r.Op != OpNoop && r.Op != OpMetaDebug:
		dst = appendMetaFlags(dst, r, metaAlwaysFlags, &res.Item, 0)
	}
	return append(dst, '\r', '\n')
}

// metaExpected tells whether a quiet request does not want to hear of o: the
// success of a change, the miss of a get and, in newer versions of memcached,
// that what was to be deleted is not there. Other changes that found nothing are told.
func metaExpected(op Op, o Outcome) bool {
	switch o {
	case Miss:
		return op.Retrieval()
	case NotFound:
		return op == OpDelete
	}
	return o == Stored || o == Deleted || o == Touched
}

// appendMetaNumber appends the reply to an ma that counted.
func appendMetaNumber(dst []byte, r *Request, res *Result) []byte {
	var room [20]byte
	number := strconv.AppendUint(room[:0], res.Number, 10)
	if r.NoValue {
		dst = append(dst, "HD"...)
	} else {
		dst = strconv.AppendUint(append(dst, "VA "...), uint64(len(number)), 10)
	}
	dst = append(appendMetaFlags(dst, r, metaCountFlags, &res.Item, 0), '\r', '\n')
	if r.NoValue {
		return dst
	}
	return append(append(dst, number...), '\r', '\n')
}

// appendMetaDebug appends the reply to a hit of me, for which it.Size is what the
// item takes in all. There are no slab classes; tools want one.
func appendMetaDebug(dst []byte, r *Request, it *Item) []byte {
	dst = appendMetaKey(append(dst, "ME "...), r)
	dst = strconv.AppendInt(append(dst, " exp="...), it.TTL, 10)
	dst = strconv.AppendUint(append(dst, " la="...), uint64(it.Age), 10)
	dst = strconv.AppendUint(append(dst, " cas="...), it.CAS, 10)
	if it.Fetched {
		dst = append(dst, " fetch=yes"...)
	} else {
		dst = append(dst, " fetch=no"...)
	}
	dst = strconv.AppendUint(append(dst, " cls=1 size="...), uint64(it.Size), 10)
	return append(dst, '\r', '\n')
}
