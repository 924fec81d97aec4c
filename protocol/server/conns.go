package server

import (
	"cmp"
	"net"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// ConnState is what a connection does. Its text is memcached's name for it.
type ConnState uint8

// The states of connections.
const (
	ConnRead      ConnState = iota // waits for a request
	ConnNread                      // waits for the rest of a value
	ConnPending                    // waits for an answer
	ConnWrite                      // its client does not take the replies
	ConnListening                  // is a listening socket
)

var stateNames = [...]string{
	ConnRead: "conn_read", ConnNread: "conn_nread", ConnPending: "conn_io_queue",
	ConnWrite: "conn_mwrite", ConnListening: "conn_listening",
}

// String returns memcached's name of s.
func (s ConnState) String() string { return stateNames[s] }

// ConnInfo is what is known of a connection, or of a listening socket.
type ConnInfo struct {
	FD     int      // its descriptor
	Remote net.Addr // the client's; of a Unix socket, and where State is ConnListening, as Listen
	Listen net.Addr // the address at which it was accepted
	TLS    bool
	// State is how the loop left it when it last served it: a connection that
	// is being served has its state from before.
	State ConnState
	Idle  time.Duration // since bytes last moved, to about a second
}

// CloseReason is why a connection was closed. Its text is memcached's.
type CloseReason uint8

// Why connections are closed.
const (
	CloseNormal   CloseReason = iota // the client has left, or quit
	CloseError                       // it failed, or sent what makes no sense
	CloseIdle                        // it was silent for too long
	CloseShutdown                    // the server stops
	CloseLogin                       // it has not logged in, in time or as often as it tried
)

var reasonNames = [...]string{
	CloseNormal: "normal", CloseError: "error", CloseIdle: "idle_timeout", CloseShutdown: "shutdown", CloseLogin: "login",
}

// String returns memcached's name of r.
func (r CloseReason) String() string { return reasonNames[r] }

// endpoint is what stays the same of a connection while it is open.
type endpoint struct {
	fd     int
	remote net.Addr
	listen net.Addr
	bridge *bridge // of a TLS connection, otherwise nil
}

// FD is the connection's descriptor: a number that no other open connection has.
func (c *Conn) FD() int { return c.end.fd }

// RemoteAddr is the client's address; of a Unix socket it is the server's.
func (c *Conn) RemoteAddr() net.Addr { return c.end.remote }

// Conns returns the listening sockets and the open connections, by descriptor.
// It may be called from anywhere, a Handler included.
func (s *Server) Conns() []ConnInfo {
	var infos []ConnInfo
	s.mu.Lock()
	for _, l := range s.listeners {
		infos = append(infos, ConnInfo{FD: l.fd, Remote: l.addr, Listen: l.addr, TLS: l.config != nil, State: ConnListening})
	}
	s.mu.Unlock()
	for _, l := range s.loops {
		infos = l.appendConns(infos)
	}
	slices.SortFunc(infos, func(a, b ConnInfo) int { return cmp.Compare(a.FD, b.FD) })
	return infos
}

func (l *loop) appendConns(infos []ConnInfo) []ConnInfo {
	l.connsMu.Lock()
	defer l.connsMu.Unlock()
	for _, c := range l.conns {
		if c != nil {
			silent := l.ticks.Load() - c.lastTick.Load()
			infos = append(infos, ConnInfo{
				FD: c.end.fd, Remote: c.end.remote, Listen: c.end.listen, TLS: c.end.bridge != nil,
				State: ConnState(c.state.Load()), Idle: time.Duration(silent) * l.tick,
			})
		}
	}
	return infos
}

// show tells Conns how serve has left c. Stores are dear, and mostly nothing
// has changed.
func (c *Conn) show() {
	state := ConnRead
	switch {
	case c.blocked:
		state = ConnWrite
	case c.ring.n > 0:
		state = ConnPending
	case c.parser.Need > 0:
		state = ConnNread
	}
	if c.state.Load() != uint32(state) {
		c.state.Store(uint32(state))
	}
}

// reason is why serve has come to the end of c.
func (c *Conn) reason() CloseReason {
	switch {
	case c.intruder:
		return CloseLogin
	case c.failed || c.closing && !c.quit:
		return CloseError
	case c.draining:
		return CloseShutdown
	}
	return CloseNormal
}

// remoteAddr is the address of an accepted connection.
func remoteAddr(sa unix.Sockaddr, listen net.Addr) net.Addr {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: slices.Clone(a.Addr[:]), Port: a.Port}
	case *unix.SockaddrInet6:
		addr := &net.TCPAddr{IP: slices.Clone(a.Addr[:]), Port: a.Port}
		if a.ZoneId != 0 {
			if in, err := net.InterfaceByIndex(int(a.ZoneId)); err == nil {
				addr.Zone = in.Name
			}
		}
		return addr
	}
	return listen
}
