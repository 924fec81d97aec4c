package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// lies are what a fakeServer does wrong.
type lies struct {
	overwritten bool // a kill brings values back that were overwritten
	deleted     bool // a kill brings values back that were deleted
	flushed     bool // a kill brings values back that were flushed
	expired     bool // a kill makes values live for ever
	cutShort    bool // a kill takes off what was appended
	recounted   bool // a kill takes increments back
	reusedCAS   bool // a kill starts CAS numbers anew
	forgets     bool // a graceful stop loses some values
	older       bool // a get gives the value before, at times
	spoilt      bool // a get gives a byte wrong, at times
	swapped     bool // a get gives the value of another key, at times
	flags       bool // a get gives wrong flags, at times
	crashes     bool // the server ends by itself
	hangsUp     bool // the server closes a connection
	nonsense    bool // the server answers what it must not
}

// fakeServer is a Go map that speaks the protocol, and keeps all of it, or most,
// when it is killed.
type fakeServer struct {
	lies lies
	rand *rand.Rand

	mu       sync.Mutex
	items    map[string]*fakeItem
	old      map[string]*fakeItem // what was there before, deleted or not
	flushAt  time.Time            // zero: none
	cas      uint64
	requests int
	listener net.Listener
	conns    map[net.Conn]bool
	done     chan struct{} // closed when the run is over
	over     bool
}

type fakeItem struct {
	key     string
	value   []byte
	flags   string
	expires time.Time // zero: never
	cas     uint64
	flushed bool
	before  []byte // an append
}

func newFakeServer(l lies, seed uint64) *fakeServer {
	return &fakeServer{lies: l, rand: rand.New(rand.NewPCG(seed, 3)), items: map[string]*fakeItem{}, old: map[string]*fakeItem{}}
}

func (s *fakeServer) start() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	run := make(chan struct{})
	s.listener, s.conns, s.done, s.over = listener, map[net.Conn]bool{}, run, false
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			if s.conns[conn] = true; s.over || s.done != run {
				conn.Close()
			}
			s.mu.Unlock()
			go s.serve(conn, run)
		}
	}()
	return nil
}

func (s *fakeServer) ready(context.Context) (string, error) { return s.listener.Addr().String(), nil }

func (s *fakeServer) ended() <-chan struct{} { return s.done }

func (s *fakeServer) wait(context.Context) error {
	<-s.done
	return nil
}

func (s *fakeServer) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(sig == syscall.SIGKILL)
}

// end ends the run. s.mu is held.
func (s *fakeServer) end(killed bool) {
	if s.over {
		return
	}
	s.over = true
	s.listener.Close()
	for conn := range s.conns {
		conn.Close()
	}
	for key := range s.items {
		if s.rand.IntN(4) == 0 && (killed || s.lies.forgets) {
			delete(s.items, key)
		}
	}
	if killed {
		s.forget()
	}
	close(s.done)
}

// forget does what a server that is not careful does when it is killed.
func (s *fakeServer) forget() {
	if s.lies.reusedCAS {
		s.cas = 0
	}
	for key, item := range s.items {
		if s.lies.expired {
			item.expires = time.Time{}
		}
		number, err := strconv.ParseUint(string(item.value), 10, 64)
		if s.lies.recounted && err == nil {
			item.value = strconv.AppendUint(nil, number&^(1<<16-1), 10)
		}
		if s.lies.cutShort && item.before != nil {
			item.value = item.before
		}
		if old := s.old[key]; s.lies.overwritten && old != nil && !old.flushed && s.rand.IntN(10) == 0 {
			s.items[key] = old
		}
	}
	for key, item := range s.old {
		if s.items[key] == nil && (item.flushed && s.lies.flushed || !item.flushed && s.lies.deleted) && s.rand.IntN(10) == 0 {
			s.items[key] = item
		}
	}
}

// serve serves a connection of a run, and nothing of it once that is over: what it
// has read by then must not be done in the next run.
func (s *fakeServer) serve(conn net.Conn, run chan struct{}) {
	defer conn.Close()
	in, out := bufio.NewReader(conn), bufio.NewWriter(conn)
	for {
		line, err := readLine(in)
		if err != nil {
			return
		}
		words := strings.Fields(line)
		var value []byte
		if len(words) >= 5 && words[0][0] != 'g' {
			size, _ := strconv.Atoi(words[4])
			value = make([]byte, size+2)
			if _, err := io.ReadFull(in, value); err != nil {
				return
			}
			value = value[:size]
		}
		reply := s.answer(run, words, value)
		if reply == "" {
			return
		}
		out.WriteString(reply)
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
	}
}

