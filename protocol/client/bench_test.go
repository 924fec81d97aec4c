package client_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"testing"

	"github.com/hearthcache/hearth/protocol/client"
)

// BenchmarkGet gets values of 100 bytes from a hearthd: with one caller, with 64
// that share one pipelined connection, and with 64 that have a connection each,
// one request at a time.
func BenchmarkGet(b *testing.B) {
	addr := start(b, hearthd(b))
	for _, name := range []string{"text", "meta", "binary"} {
		for _, use := range []struct {
			name    string
			callers int
			opts    client.Options
		}{
			{"one caller", 1, client.Options{}},
			{"one at a time", 64, client.Options{Connections: 64, Pipeline: 1}},
			{"pipelined", 64, client.Options{Connections: 1}},
			{"pipelined two", 64, client.Options{Connections: 2}},
		} {
			b.Run(name+"/"+use.name, func(b *testing.B) {
				use.opts.Protocol = protocols[name]
				c := newClient(b, addr, use.opts)
				keys := fill(b, c)
				b.ReportAllocs()
				b.SetParallelism((use.callers + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
				if use.callers == 1 {
					for i := 0; b.Loop(); i++ {
						get(b, c, keys[i%len(keys)])
					}
					return
				}
				b.RunParallel(func(pb *testing.PB) {
					for i := 0; pb.Next(); i++ {
						get(b, c, keys[i%len(keys)])
					}
				})
			})
		}
	}
}

// BenchmarkGetMulti gets 50 values of 100 bytes at once.
func BenchmarkGetMulti(b *testing.B) {
	addr := start(b, hearthd(b))
	for _, name := range []string{"text", "meta", "binary"} {
		b.Run(name, func(b *testing.B) {
			c := newClient(b, addr, client.Options{Protocol: protocols[name]})
			keys := fill(b, c)[:50]
			b.ReportAllocs()
			for b.Loop() {
				if found, err := c.GetMulti(context.Background(), keys...); err != nil || len(found) != 50 {
					b.Fatal(len(found), err)
				}
			}
			b.ReportMetric(float64(b.N)*50/b.Elapsed().Seconds(), "keys/s")
		})
	}
}

func fill(b *testing.B, c *client.Client) (keys []string) {
	for i := range 1000 {
		keys = append(keys, "key-"+strconv.Itoa(i))
		if err := c.Set(context.Background(), client.Item{Key: keys[i], Value: []byte(fmt.Sprintf("%0100d", i))}); err != nil {
			b.Fatal(err)
		}
	}
	return keys
}

func get(b *testing.B, c *client.Client, key string) {
	if it, err := c.Get(context.Background(), key); err != nil || len(it.Value) != 100 {
		b.Error(err)
	}
}
