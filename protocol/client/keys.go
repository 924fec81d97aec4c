package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/hearthcache/hearth/protocol"
)

// ErrBusy says that the server makes another list, or drops expired items, and
// will not list its keys meanwhile. It does not last.
var ErrBusy = errors.New("client: server is busy with another list")

// Keys calls each with every key there is, in no order, until it returns an error.
// Items that come, go or move meanwhile may be missed. The key is valid during the
// call. The list is asked for by lru_crawler mgdump, or by metadump of servers that
// do not have that, on a connection of its own; not in the binary protocol. The
// Timeout is that of one read: no key for so long ends the list.
func (c *Client) Keys(ctx context.Context, each func(key []byte) error) error {
	if c.opts.Protocol == protocol.Binary {
		return fmt.Errorf("client: not in the binary protocol: %w", errors.ErrUnsupported)
	}
	var err error
	for _, form := range listForms {
		if err = c.list(ctx, form, each); !errors.As(err, new(*ReplyError)) {
			break
		}
	}
	return err
}

// listForm is how a server lists its keys.
type listForm struct {
	command, end string
	// key returns the key that a line tells; nil if it is no such line.
	key func(line []byte) []byte
}

// listForms are tried until one is not refused. memcached walks its hash table for
// hash; for all it walks its lists, and misses what moves from one to another.
var listForms = []*listForm{
	{"lru_crawler mgdump hash\r\n", "EN", mgdumpKey},
	{"lru_crawler metadump hash\r\n", "END", metadumpKey},
	{"lru_crawler metadump all\r\n", "END", metadumpKey},
}

// mgdumpKey takes "mg KEY", or "mg KEY b" with the key in base64.
func mgdumpKey(line []byte) []byte {
	word, ok := bytes.CutPrefix(line, []byte("mg "))
	if !ok {
		return nil
	}
	encoded, ok := bytes.CutSuffix(word, []byte(" b"))
	if !ok {
		return word
	}
	key, err := base64.StdEncoding.AppendDecode(nil, encoded)
	if err != nil {
		return nil
	}
	return key
}

// metadumpKey takes "key=KEY exp=...", with the key as in a URL.
func metadumpKey(line []byte) []byte {
	word, ok := bytes.CutPrefix(line, []byte("key="))
	if !ok {
		return nil
	}
	word, _, _ = bytes.Cut(word, []byte(" "))
	key, err := url.PathUnescape(string(word))
	if err != nil {
		return nil
	}
	return []byte(key)
}

// list asks for the keys on a connection that takes no other requests.
func (c *Client) list(ctx context.Context, form *listForm, each func([]byte) error) error {
	conn := newConn(c)
	defer conn.fail(ErrClosed)
	defer context.AfterFunc(ctx, func() { conn.fail(ctx.Err()) })()
	dialing := time.AfterFunc(c.opts.Timeout, func() { conn.fail(ErrTimeout) })
	nc, err := conn.connect()
	if dialing.Stop(); err == nil {
		nc.SetDeadline(time.Now().Add(c.opts.Timeout))
		_, err = io.WriteString(nc, form.command)
	}
	if err == nil {
		err = form.read(bufio.NewReaderSize(patient{nc, c.opts.Timeout}, readSize), each)
	}
	if err == nil {
		return nil
	}
	if told := new(listError); errors.As(err, &told) {
		return told.error
	}
	conn.fail(err)
	if errors.Is(conn.err, context.Canceled) || errors.Is(conn.err, context.DeadlineExceeded) {
		return conn.err
	}
	return &ConnError{c.addr, conn.err}
}

// listError is the end of a list that is not the connection's fault.
type listError struct{ error }

// patient is a connection each of whose reads may take a time.
type patient struct {
	net.Conn
	timeout time.Duration
}

func (p patient) Read(b []byte) (int, error) {
	p.SetReadDeadline(time.Now().Add(p.timeout))
	n, err := p.Conn.Read(b)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = ErrTimeout
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// read takes the list line by line.
func (f *listForm) read(in *bufio.Reader, each func([]byte) error) error {
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if string(line) == f.end {
			return nil
		}
		if bytes.HasPrefix(line, []byte("NOTSTARTED")) { // memcached: there is no item
			return nil
		}
		key := f.key(line)
		if len(key) == 0 {
			return refusedList(line)
		}
		if err := each(key); err != nil {
			return &listError{err}
		}
	}
}

// refusedList is the error of a line that is no key.
func refusedList(line []byte) error {
	kind, word := error(ErrServer), line
	if at := bytes.IndexByte(line, ' '); at >= 0 {
		word = line[:at]
	}
	switch {
	case string(line) == "ERROR":
		kind = ErrUnknownCommand
	case string(word) == "BUSY":
		return &listError{ErrBusy}
	case string(word) == "ERROR", string(word) == "CLIENT_ERROR", string(word) == "BADCLASS":
		kind = ErrRefused
	case string(word) != "SERVER_ERROR":
		return malformed(line)
	}
	return &listError{&ReplyError{kind, string(line)}}
}
