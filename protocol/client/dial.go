package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
)

// connect dials, speaks TLS and logs in, where the options say so. fail ends
// each of them.
func (c *conn) connect() (net.Conn, error) {
	network := "tcp"
	if strings.Contains(c.client.addr, "/") {
		network = "unix"
	}
	var dialer net.Dialer
	raw, err := dialer.DialContext(c.life, network, c.client.addr)
	if err != nil {
		return nil, err
	}
	if !c.adopt(raw) {
		raw.Close()
		return nil, ErrClosed
	}
	nc := raw
	if c.client.opts.TLS != nil {
		if nc, err = handshake(c.life, raw, c.client.opts.TLS, c.client.addr); err != nil {
			return nil, err
		}
	}
	if c.client.opts.Username == "" {
		return nc, nil
	}
	return nc, c.login(nc)
}

// adopt makes fail close nc, and returns whether it is not too late for that.
func (c *conn) adopt(nc net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nc = nc
	return c.err == nil
}

func handshake(ctx context.Context, raw net.Conn, config *tls.Config, addr string) (net.Conn, error) {
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName, _, _ = net.SplitHostPort(addr)
	}
	nc := tls.Client(raw, config)
	if err := nc.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return nc, nil
}

// login asks for the connection to be authenticated, before anything else is
// asked there.
func (c *conn) login(nc net.Conn) error {
	k := c.client.codec.login(c.client.opts.Username, c.client.opts.Password)
	defer k.free()
	if _, err := nc.Write(c.client.codec.appendCall(nil, k)); err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	for done := false; !done; {
		if err := c.in.fill(nc); err != nil {
			return fmt.Errorf("log in: %w", err)
		}
		n, ended, err := c.client.codec.next(c.in.rest(), k, c.client.opts.MaxValue)
		if done = ended; err != nil && !done {
			return fmt.Errorf("log in: %w", err)
		}
		c.in.start += n
	}
	switch {
	case k.err != nil:
		return &ReplyError{ErrAuth, k.err.Error()}
	case c.in.held() > 0:
		return malformed(c.in.rest())
	}
	return nil
}
