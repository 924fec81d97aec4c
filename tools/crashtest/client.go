package main

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"github.com/hearthcache/hearth/tools/oracle"
)

// client is one connection of load. It lives through the server's restarts, so
// that it also uses what it learned before them.
type client struct {
	load   *load
	rand   *rand.Rand
	conn   net.Conn
	in     *bufio.Reader
	out    []byte
	tokens [64]token // of gets, a ring
	known  int
}

// token is what a gets has told: the next cas of the key may use it.
type token struct {
	key  uint32
	cas  uint64
	seen oracle.Seen
}

// replyLimit is how long a server may take for a reply. The slowest replies are
// those of sets that wait for room, at most a second.
const replyLimit = 30 * time.Second

func (c *client) remember(key uint32, cas uint64, seen oracle.Seen) {
	c.tokens[c.known%len(c.tokens)] = token{key, cas, seen}
	c.known++
}

func (c *client) line() (string, error) { return readLine(c.in) }

// connect opens the client's connection to a new run of the server.
func (c *client) connect(addr string) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	c.conn, c.in = conn, bufio.NewReaderSize(conn, 64<<10)
	return nil
}

// exchange sends a batch of requests in one write, and reads the replies. On an
// error none of them is under way any more.
func (c *client) exchange(batch []request) error {
	c.out = c.out[:0]
	for _, q := range batch {
		c.out = q.append(c.out)
	}
	c.conn.SetDeadline(time.Now().Add(replyLimit))
	sent := make(chan error, 1)
	if len(c.out) < 32<<10 {
		_, err := c.conn.Write(c.out)
		sent <- err
	} else { // the server may want its replies read first
		go func() {
			_, err := c.conn.Write(c.out)
			sent <- err
		}()
	}
	var err error
	for i, q := range batch {
		if err = q.receive(c); err != nil {
			for _, q := range batch[i:] {
				q.abandon()
			}
			c.conn.Close()
			break
		}
	}
	return errors.Join(err, <-sent)
}

// run sends batches until stop is closed or the connection breaks.
func (c *client) run(stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		batch := make([]request, 1+c.rand.IntN(8))
		for i := range batch {
			batch[i] = c.load.choose(c)
		}
		if err := c.exchange(batch); err != nil {
			return err
		}
	}
}

// stuck tells an error of a server that is there but does not answer.
func stuck(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
