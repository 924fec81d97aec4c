package client_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/binary"
	"github.com/hearthcache/hearth/protocol/text"
)

// fake is a server in which every key has the value that valueOf says, except
// those that begin with "miss". It changes nothing. incr answers with the delta.
type fake struct {
	listener net.Listener
	serve    func(nc net.Conn, number int) // of each connection, in their order
	accepted atomic.Int64
	open     atomic.Int64
	ended    sync.WaitGroup
}

// newFake starts a fake whose connections are served by serve, until the test ends.
func newFake(t testing.TB, serve func(nc net.Conn, number int)) *fake {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{listener: l, serve: serve}
	f.ended.Go(f.accept)
	t.Cleanup(func() {
		l.Close()
		f.ended.Wait()
		if n := f.open.Load(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
	return f
}

func (f *fake) addr() string { return f.listener.Addr().String() }

func (f *fake) accept() {
	for number := 0; ; number++ {
		nc, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.accepted.Add(1)
		f.open.Add(1)
		f.ended.Go(func() {
			defer f.open.Add(-1)
			defer nc.Close()
			f.serve(nc, number)
		})
	}
}

// honest answers as one should.
func honest(nc net.Conn, number int) { answerAll(nc, nc) }

func valueOf(key []byte) []byte { return bytes.Repeat(append(key, '='), 2) }

// answerAll answers what comes from in, until nothing more does.
func answerAll(in io.Reader, out io.Writer) { answerBy(answer, in, out) }

func answerBy(answer func([]byte, *protocol.Request) []byte, in io.Reader, out io.Writer) {
	var held []byte
	buf := make([]byte, 4096)
	next := parse(nil)
	for {
		n, err := in.Read(buf)
		if err != nil {
			return
		}
		if held = append(held, buf[:n]...); next == nil {
			next = parse(held)
		}
		var replies []byte
		for {
			var r protocol.Request
			n, status := next(held, &r)
			if status != protocol.Complete {
				break
			}
			replies = answer(replies, &r)
			held = held[n:]
		}
		if _, err := out.Write(replies); err != nil {
			return
		}
	}
}

// parse returns the parser for a connection that begins with in.
func parse(in []byte) func([]byte, *protocol.Request) (int, protocol.Status) {
	switch {
	case len(in) == 0:
		return nil
	case in[0] == protocol.MagicRequest:
		return (&binary.Parser{MaxValue: 1 << 20}).Next
	}
	return (&text.Parser{MaxValue: 1 << 20}).Next
}

func answer(dst []byte, r *protocol.Request) []byte {
	switch {
	case r.Multi():
		for key, rest := text.NextKey(r.Args); key != nil; key, rest = text.NextKey(rest) {
			r.Key = key
			if !missing(key) {
				dst = protocol.AppendValue(dst, r, valueOf(bytes.Clone(key)), itemOf(key))
			}
		}
		return append(dst, protocol.End...)
	case r.Op.Retrieval() && missing(r.Key):
		return protocol.AppendOutcome(dst, r, protocol.Miss)
	case r.Op.Retrieval():
		return protocol.AppendValue(dst, r, valueOf(bytes.Clone(r.Key)), itemOf(r.Key))
	case r.Op == protocol.OpIncr || r.Op == protocol.OpDecr:
		return protocol.AppendResult(dst, r, &protocol.Result{Outcome: protocol.Stored, Number: r.Delta})
	case r.Op == protocol.OpDelete && missing(r.Key):
		return protocol.AppendOutcome(dst, r, protocol.NotFound)
	case r.Op == protocol.OpDelete:
		return protocol.AppendOutcome(dst, r, protocol.Deleted)
	case r.Op == protocol.OpTouch:
		return protocol.AppendOutcome(dst, r, protocol.Touched)
	case r.Op.Storage():
		return protocol.AppendOutcome(dst, r, protocol.Stored)
	case r.Op == protocol.OpVersion:
		return protocol.AppendVersion(dst, r, "1.6.45")
	case r.Op == protocol.OpStats:
		return protocol.AppendStatEnd(protocol.AppendStat(dst, r, "pid", "17"), r)
	case r.Op == protocol.OpNoop || r.Op == protocol.OpFlushAll:
		return protocol.AppendOutcome(dst, r, protocol.Done)
	}
	return protocol.AppendOutcome(dst, r, protocol.Unknown)
}

func missing(key []byte) bool { return strings.HasPrefix(string(key), "miss") }

func itemOf(key []byte) *protocol.Item { return &protocol.Item{Flags: uint32(key[0]), CAS: 5} }
