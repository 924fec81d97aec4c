package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/hearthcache/hearth/tools/oracle"
)

// errReply is a reply that the server must not give.
var errReply = errors.New("unexpected reply")

// request is one command that is under way.
type request interface {
	// append appends the command as it is sent.
	append(dst []byte) []byte
	// receive reads the reply and tells the oracle. After an error the command
	// is still under way, and has to be abandoned.
	receive(c *client) error
	// abandon says that the reply will not come.
	abandon()
}

// change is a command that stores, removes or retimes one key.
type change struct {
	op    *oracle.Op
	kind  oracle.Kind
	verb  string
	key   uint32
	name  string
	ttl   time.Duration
	token uint64 // of cas
	size  int
}

func (q *change) append(dst []byte) []byte {
	switch q.kind {
	case oracle.Delete:
		return fmt.Appendf(dst, "delete %s\r\n", q.name)
	case oracle.Touch:
		return fmt.Appendf(dst, "touch %s %d\r\n", q.name, q.ttl/time.Second)
	case oracle.Incr:
		return fmt.Appendf(dst, "incr %s 1\r\n", q.name)
	}
	value := q.op.Value(nil, q.size)
	dst = fmt.Appendf(dst, "%s %s %d %d %d", q.verb, q.name, flags(q.key), q.ttl/time.Second, len(value))
	if q.kind == oracle.CAS {
		dst = fmt.Appendf(dst, " %d", q.token)
	}
	dst = append(dst, "\r\n"...)
	return append(append(dst, value...), "\r\n"...)
}

func (q *change) receive(c *client) error {
	line, err := c.line()
	if err != nil {
		return err
	}
	switch {
	case line == "STORED" || line == "DELETED" || line == "TOUCHED":
		q.op.Applied()
	case line == "NOT_FOUND" || line == "NOT_STORED" && q.verb != "add":
		q.op.Absent()
	case line == "NOT_STORED" || line == "EXISTS":
		q.op.NotApplied()
	case strings.HasPrefix(line, "SERVER_ERROR out of memory"):
		c.load.refused.Add(1)
		q.op.Refused()
	case q.kind == oracle.Incr:
		n, err := strconv.ParseUint(line, 10, 64)
		if err != nil {
			return fmt.Errorf("%w %q to incr", errReply, line)
		}
		q.op.Number(n)
	default:
		return fmt.Errorf("%w %q to %s", errReply, line, q.verb)
	}
	return nil
}

func (q *change) abandon() { q.op.Unknown() }

// retrieval is a get, gets, gat or gats of one key or more.
type retrieval struct {
	ops    []*oracle.Op
	keys   []uint32
	names  []string
	verb   string
	ttl    time.Duration // of gat and gats
	sample func(hit bool)
	next   int // of keys: what has not been answered
}

func (q *retrieval) append(dst []byte) []byte {
	dst = append(dst, q.verb...)
	if q.verb[:3] == "gat" {
		dst = fmt.Appendf(dst, " %d", q.ttl/time.Second)
	}
	for _, name := range q.names {
		dst = append(append(dst, ' '), name...)
	}
	return append(dst, "\r\n"...)
}

func (q *retrieval) receive(c *client) error {
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		if line == "END" {
			for q.next < len(q.ops) {
				q.answer(func(op *oracle.Op) { op.Absent() }, false)
			}
			return nil
		}
		if err := q.value(c, strings.Fields(line)); err != nil {
			return err
		}
	}
}

// answer ends the next key's operation.
func (q *retrieval) answer(end func(*oracle.Op), hit bool) {
	op := q.ops[q.next]
	q.next++
	end(op)
	if q.sample != nil {
		q.sample(hit)
	}
}

// value reads one VALUE. Keys before it have been missed.
func (q *retrieval) value(c *client, words []string) error {
	withCAS := q.verb == "gets" || q.verb == "gats"
	if len(words) < 4 || words[0] != "VALUE" || (len(words) == 5) != withCAS {
		return fmt.Errorf("%w %q to %s", errReply, words, q.verb)
	}
	size, err := strconv.Atoi(words[3])
	if err != nil || size < 0 || size > mebibyte {
		return fmt.Errorf("%w %q to %s", errReply, words, q.verb)
	}
	value := make([]byte, size+2)
	if _, err := io.ReadFull(c.in, value); err != nil {
		return err
	}
	if !bytes.HasSuffix(value, []byte("\r\n")) {
		return fmt.Errorf("%w: no end of line after the value of %s", errReply, words[1])
	}
	for q.next < len(q.names) && q.names[q.next] != words[1] {
		q.answer(func(op *oracle.Op) { op.Absent() }, false)
	}
	if q.next == len(q.names) {
		return fmt.Errorf("%w %q to %s, which did not ask for that or has passed it", errReply, words, q.verb)
	}
	key := q.keys[q.next]
	q.answer(func(op *oracle.Op) {
		if words[2] != strconv.FormatUint(uint64(flags(key)), 10) {
			op.Bad("client flags " + words[2])
			return
		}
		token := uint64(0)
		if withCAS {
			token, _ = strconv.ParseUint(words[4], 10, 64)
		}
		if seen, verdict := op.GotCAS(value[:size], token); withCAS && verdict == oracle.Fine {
			c.remember(key, token, seen)
		}
	}, true)
	return nil
}

func (q *retrieval) abandon() {
	for ; q.next < len(q.ops); q.next++ {
		q.ops[q.next].Unknown()
	}
}

// flush is a flush_all.
type flush struct {
	op    *oracle.Flush
	delay time.Duration
}

func (q *flush) append(dst []byte) []byte {
	if q.delay == 0 {
		return append(dst, "flush_all\r\n"...)
	}
	return fmt.Appendf(dst, "flush_all %d\r\n", q.delay/time.Second)
}

func (q *flush) receive(c *client) error {
	line, err := c.line()
	if err == nil && line != "OK" {
		err = fmt.Errorf("%w %q to flush_all", errReply, line)
	}
	if err == nil {
		q.op.Applied()
	}
	return err
}

func (q *flush) abandon() { q.op.Unknown() }

// readLine reads a line without its end.
func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(line, "\r\n"), nil
}
