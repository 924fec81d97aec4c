// Map serves a Go map: get, set and delete, in all of memcached's protocols.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"sync"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

type item struct {
	value []byte
	flags uint32
}

type store struct{ items sync.Map }

func (s *store) Get(_ *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	found, _ := s.items.Load(string(r.Key))
	if it, ok := found.(item); ok {
		return protocol.AppendValue(dst, r, it.value, &protocol.Item{Flags: it.flags, TTL: -1}), nil
	}
	return protocol.AppendOutcome(dst, r, protocol.Miss), nil
}

func (s *store) Do(_ *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	outcome, key := protocol.Unknown, string(r.Key)
	switch {
	case r.Op == protocol.OpSet && r.TooLarge:
		s.items.Delete(key)
		outcome = protocol.TooLarge
	case r.Op == protocol.OpSet:
		s.items.Store(key, item{append([]byte(nil), r.Value...), r.Flags})
		outcome = protocol.Stored
	case r.Op == protocol.OpDelete:
		outcome = protocol.NotFound
		if _, found := s.items.LoadAndDelete(key); found {
			outcome = protocol.Deleted
		}
	}
	return protocol.AppendOutcome(dst, r, outcome), nil
}

func main() {
	stopped, _ := signal.NotifyContext(context.Background(), os.Interrupt)
	s, err := server.New(&store{}, server.Options{})
	if err == nil {
		_, err = s.Listen(os.Args[1]) // such as 127.0.0.1:11211
	}
	if err != nil {
		log.Fatal(err)
	}
	<-stopped.Done()
	s.Shutdown(context.Background())
}
