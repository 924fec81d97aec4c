package certify

import (
	"bufio"
	"context"
	"io"
	"slices"
)

// cleanUp deletes what the checks may have left. It does what it can: what it
// cannot reach is lost for the report, too.
func (r *runner) cleanUp(ctx context.Context, trials []*trial) {
	var keys []string
	for _, t := range trials {
		for key := range t.env.keys {
			keys = append(keys, key)
		}
	}
	r.remove(context.WithoutCancel(ctx), keys)
}

// removeBatch is how many deletes are sent before their replies are read.
const removeBatch = 500

// remove deletes keys, in text or in binary.
func (r *runner) remove(ctx context.Context, keys []string) {
	binary := !r.server.text
	conn, err := r.server.dial(ctx, r.opt, binary)
	if err != nil {
		return
	}
	defer conn.Close()
	s := &stream{conn: conn, in: bufio.NewReader(conn), timeout: r.opt.Timeout}
	end, _ := compile(`{...}VERSION {~}\r\n`, &env{}) // nothing in it could be missing
	for batch := range slices.Chunk(keys, removeBatch) {
		var out []byte
		for _, key := range batch {
			out = appendRemove(out, key, binary)
		}
		if binary {
			if s.send(out, false) != nil {
				return
			}
			continue
		}
		if s.send(append(out, "version\r\n"...), false) != nil || s.expect(end, &env{}) != nil {
			return
		}
	}
	if binary {
		p := packet{opcode: opcodes["quitq"], numbers: map[string]uint64{"magic": magicRequest}}
		_ = s.send(p.header(), false)
		_, _ = io.Copy(io.Discard, conn) // until the server has closed it, having done all
	}
}

func appendRemove(out []byte, key string, binary bool) []byte {
	if binary {
		p := packet{opcode: opcodes["deleteq"], key: []byte(key), numbers: map[string]uint64{"magic": magicRequest}}
		return append(append(out, p.header()...), key...)
	}
	return append(append(append(out, "delete "...), key...), " noreply\r\n"...)
}
