package text

import (
	"bytes"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/meta"
)

// maxWords is how many words any command but a retrieval makes use of, beside
// the last, which may be noreply.
const maxWords = 6

// words are the space-separated words of a line; those past maxWords count but
// are not kept. As to memcached, too many are no fault.
type words struct {
	at   [maxWords][]byte
	last []byte
	n    int
}

func (w *words) split(line []byte) {
	for word, rest := NextKey(line); word != nil; word, rest = NextKey(rest) {
		if w.n < maxWords {
			w.at[w.n] = word
		}
		w.last = word
		w.n++
	}
}

// noreply tells whether the last word says so.
func (w *words) noreply() bool { return string(w.last) == "noreply" }

// command parses the line that takes the first n bytes of in.
func (p *Parser) command(in, line []byte, n int, r *protocol.Request) (int, protocol.Status) {
	if len(line) > len("get ") && string(line[:len("get ")]) == "get " {
		return p.retrieval(protocol.OpGet, line[len("get "):], n, r)
	}
	if len(line) > len("mg ") && line[2] == ' ' && meta.IsCommand(line[:2]) {
		return p.meta(line[:2], line[3:], in, n, r)
	}
	name, args := NextKey(line)
	if meta.IsCommand(name) {
		return p.meta(name, args, in, n, r)
	}
	if op := retrievalOp(name); op != 0 {
		return p.retrieval(op, args, n, r)
	}
	var w words
	w.split(line)
	switch string(name) {
	case "set":
		return p.storage(protocol.OpSet, &w, in, n, r)
	case "add":
		return p.storage(protocol.OpAdd, &w, in, n, r)
	case "replace":
		return p.storage(protocol.OpReplace, &w, in, n, r)
	case "append":
		return p.storage(protocol.OpAppend, &w, in, n, r)
	case "prepend":
		return p.storage(protocol.OpPrepend, &w, in, n, r)
	case "cas":
		return p.storage(protocol.OpCAS, &w, in, n, r)
	case "incr":
		return n, p.arithmetic(protocol.OpIncr, &w, r)
	case "decr":
		return n, p.arithmetic(protocol.OpDecr, &w, r)
	case "touch":
		return n, p.touch(&w, r)
	case "delete":
		return n, p.remove(&w, r)
	case "flush_all":
		return n, p.flushAll(&w, r)
	case "verbosity":
		return n, p.setting(protocol.OpVerbosity, protocol.BadFormat, &w, r)
	case "cache_memlimit":
		return n, p.setting(protocol.OpCacheMemlimit, protocol.Error, &w, r)
	}
	return p.plain(name, args, line, n, r)
}

// meta parses a command of the meta protocol and, once it is there, the value of
// ms. The value of one that is refused is passed over.
func (p *Parser) meta(name, args, in []byte, n int, r *protocol.Request) (int, protocol.Status) {
	length, refusal := meta.Parse(name, args, r)
	if refusal != "" {
		if length >= 0 {
			p.swallow = length + len("\r\n")
		}
		return n, p.invalid(false, refusal)
	}
	status := protocol.Complete
	if length >= 0 {
		n, status = p.value(length, in, n, r)
	}
	if status == protocol.Complete || status == protocol.Body {
		meta.DecodeKey(r)
	}
	return n, status
}

// plain parses the commands that take any words or none.
func (p *Parser) plain(name, args, line []byte, n int, r *protocol.Request) (int, protocol.Status) {
	var op protocol.Op
	switch string(name) {
	case "version":
		op = protocol.OpVersion
	case "stats":
		op = protocol.OpStats
	case "quit":
		op = protocol.OpQuit
	case "watch":
		op = protocol.OpWatch
	default:
		return p.admin(name, args, line, n, r)
	}
	*r = protocol.Request{Op: op, Args: args}
	return n, protocol.Complete
}

// admin parses the commands that take any words and may end in noreply.
func (p *Parser) admin(name, args, line []byte, n int, r *protocol.Request) (int, protocol.Status) {
	var op protocol.Op
	switch string(name) {
	case "shutdown":
		op = protocol.OpShutdown
	case "lru_crawler":
		op = protocol.OpLRUCrawler
	case "lru":
		op = protocol.OpLRU
	case "slabs":
		op = protocol.OpSlabs
	case "extstore":
		op = protocol.OpExtstore
	case "refresh_certs":
		op = protocol.OpRefreshCerts
	default:
		if isHTTP(line) {
			return n, protocol.Close
		}
		return n, p.invalid(false, unknown(n))
	}
	args, noreply := cutNoreply(args)
	*r = protocol.Request{Op: op, Args: args, Noreply: noreply}
	return n, protocol.Complete
}

// unknown is the refusal of a line of n bytes, its end included, that is no
// command: one that is too short for any is malformed.
func unknown(n int) string {
	if n < len("mn\r\n") {
		return protocol.BadFormat
	}
	return protocol.Error
}

// cutNoreply takes the last word off args if it is noreply.
func cutNoreply(args []byte) ([]byte, bool) {
	const word = "noreply"
	rest := bytes.TrimRight(args, " ")
	start := len(rest) - len(word)
	if start < 0 || string(rest[start:]) != word || start > 0 && rest[start-1] != ' ' {
		return args, false
	}
	return rest[:start], true
}

