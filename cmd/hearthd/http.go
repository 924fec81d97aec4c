package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"

	"github.com/hearthcache/hearth/cmd/hearthd/web"
)

// setHTTP reads PORT, :PORT or HOST:PORT. All addresses must be asked for.
func setHTTP(c *Config, value string) error {
	if _, err := strconv.Atoi(value); err == nil {
		value = ":" + value
	}
	host, port, err := net.SplitHostPort(value)
	if err != nil || port == "" {
		return errors.New("needs a port, as in http=9150 or http=127.0.0.1:9150")
	}
	if host == "" {
		host = "127.0.0.1"
	}
	c.HTTP, err = address(net.JoinHostPort(host, port), port)
	return err
}

// serveHTTP starts the http side, before there is a cache: who asks then hears that
// it is not ready. Without -o http it is there and nobody can ask it.
func serveHTTP(c *Config, s *secrets, log *slog.Logger) (*web.Server, error) {
	o := web.Options{Version: version, MaxConns: c.Connections, Logger: log}
	if s.http != nil {
		o.Auth = s.http
	}
	site := web.New(o)
	if c.HTTP == "" {
		return site, nil
	}
	l, err := net.Listen("tcp", c.HTTP)
	if err != nil {
		return nil, fmt.Errorf("-o http: %w", err)
	}
	at := l.Addr().(*net.TCPAddr)
	if s.http == nil && !at.IP.IsLoopback() {
		log.Warn("everybody who reaches this address can look into the cache's statistics", "http", at, "hint", "-o http_auth_file")
	}
	log.Info("http", "listen", at)
	site.Serve(l)
	return site, nil
}
