// Pebble serves a pebble database in memcached's protocols: get, set, add, replace
// and delete, in text, meta and binary. A change is answered once it is on disk.
// Say where to listen, and the database's directory.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"log"
	"os"
	"os/signal"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// flagsSize is what stands before a value: the client flags.
const flagsSize = 4

// store answers from a database. A lookup may read the disk, and a change waits for
// it: both are done by goroutines, and the event loop goes on meanwhile.
type store struct {
	db *pebble.DB
	mu sync.Mutex // held by a change, which may depend on what is there
}

// answer is a Pending: a reply that a goroutine makes.
type answer struct{ reply chan []byte }

// later has f make the reply.
func later(c *server.Conn, dst []byte, f func() []byte) ([]byte, server.Pending) {
	a := &answer{make(chan []byte, 1)}
	go func() {
		a.reply <- f()
		c.Notify(0)
	}()
	return dst, a
}

// Step appends the reply if it is there.
func (a *answer) Step(dst []byte) ([]byte, bool) {
	select {
	case reply := <-a.reply:
		return append(dst, reply...), true
	default:
		return dst, false
	}
}

// Get looks a key up. The server goes on to use r, so that the goroutine has a copy.
func (s *store) Get(c *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	asked := *r
	return later(c, dst, func() []byte {
		found, done, err := s.db.Get(asked.Key)
		if errors.Is(err, pebble.ErrNotFound) {
			return protocol.AppendOutcome(nil, &asked, protocol.Miss)
		}
		if err != nil {
			return protocol.AppendServerError(nil, &asked, err.Error())
		}
		defer done.Close()
		it := &protocol.Item{Flags: binary.BigEndian.Uint32(found), TTL: -1}
		return protocol.AppendValue(nil, &asked, found[flagsSize:], it)
	})
}

// Do makes a change, which holds the connection until it is done.
func (s *store) Do(c *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	return later(c, dst, func() []byte {
		outcome, err := s.change(r)
		if err != nil {
			return protocol.AppendServerError(nil, r, err.Error())
		}
		return protocol.AppendOutcome(nil, r, outcome)
	})
}

func (s *store) change(r *protocol.Request) (protocol.Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, done, err := s.db.Get(r.Key)
	found := err == nil
	switch {
	case found:
		done.Close()
	case !errors.Is(err, pebble.ErrNotFound):
		return 0, err
	}
	switch {
	case r.Op == protocol.OpDelete && !found:
		return protocol.NotFound, nil
	case r.Op == protocol.OpDelete:
		return protocol.Deleted, s.db.Delete(r.Key, pebble.Sync)
	case r.Op == protocol.OpSet && r.TooLarge:
		return protocol.TooLarge, s.db.Delete(r.Key, pebble.Sync)
	case r.TooLarge:
		return protocol.TooLarge, nil
	case r.Op == protocol.OpAdd && found, r.Op == protocol.OpReplace && !found:
		return protocol.NotStored, nil
	case r.Op == protocol.OpSet, r.Op == protocol.OpAdd, r.Op == protocol.OpReplace:
		value := binary.BigEndian.AppendUint32(make([]byte, 0, flagsSize+len(r.Value)), r.Flags)
		return protocol.Stored, s.db.Set(r.Key, append(value, r.Value...), pebble.Sync)
	}
	return protocol.Unknown, nil
}

func main() {
	stopped, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := serve(stopped, os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func serve(stopped context.Context, address, dir string) error {
	db, err := pebble.Open(dir, &pebble.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	s, err := server.New(&store{db: db}, server.Options{})
	if err != nil {
		return err
	}
	defer s.Shutdown(context.Background())
	if _, err := s.Listen(address); err != nil {
		return err
	}
	<-stopped.Done()
	return nil
}