// isHTTP recognises a browser, or a page that makes one talk to us: it gets no
// answer, and none of what follows is executed.
func isHTTP(line []byte) bool {
	last := line[bytes.LastIndexByte(line, ' ')+1:]
	return bytes.HasPrefix(last, []byte("HTTP/")) ||
		bytes.HasPrefix(line, []byte("GET /")) ||
		bytes.HasPrefix(line, []byte("PUT /")) ||
		bytes.HasPrefix(line, []byte("DELETE HTTP"))
}

// storage parses "name key flags exptime length [cas] [noreply]" and, once it
// is there, the value. If a line is refused and its length is known, the value is
// passed over: it must not be taken for commands.
func (p *Parser) storage(op protocol.Op, w *words, in []byte, n int, r *protocol.Request) (int, protocol.Status) {
	if w.n < 5 {
		return n, p.invalid(false, protocol.BadFormat)
	}
	length, ok := protocol.ParseInt(w.at[4])
	if !ok || length < 0 || length > maxLength {
		return n, p.invalid(false, protocol.BadFormat)
	}
	flags, okFlags := protocol.ParseUint(w.at[2])
	exptime, okExp := protocol.ParseInt(w.at[3])
	cas, okCAS := uint64(0), true
	if op == protocol.OpCAS {
		cas, okCAS = protocol.ParseUint(w.at[5])
	}
	if len(w.at[1]) > protocol.MaxKey || !okFlags || !okExp || !okCAS {
		p.swallow = int(length) + len("\r\n")
		return n, p.invalid(w.noreply(), protocol.BadFormat)
	}
	*r = protocol.Request{Op: op, Key: w.at[1], Flags: uint32(flags), Exptime: exptime,
		HasExp: true, CAS: cas, Noreply: w.noreply()}
	return p.value(int(length), in, n, r)
}

// value takes the length bytes after the line of n bytes, and their line end.
func (p *Parser) value(length int, in []byte, n int, r *protocol.Request) (int, protocol.Status) {
	if length > p.MaxValue {
		r.TooLarge = true
		p.swallow = length + len("\r\n")
		return n, protocol.Complete
	}
	end := n + length
	if len(in) < end+len("\r\n") {
		if p.Stream > 0 && length >= p.Stream && r.Op.Whole() {
			p.Size = length
			return n, protocol.Body
		}
		p.Need = end + len("\r\n")
		return 0, protocol.Incomplete
	}
	if in[end] != '\r' || in[end+1] != '\n' {
		return end + len("\r\n"), p.invalid(r.Noreply, protocol.BadChunk)
	}
	r.Value = in[n:end:end]
	return end + len("\r\n"), protocol.Complete
}

func (p *Parser) arithmetic(op protocol.Op, w *words, r *protocol.Request) protocol.Status {
	if w.n < 3 {
		return p.invalid(false, protocol.BadFormat)
	}
	if len(w.at[1]) > protocol.MaxKey {
		return p.invalid(w.noreply(), protocol.BadFormat)
	}
	delta, ok := protocol.ParseUint(w.at[2])
	if !ok {
		return p.invalid(w.noreply(), protocol.BadDelta)
	}
	*r = protocol.Request{Op: op, Key: w.at[1], Delta: delta, Noreply: w.noreply()}
	return protocol.Complete
}

func (p *Parser) touch(w *words, r *protocol.Request) protocol.Status {
	if w.n < 3 {
		return p.invalid(false, protocol.BadFormat)
	}
	if len(w.at[1]) > protocol.MaxKey {
		return p.invalid(w.noreply(), protocol.BadFormat)
	}
	exptime, ok := protocol.ParseInt(w.at[2])
	if !ok {
		return p.invalid(w.noreply(), protocol.BadExptime)
	}
	*r = protocol.Request{Op: protocol.OpTouch, Key: w.at[1], Exptime: exptime,
		HasExp: true, Noreply: w.noreply()}
	return protocol.Complete
}

// remove parses "delete key [noreply]". What else there is was a hold time of old;
// a line with more than that is no delete to any client, and one that libmemcached's
// memcapable wants refused, though memcached 1.6.45 does not.
func (p *Parser) remove(w *words, r *protocol.Request) protocol.Status {
	if w.n > 4 {
		return p.invalid(false, protocol.Error)
	}
	if w.n < 2 {
		return p.invalid(false, protocol.BadFormat)
	}
	noreply := w.n > 2 && w.noreply()
	if len(w.at[1]) > protocol.MaxKey {
		return p.invalid(noreply, protocol.BadFormat)
	}
	*r = protocol.Request{Op: protocol.OpDelete, Key: w.at[1], Noreply: noreply}
	return protocol.Complete
}

// flushAll parses "flush_all [delay] [noreply]".
func (p *Parser) flushAll(w *words, r *protocol.Request) protocol.Status {
	*r = protocol.Request{Op: protocol.OpFlushAll, Noreply: w.noreply()}
	if w.n == 1 || w.n == 2 && r.Noreply {
		return protocol.Complete
	}
	if r.Exptime, r.HasExp = protocol.ParseInt(w.at[1]); !r.HasExp {
		return p.invalid(r.Noreply, protocol.BadExptime)
	}
	return protocol.Complete
}

// setting parses "name number [noreply]".
func (p *Parser) setting(op protocol.Op, refusal string, w *words, r *protocol.Request) protocol.Status {
	number, ok := protocol.ParseUint(w.at[1])
	if !ok {
		return p.invalid(w.noreply(), refusal)
	}
	*r = protocol.Request{Op: op, Delta: uint64(uint32(number)), Noreply: w.noreply()}
	return protocol.Complete
}
