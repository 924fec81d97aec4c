package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/client"
)

// exampleServer stands for a memcached or a hearthd. It keeps values in a map.
func exampleServer() (addr string, stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	store := map[string][]byte{}
	handle := func(dst []byte, r *protocol.Request) []byte {
		if r.Op == protocol.OpSet {
			store[string(r.Key)] = bytes.Clone(r.Value)
		}
		if value, found := store[string(r.Key)]; found && r.Op.Retrieval() {
			return protocol.AppendValue(dst, r, value, &protocol.Item{CAS: 1})
		}
		if r.Op.Retrieval() {
			return protocol.AppendOutcome(dst, r, protocol.Miss)
		}
		return answer(dst, r)
	}
	f := &fake{listener: l, serve: func(nc net.Conn, number int) { answerBy(handle, nc, nc) }}
	f.ended.Go(f.accept)
	return f.addr(), func() { l.Close() }
}

func Example() {
	addr, stop := exampleServer()
	defer stop()

	c, err := client.New(addr, client.Options{Protocol: protocol.Meta, Connections: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := c.Set(ctx, client.Item{Key: "user:17", Value: []byte("Ada"), TTL: time.Hour}); err != nil {
		fmt.Println(err)
	}
	it, err := c.Get(ctx, "user:17")
	fmt.Printf("%s %v\n", it.Value, err)
	if _, err := c.Get(ctx, "missing"); errors.Is(err, client.ErrMiss) {
		fmt.Println("a miss")
	}
	found, err := c.GetMulti(ctx, "user:17", "missing", "user:18")
	fmt.Println(len(found), err)
	// Output:
	// Ada <nil>
	// a miss
	// 1 <nil>
}
