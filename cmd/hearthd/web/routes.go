package web

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// assets are the page: plain files, as the browser gets them.
//
//go:embed assets
var assets embed.FS

// handler answers what comes in at the address.
func (s *Server) handler(at net.Addr) http.Handler {
	page, err := fs.Sub(assets, "assets")
	if err != nil {
		panic(err) // of the name above
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServerFS(page))
	mux.Handle("/metrics", s.metrics())
	mux.HandleFunc("/healthz", s.healthz)
	mux.HandleFunc("/readyz", s.readyz)
	mux.HandleFunc("/events", s.events)
	mux.HandleFunc("/page", s.page)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return &guard{next: mux, auth: s.opts.Auth, loopback: isLoopback(at), logins: make(chan struct{}, mostLogins)}
}

func (s *Server) metrics() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(newCollector(s), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// healthz tells that the process answers, whatever it does.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n")) // or the client is gone
}

// readiness is what /readyz answers.
type readiness struct {
	Status   phase     `json:"status"`
	Recovery *progress `json:"recovery,omitempty"` // while it goes on
}

// progress is how far a recovery is, in records. Total is 0 while it is not known.
type progress struct {
	Done  int64 `json:"done"`
	Total int64 `json:"total"`
}

func (s *Server) readiness(p phase) readiness {
	if p != recovering {
		return readiness{Status: p}
	}
	return readiness{p, &progress{s.done.Load(), s.total.Load()}}
}

// readyz tells whether the cache serves.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	s.mu.RLock()
	now := s.readiness(s.phase)
	s.mu.RUnlock()
	w.Header().Set("Content-Type", "application/json")
	if now.Status != ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(now) // or the client is gone
}
