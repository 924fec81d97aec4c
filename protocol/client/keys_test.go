package client_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/client"
)

// listKeys is Keys once the server is not busy with a crawl of its own.
func listKeys(t *testing.T, c *client.Client, each func([]byte) error) (err error) {
	t.Helper()
	for range 100 {
		if err = c.Keys(within(t), each); !errors.Is(err, client.ErrBusy) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// keysOf lists the keys.
func keysOf(t *testing.T, c *client.Client) (keys []string, err error) {
	t.Helper()
	err = listKeys(t, c, func(key []byte) error {
		keys = append(keys, string(key))
		return nil
	})
	slices.Sort(keys)
	return keys, err
}

// TestKeys: every key is listed, of whatever bytes, by hearthd and by a memcached
// that knows metadump only.
func TestKeys(t *testing.T) {
	noLeaks(t)
	want := []string{"\x00\xff \n", "100%25=\"a b\"", "plain", "with%20percent"}
	for name, binary := range map[string]func(testing.TB) string{"hearthd": hearthd, "memcached": memcached} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, start(t, binary(t)), client.Options{Protocol: protocol.Meta})
			if keys, err := keysOf(t, c); err != nil || len(keys) != 0 {
				t.Errorf("of an empty server: %q, %v", keys, err)
			}
			for _, key := range want {
				if err := c.Set(within(t), client.Item{Key: key, Value: []byte("v")}); err != nil {
					t.Fatalf("%q: %v", key, err)
				}
			}
			keys, err := keysOf(t, c)
			if err != nil || !slices.Equal(keys, want) {
				t.Errorf("%q, %v", keys, err)
			}
			enough := errors.New("enough")
			if err := listKeys(t, c, func([]byte) error { return enough }); err != enough {
				t.Errorf("the caller's error: %v", err)
			}
		})
	}
}

// TestKeysRefused: what is no list is told as what it is, and a list that ends
// early never passes for a whole one.
func TestKeysRefused(t *testing.T) {
	noLeaks(t)
	for reply, want := range map[string]error{
		"BUSY currently processing crawler request\r\n":     client.ErrBusy,
		"ERROR key dump not allowed\r\n":                    client.ErrRefused,
		"CLIENT_ERROR lru crawler disabled\r\n":             client.ErrRefused,
		"SERVER_ERROR out of memory\r\n":                    client.ErrServer,
		"ERROR\r\n":                                         client.ErrUnknownCommand,
		"HD\r\n":                                            client.ErrMalformed,
		"mg ! b\r\nEN\r\n":                                  client.ErrMalformed,
		"mg a\r\nmg b\r\n":                                  io.ErrUnexpectedEOF,
		"mg a\r\nEN":                                        io.ErrUnexpectedEOF,
		"mg " + string(make([]byte, 40<<10)) + "\r\nEN\r\n": bufio.ErrBufferFull,
	} {
		f := newFake(t, func(nc net.Conn, _ int) {
			bufio.NewReader(nc).ReadString('\n')
			io.WriteString(nc, reply)
		})
		c := newClient(t, f.addr(), client.Options{Protocol: protocol.Meta})
		if keys, err := keysOf(t, c); !errors.Is(err, want) {
			t.Errorf("%.20q: %q, %v, want %v", reply, keys, err, want)
		}
	}
	silent := newFake(t, func(nc net.Conn, _ int) { io.Copy(io.Discard, nc) })
	c := newClient(t, silent.addr(), client.Options{Timeout: 50 * time.Millisecond})
	if _, err := keysOf(t, c); !errors.Is(err, client.ErrTimeout) {
		t.Errorf("of a silent server: %v", err)
	}
	c = newClient(t, silent.addr(), client.Options{})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := c.Keys(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("given up: %v", err)
	}
	c = newClient(t, silent.addr(), client.Options{Protocol: protocol.Binary})
	if err := c.Keys(within(t), nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("binary: %v", err)
	}
	c = newClient(t, "127.0.0.1:1", client.Options{})
	if _, err := keysOf(t, c); !errors.As(err, new(*client.ConnError)) {
		t.Errorf("nobody there: %v", err)
	}
}
