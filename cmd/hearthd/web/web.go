// Package web is hearthd's http side: metrics for Prometheus, health and
// readiness, profiles, and a page that shows what the cache does while it does it.
// It has numbers and states only: no key, and no value.
package web

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/protocol/server"
)

// Authenticator tells who may look. It may be called by many goroutines at once,
// and takes the same time for a wrong user as for a wrong password.
type Authenticator interface {
	Authenticate(ctx context.Context, user, secret []byte) bool
}

// Options say what a Server is to tell. All but Logger may be left out.
type Options struct {
	Version  string
	MaxConns int           // of the cache's clients
	Auth     Authenticator // nil lets everybody in
	Logger   *slog.Logger
}

// Server answers http requests about a cache: also before it is open, and while
// it closes. Its methods may be called at any time, by any goroutine.
type Server struct {
	opts    Options
	started time.Time
	http    http.Server
	quit    chan struct{} // closed by Close: streams end
	tick    time.Duration // how often a stream tells what is new

	done, total atomic.Int64 // records that the recovery has come by, and of how many

	// mu keeps the cache from being closed under a reader.
	mu    sync.RWMutex
	phase phase
	cache *hearth.Cache // nil unless ready
	conns func() server.Stats
}

// phase is what becomes of the cache. It only goes forward.
type phase string

const (
	recovering phase = "recovering"
	ready      phase = "ready"
	stopping   phase = "stopping"
)

// New makes a server of a cache that is yet to be opened.
func New(o Options) *Server {
	return &Server{opts: o, started: time.Now(), quit: make(chan struct{}), tick: time.Second, phase: recovering}
}

// Recovering notes how far the cache's recovery is: it is an Options.Progress of
// the cache.
func (s *Server) Recovering(done, total int64) {
	s.done.Store(done)
	s.total.Store(total)
}

// Ready tells that the cache is open and serves, with the counts of its
// connections.
func (s *Server) Ready(c *hearth.Cache, conns func() server.Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase, s.cache, s.conns = ready, c, conns
}

// Stopping tells that the cache is about to be closed. Nobody looks into it once
// this has returned.
func (s *Server) Stopping() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase, s.cache = stopping, nil
}

// Serve starts to answer on l. It is called once, before Close.
func (s *Server) Serve(l net.Listener) {
	s.http = http.Server{
		Handler: s.handler(l.Addr()),
		// No deadline for reading as a whole: it would end streams and profiles.
		ReadHeaderTimeout: headerTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: mostHeader,
		ErrorLog: slog.NewLogLogger(s.opts.Logger.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := s.http.Serve(limit(l, mostConns)); !errors.Is(err, http.ErrServerClosed) {
			s.opts.Logger.Error("http ends", "err", err)
		}
	}()
}

// Close ends all connections. It is called once.
func (s *Server) Close() error {
	close(s.quit)
	return s.http.Close()
}

// snapshot is what there is to tell at one time.
type snapshot struct {
	server  *Server
	phase   phase
	stats   hearth.Stats // of phase ready, as what follows
	conns   server.Stats
	pages   []flashtier.PageStat // only if asked for
	devices []hearth.DeviceStats // none without flash
}

// look reads the cache's statistics, once.
func (s *Server) look(pages bool) *snapshot {
	s.mu.RLock()
	defer s.mu.RUnlock()
	now := &snapshot{server: s, phase: s.phase}
	if s.cache == nil {
		return now
	}
	now.stats, now.conns = s.cache.Stats(), s.conns()
	now.devices = s.cache.Devices()
	if pages {
		now.pages = s.cache.Pages()
	}
	return now
}

func (n *snapshot) hasFlash() bool { return n.stats.Engine != "" }
