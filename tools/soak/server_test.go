package soak

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// fake is a map that speaks as much of the protocol as a soak does. The hooks may
// be nil and are called under the lock.
type fake struct {
	request func(n int)                // before the nth request
	spoil   func(n int, value []byte)  // of a get
	stats   func(n int) map[string]int // after n requests
	mu      sync.Mutex
	count   int
	items   map[string]string // what stands between key and \r\n of VALUE, and the value
}

// serve has f answer until the test ends.
func (f *fake) serve(t *testing.T) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.items = map[string]string{}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go f.converse(conn)
		}
	}()
	return l.Addr().String()
}

func (f *fake) converse(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		words := strings.Fields(line)
		var value []byte
		if words[0] == "set" {
			size, _ := strconv.Atoi(words[4])
			value = make([]byte, size+2)
			if _, err := io.ReadFull(in, value); err != nil {
				return
			}
		}
		io.WriteString(conn, f.answer(words, string(value)))
	}
}

func (f *fake) answer(words []string, value string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	if f.request != nil {
		f.request(f.count)
	}
	if words[0] == "stats" {
		return f.answerStats()
	}
	key := words[1]
	item, found := f.items[key]
	switch words[0] {
	case "set":
		f.items[key] = words[2] + " " + words[4] + "\r\n" + value
		return "STORED\r\n"
	case "get":
		return f.answerGet(key, item)
	case "delete":
		delete(f.items, key)
		return map[bool]string{true: "DELETED\r\n", false: "NOT_FOUND\r\n"}[found]
	}
	return map[bool]string{true: "TOUCHED\r\n", false: "NOT_FOUND\r\n"}[found]
}

func (f *fake) answerGet(key, item string) string {
	if item == "" {
		return "END\r\n"
	}
	head, value, _ := strings.Cut(item, "\r\n")
	bytes := []byte(value)
	if f.spoil != nil {
		f.spoil(f.count, bytes)
	}
	return "VALUE " + key + " " + head + "\r\n" + string(bytes) + "END\r\n"
}

func (f *fake) answerStats() string {
	var b strings.Builder
	fmt.Fprintf(&b, "STAT limit_maxbytes 1000000\r\nSTAT requests %d\r\n", f.count)
	if f.stats != nil {
		for name, n := range f.stats(f.count) {
			fmt.Fprintf(&b, "STAT %s %d\r\n", name, n)
		}
	}
	return b.String() + "END\r\n"
}
