package web

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Bounds of what clients may take of the server, whatever they send or leave out.
const (
	headerTimeout = 5 * time.Second
	writeTimeout  = 60 * time.Second // a CPU profile takes 30
	idleTimeout   = 2 * time.Minute
	mostHeader    = 16 << 10 // bytes
	mostConns     = 64

	// mostLogins bounds how many wrong passwords are looked at in loginDelay.
	mostLogins = 4
	loginDelay = 500 * time.Millisecond
)

// policy has the page take everything from this server and nothing from others,
// and nobody frame it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guard lets only those requests through to next that may see it.
type guard struct {
	next     http.Handler
	auth     Authenticator // nil lets everybody in
	loopback bool          // the server listens there alone
	logins   chan struct{} // holds as many as are looked at
}

// ServeHTTP says which headers every answer has, and who is turned away.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
	case r.ContentLength != 0:
		h.Set("Connection", "close")
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(headerTimeout)) // for the body, which net/http skips
		http.Error(w, "no body", http.StatusBadRequest)
	case g.auth == nil && g.loopback && !isLocal(r.Host):
		// A name that leads here though we listen only on the loopback is that of
		// a page elsewhere, which has its reader's browser ask.
		http.Error(w, "this name is not localhost", http.StatusMisdirectedRequest)
	case !g.mayLook(r):
		h.Set("WWW-Authenticate", `Basic realm="hearthd", charset="UTF-8"`)
		http.Error(w, "log in", http.StatusUnauthorized)
	case strings.HasPrefix(r.URL.Path, "/debug/") && g.auth == nil && !g.loopback:
		http.Error(w, "profiles are for the loopback, or for those who log in: -o http_auth_file", http.StatusForbidden)
	default:
		g.next.ServeHTTP(w, r)
	}
}

// mayLook slows guessing down: a wrong password holds one of few places.
func (g *guard) mayLook(r *http.Request) bool {
	if g.auth == nil {
		return true
	}
	user, secret, given := r.BasicAuth()
	if !given {
		return false
	}
	if g.auth.Authenticate(r.Context(), []byte(user), []byte(secret)) {
		return true
	}
	select {
	case g.logins <- struct{}{}:
	case <-r.Context().Done():
		return false
	}
	defer func() { <-g.logins }()
	select {
	case <-time.After(loginDelay):
	case <-r.Context().Done():
	}
	return false
}

// isLocal tells whether a Host header is an address or localhost, and no name that
// somebody else decides on.
func isLocal(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	return host == "localhost" || net.ParseIP(host) != nil
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}

// limited accepts only while fewer than so many of its connections are open; the
// others wait in the kernel.
type limited struct {
	net.Listener
	open chan struct{}
}

func limit(l net.Listener, most int) net.Listener { return &limited{l, make(chan struct{}, most)} }

// Accept waits for a connection, and for its turn. A listener that is closed while
// all turns are taken ends with the first that is given back.
func (l *limited) Accept() (net.Conn, error) {
	l.open <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.open
		return nil, err
	}
	return &limitedConn{Conn: c, closed: sync.OnceFunc(func() { <-l.open })}, nil
}

type limitedConn struct {
	net.Conn
	closed func()
}

// Close gives the turn back.
func (c *limitedConn) Close() error {
	defer c.closed()
	return c.Conn.Close()
}
