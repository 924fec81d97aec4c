package main

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"

	"github.com/hearthcache/hearth/protocol/server"
)

// listeners are sockets that were opened early, by their Address.TCP.
type listeners map[string]net.Listener

// listen opens the sockets of the command line that are not open yet, and accepts
// from all.
func listen(s *server.Server, c *Config, early listeners, secure *tls.Config) ([]net.Addr, error) {
	if c.Socket != "" {
		a, err := s.ListenUnix(c.Socket, fs.FileMode(c.SocketMode))
		return []net.Addr{a}, err
	}
	var addrs []net.Addr
	for _, address := range c.Listen {
		l := early[address.TCP]
		if l == nil {
			var err error
			if l, err = net.Listen("tcp", address.TCP); err != nil {
				return nil, err
			}
		}
		config := secure
		if address.NoTLS {
			config = nil
		}
		if err := s.Serve(l, config); err != nil {
			return nil, err
		}
		addrs = append(addrs, l.Addr())
	}
	return addrs, nil
}

// bindPrivileged opens the sockets of ports that only root may open, if root is
// about to be given up. Their clients wait in the kernel until the cache is there;
// those of other ports are refused until then.
func bindPrivileged(c *Config) (listeners, error) {
	early := listeners{}
	if os.Getuid() != 0 || c.User == "" || c.User == "root" {
		return early, nil
	}
	for _, address := range c.Listen {
		_, port, _ := net.SplitHostPort(address.TCP)
		if n, _ := strconv.Atoi(port); n == 0 || n > 1023 {
			continue
		}
		l, err := net.Listen("tcp", address.TCP)
		if err != nil {
			return nil, fmt.Errorf("before -u: %w", err)
		}
		early[address.TCP] = l
	}
	return early, nil
}
