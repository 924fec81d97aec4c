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
		return dst, nil
	}
	return protocol.AppendValue(dst, r.Key, it.value, it.flags, 0, r.Op == protocol.OpGets), nil
}

func (s *store) Do(_ *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.TooLarge:
		delete(s.items, string(r.Key))
		return append(dst, protocol.TooLarge...), nil
	case r.Op == protocol.OpSet:
		s.items[string(r.Key)] = item{append([]byte(nil), r.Value...), r.Flags}
		return append(dst, protocol.Stored...), nil
	case r.Op == protocol.OpDelete:
		if _, ok := s.items[string(r.Key)]; !ok {
			return append(dst, protocol.NotFound...), nil
		}
		delete(s.items, string(r.Key))
		return append(dst, protocol.Deleted...), nil
	}
	return append(dst, protocol.Error...), nil
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
