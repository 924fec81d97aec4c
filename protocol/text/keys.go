package text

import (
	"bytes"

	"github.com/hearthcache/hearth/protocol"
)

// NextKey splits the first key off args, the Args of a retrieval. The key is
// nil when there are no more.
func NextKey(args []byte) (key, rest []byte) {
	for len(args) > 0 && args[0] == ' ' {
		args = args[1:]
	}
	if len(args) == 0 {
		return nil, nil
	}
	end := bytes.IndexByte(args, ' ')
	if end < 0 {
		return args, nil
	}
	return args[:end], args[end+1:]
}

// badKey returns where the first key over MaxKey bytes begins, or -1.
func badKey(args []byte) int {
	if len(args) <= protocol.MaxKey {
		return -1
	}
	for rest := args; ; {
		key, next := NextKey(rest)
		if key == nil {
			return -1
		}
		if len(key) > protocol.MaxKey {
			return cap(args) - cap(key)
		}
		rest = next
	}
}

func retrievalOp(name []byte) protocol.Op {
	switch string(name) {
	case "get", "bget":
		return protocol.OpGet
	case "gets":
		return protocol.OpGets
	case "gat":
		return protocol.OpGat
	case "gats":
		return protocol.OpGats
	}
	return 0
}

// longRetrieval tells whether a line over maxCommandLine may go on.
func longRetrieval(in []byte) bool {
	indent := 0
	for indent <= maxIndent && in[indent] == ' ' {
		indent++
	}
	name, _ := NextKey(in[indent : indent+len("gets ")])
	return indent <= maxIndent && retrievalOp(name) != 0
}

// retrieval parses a line that is there as a whole; args is what follows the
// command's name.
func (p *Parser) retrieval(op protocol.Op, args []byte, n int, r *protocol.Request) (int, protocol.Status) {
	var exptime int64
	first, rest := NextKey(args)
	if first == nil {
		return n, p.invalid(false, protocol.BadFormat)
	}
	if op >= protocol.OpGat {
		if key, _ := NextKey(rest); key == nil {
			return n, p.invalid(false, protocol.BadFormat)
		}
		var ok bool
		if exptime, ok = protocol.ParseInt(first); !ok {
			return n, p.invalid(false, protocol.BadExptime)
		}
		args = rest
	}
	if badKey(args) >= 0 {
		return n, p.invalid(false, protocol.BadFormat)
	}
	*r = protocol.Request{Op: op, Args: args, Exptime: exptime}
	return n, protocol.Complete
}

// beginLong starts on a retrieval of more than MaxLine bytes. What precedes
// its keys is surely within in.
func (p *Parser) beginLong(in []byte, r *protocol.Request) (int, protocol.Status) {
	p.scanned = 0
	name, rest := NextKey(in)
	op := retrievalOp(name)
	if op >= protocol.OpGat {
		word, after := NextKey(rest[:min(len(rest), MaxLine-2*maxIndent)])
		exptime, ok := protocol.ParseInt(word)
		if !ok || after == nil {
			p.skipLine = true
			return 0, p.invalid(false, protocol.BadExptime)
		}
		p.longExp = exptime
		rest = in[cap(in)-cap(after):]
	}
	p.long = op
	used := len(in) - len(rest)
	n, st := p.piece(rest, r)
	return used + n, st
}

// piece takes as many whole keys of a long retrieval as are there. A key that
// is too long ends the command, but only when those before it were given out:
// otherwise the replies would depend on how the bytes were split.
func (p *Parser) piece(in []byte, r *protocol.Request) (int, protocol.Status) {
	end := bytes.IndexByte(in, '\n')
	n, args, st := end+1, in[:max(end, 0)], protocol.Complete
	if end > 0 && in[end-1] == '\r' {
		args = in[:end-1]
	}
	if end < 0 {
		n, st = bytes.LastIndexByte(in, ' ')+1, protocol.Partial
		args = in[:n]
		if len(in)-n > protocol.MaxKey+1 { // one more for a '\r'
			args = in
		}
	}
	if bad := badKey(args); bad == 0 || bad > 0 && onlySpaces(args[:bad]) {
		p.long, p.skipLine = 0, true
		return bad, p.invalid(false, protocol.BadFormat)
	} else if bad > 0 {
		n, args, st = bad, args[:bad], protocol.Partial
	}
	switch {
	case n == 0:
		return 0, protocol.Incomplete
	case st == protocol.Complete:
		*r = protocol.Request{Op: p.long, Args: args, Exptime: p.longExp}
		p.long = 0
		return n, protocol.Complete
	}
	*r = protocol.Request{Op: p.long, Args: args, Exptime: p.longExp}
	return n, protocol.Partial
}

func onlySpaces(b []byte) bool {
	key, _ := NextKey(b)
	return key == nil
}