// answer gives the reply; none if the run is over.
func (s *fakeServer) answer(run chan struct{}, words []string, value []byte) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done != run {
		return ""
	}
	s.requests++
	late := s.requests > 500 && s.rand.IntN(200) == 0
	if s.lies.crashes && late {
		s.end(true)
	}
	if s.over || s.lies.hangsUp && late {
		return ""
	}
	if s.lies.nonsense && late {
		return "SERVER_ERROR what?\r\n"
	}
	if !s.flushAt.IsZero() && !time.Now().Before(s.flushAt) {
		s.flush()
	}
	switch words[0] {
	case "get", "gets":
		return s.get(words[1:], words[0] == "gets", nil)
	case "gat", "gats":
		expires := deadline(words[1])
		return s.get(words[2:], words[0] == "gats", &expires)
	case "flush_all":
		s.flushAt = time.Now()
		if len(words) > 1 {
			s.flushAt = deadline(words[1])
		} else {
			s.flush()
		}
		return "OK\r\n"
	case "stats":
		return "STAT hearth_hits_flash 1\r\nSTAT extstore_page_reclaims 1\r\nEND\r\n"
	}
	return s.change(words, value) + "\r\n"
}

func deadline(seconds string) time.Time {
	n, _ := strconv.Atoi(seconds)
	if n == 0 {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(n) * time.Second)
}

func (s *fakeServer) flush() {
	s.flushAt = time.Time{}
	for key, item := range s.items {
		item.flushed = true
		s.old[key] = item
	}
	clear(s.items)
}

// find drops the item if it has expired.
func (s *fakeServer) find(key string) *fakeItem {
	item := s.items[key]
	if item != nil && !item.expires.IsZero() && !time.Now().Before(item.expires) {
		delete(s.items, key)
		return nil
	}
	return item
}

func (s *fakeServer) get(keys []string, withCAS bool, expires *time.Time) string {
	var reply bytes.Buffer
	for _, key := range keys {
		item := s.find(key)
		if item == nil {
			continue
		}
		if expires != nil {
			item.expires = *expires
		}
		flags, value := item.flags, s.lie(key, item.value)
		if s.lies.flags && s.rand.IntN(1000) == 0 {
			flags = "77777"
		}
		fmt.Fprintf(&reply, "VALUE %s %s %d", key, flags, len(value))
		if withCAS {
			fmt.Fprintf(&reply, " %d", item.cas)
		}
		fmt.Fprintf(&reply, "\r\n%s\r\n", value)
	}
	reply.WriteString("END\r\n")
	return reply.String()
}

func (s *fakeServer) lie(key string, value []byte) []byte {
	switch {
	case s.rand.IntN(500) > 0:
	case s.lies.older && s.old[key] != nil:
		return s.old[key].value
	case s.lies.spoilt:
		value = bytes.Clone(value)
		value[s.rand.IntN(len(value))] ^= 1
	case s.lies.swapped:
		for _, other := range s.items {
			return other.value
		}
	}
	return value
}

func (s *fakeServer) change(words []string, value []byte) string {
	verb, key := words[0], words[1]
	item := s.find(key)
	switch {
	case verb == "add" && item != nil, item == nil && (verb == "replace" || verb == "append" || verb == "prepend"):
		return "NOT_STORED"
	case item == nil && verb != "set" && verb != "add":
		return "NOT_FOUND"
	case verb == "cas" && words[5] != strconv.FormatUint(item.cas, 10):
		return "EXISTS"
	case verb == "touch":
		item.expires = deadline(words[2])
		return "TOUCHED"
	}
	if item != nil {
		s.old[key] = item
	}
	if verb == "delete" {
		delete(s.items, key)
		return "DELETED"
	}
	s.cas++
	made := &fakeItem{key: key, value: value, cas: s.cas}
	s.items[key] = made
	if verb == "append" || verb == "prepend" || verb == "incr" {
		made.flags, made.expires, made.before = item.flags, item.expires, item.value
		return made.extend(verb, item.value, value)
	}
	made.flags, made.expires = words[2], deadline(words[3])
	return "STORED"
}

func (i *fakeItem) extend(verb string, old, value []byte) string {
	switch verb {
	case "append":
		i.value = append(bytes.Clone(old), value...)
	case "prepend":
		i.value = append(value, old...)
	case "incr":
		n, _ := strconv.ParseUint(string(old), 10, 64)
		i.value = strconv.AppendUint(nil, n+1, 10)
		return string(i.value)
	}
	return "STORED"
}
