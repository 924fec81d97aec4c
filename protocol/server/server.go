// Package server runs connections that speak memcached's protocols, text, meta and
// binary, and hands their requests to a Handler. See the programs in examples for
// how little that needs to be. Clients may have to speak TLS (ListenTLS) or to log
// in (Authenticator). A Local has a Handler answer without a connection.
//
// A Server has a few event loops, each a goroutine with an epoll descriptor and
// the connections given to it. A connection lives on one loop from accept to
// close and is touched by nobody else, except for Conn.Notify. A request is
// parsed in the connection's read buffer, executed by the Handler and answered
// into its write buffer without a copy or an allocation in between; buffers
// belong to the loop and are lent to connections that have bytes in hand.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hearthcache/hearth/protocol/text"
)

// ErrClosed is the error of Listen after Shutdown.
var ErrClosed = errors.New("server: closed")

// Options bound what a Server does. The zero value of each field stands for
// its default.
type Options struct {
	Loops       int           // event loops; default 1
	MaxValue    int           // largest value in bytes that is read; default 1 MiB
	MaxConns    int           // connections at a time, one more is turned away; default 1024
	Requests    int           // requests of one connection before the others' turn; default 20
	Backlog     int           // connections waiting to be accepted, per listener; default 1024
	IdleTimeout time.Duration // silence after which a connection is closed; default never
	Protocols   Protocols     // what connections may speak; default any

	// Authenticator, if set, has clients log in. A password that travels in
	// the clear is anybody's: use TLS as well.
	Authenticator Authenticator
	AuthTimeout   time.Duration // to shake hands by TLS, and again to log in; default 10 s
	TLSBuffer     int           // most bytes encrypted at once; default 16 KiB
	Logger        *slog.Logger  // default none

	// Opened and Closed, if set, are told of each connection that is served,
	// on its event loop: they must not block, and not keep the Conn.
	Opened func(*Conn)
	Closed func(*Conn, CloseReason)
}

func (o Options) withDefaults() Options {
	or := func(v *int, fallback int) {
		if *v <= 0 {
			*v = fallback
		}
	}
	or(&o.Loops, 1)
	or(&o.MaxValue, 1<<20)
	or(&o.MaxConns, 1024)
	or(&o.Requests, 20)
	or(&o.Backlog, 1024)
	or(&o.TLSBuffer, 16<<10)
	if o.AuthTimeout <= 0 {
		o.AuthTimeout = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Stats are a Server's counters since it was made.
type Stats struct {
	CurrConns     int64  // open connections
	TotalConns    uint64 // accepted ones
	RejectedConns uint64 // turned away at the limit
	AcceptErrors  uint64 // failures to accept, such as for want of descriptors
	AuthCmds      uint64 // logins tried
	AuthErrors    uint64 // logins that failed
	BytesRead     uint64
	BytesWritten  uint64
	ConnYields    uint64 // times a connection had to let the others go first
	IdleKicks     uint64 // connections closed for their silence
	BufferBytes   int64  // memory of all buffers, those kept for reuse included
	TLSSessions   uint64 // TLS handshakes that did not resume a session
	TLSErrors     uint64 // TLS handshakes that failed
}

// Server accepts connections and serves them with a Handler.
type Server struct {
	handler Handler
	opt     Options
	loops   []*loop
	gate    *gate
	running sync.WaitGroup // loops

	mu        sync.Mutex // guards listeners and closed
	listeners []*listener
	closed    bool
	accepting sync.WaitGroup

	handshakes     sync.WaitGroup  // TLS connections not given to a loop yet
	bridges        sync.WaitGroup  // all TLS connections
	accepts        context.Context // done when handshakes are to end
	stopHandshakes context.CancelFunc
	serves         context.Context // done when TLS connections are to be cut
	cut            context.CancelFunc
	tlsBuffers     sync.Pool // of *[]byte

	next         atomic.Uint64 // spreads connections over the loops
	curr         atomic.Int64
	total        atomic.Uint64
	rejected     atomic.Uint64
	acceptErrors atomic.Uint64
	tlsSessions  atomic.Uint64
	tlsErrors    atomic.Uint64
}

// New makes a Server and starts its loops. It serves nobody until Listen.
func New(h Handler, o Options) (*Server, error) {
	s := &Server{handler: h, opt: o.withDefaults()}
	s.accepts, s.stopHandshakes = context.WithCancel(context.Background())
	s.serves, s.cut = context.WithCancel(context.Background())
	s.tlsBuffers.New = func() any {
		b := make([]byte, s.opt.TLSBuffer)
		return &b
	}
	s.gate = newGate(s)
	for i := range s.opt.Loops {
		l, err := newLoop(s, i)
		if err != nil {
			s.Shutdown(context.Background())
			return nil, fmt.Errorf("server: start loop: %w", err)
		}
		s.loops = append(s.loops, l)
		s.running.Add(1)
		go func() {
			defer s.running.Done()
			l.run()
		}()
	}
	return s, nil
}

// Shutdown stops accepting and lets each connection finish: what it has
// received whole is executed and answered, then it is closed. When ctx ends,
// connections are closed as they are. Pending answers are awaited even then,
// so that after Shutdown no Handler is called any more.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopAccepting()
	defer s.cut()
	for _, l := range s.loops {
		l.post(func() { l.drain() })
	}
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		s.bridges.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	for _, l := range s.loops {
		l.post(func() { l.abandonAll() })
	}
	s.cut()
	<-done
	return ctx.Err()
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	st := Stats{
		CurrConns:     s.curr.Load(),
		TotalConns:    s.total.Load(),
		RejectedConns: s.rejected.Load(),
		AcceptErrors:  s.acceptErrors.Load(),
		TLSSessions:   s.tlsSessions.Load(),
		TLSErrors:     s.tlsErrors.Load(),
	}
	if s.gate != nil {
		st.AuthCmds, st.AuthErrors = s.gate.tries.Load(), s.gate.failures.Load()
	}
	for _, l := range s.loops {
		st.BytesRead += l.count.read.Load()
		st.BytesWritten += l.count.written.Load()
		st.ConnYields += l.count.yields.Load()
		st.IdleKicks += l.count.kicks.Load()
		st.BufferBytes += l.pool.total.Load()
	}
	return st
}

func (s *Server) limits() limits {
	l := limits{requests: s.opt.Requests, highWater: highWater, parser: text.Parser{MaxValue: s.opt.MaxValue}, protocols: s.opt.Protocols, gate: s.gate}
	if r, ok := s.handler.(Receiver); ok {
		l.parser.Stream = r.LargeValue()
	}
	return l
}
