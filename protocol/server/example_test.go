package server_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// store is a Handler on a plain Go map. It answers everything at once.
type store struct {
	mu    sync.Mutex
	items map[string]item
}

type item struct {
	value []byte
	flags uint32
}

func (s *store) Get(_ *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it, ok := s.items[string(r.Key)]
	if !ok {
		return protocol.AppendOutcome(dst, r, protocol.Miss), nil
	}
	return protocol.AppendValue(dst, r, it.value, &protocol.Item{Flags: it.flags, TTL: -1}), nil
}

func (s *store) Do(_ *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return protocol.AppendOutcome(dst, r, s.do(r)), nil
}

func (s *store) do(r *protocol.Request) protocol.Outcome {
	_, found := s.items[string(r.Key)]
	switch {
	case r.TooLarge:
		delete(s.items, string(r.Key))
		return protocol.TooLarge
	case r.Op == protocol.OpSet:
		s.items[string(r.Key)] = item{append([]byte(nil), r.Value...), r.Flags}
		return protocol.Stored
	case r.Op == protocol.OpDelete && found:
		delete(s.items, string(r.Key))
		return protocol.Deleted
	case r.Op == protocol.OpDelete:
		return protocol.NotFound
	}
	return protocol.Unknown
}

// A server for a map, and a client that talks to it.
func Example() {
	s, err := server.New(&store{items: map[string]item{}}, server.Options{})
	if err != nil {
		panic(err)
	}
	addr, err := s.Listen("127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		panic(err)
	}
	fmt.Fprint(c, "set who 5 0 6\r\nHearth\r\nget who nobody\r\nquit\r\n")
	for lines := bufio.NewScanner(c); lines.Scan(); {
		fmt.Println(lines.Text())
	}
	s.Shutdown(context.Background())
	// Output:
	// STORED
	// VALUE who 5 6
	// Hearth
	// END
}

// The same store answers in process, without a socket.
func ExampleLocal() {
	l := server.NewLocal(&store{items: map[string]item{}}, server.Options{})
	defer l.Close()
	ctx := context.Background()
	l.Do(ctx, &protocol.Request{Op: protocol.OpSet, Key: []byte("who"), Value: []byte("Hearth")})
	reply, err := l.Do(ctx, &protocol.Request{Op: protocol.OpGet, Key: []byte("who")})
	fmt.Printf("%q %v\n", reply, err)
	reply, err = l.Execute(ctx, []byte("get nobody\r\ndelete who\r\n"))
	fmt.Printf("%q %v\n", reply, err)
	// Output:
	// "VALUE who 0 6\r\nHearth\r\nEND\r\n" <nil>
	// "END\r\nDELETED\r\n" <nil>
}
