package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	mrand "math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// certificate makes a self-signed one for 127.0.0.1.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "server"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// startTLS is start with a TLS listener beside the others.
func startTLS(t *testing.T, h server.Handler, o server.Options) (s *server.Server, secure, plain string, roots *x509.CertPool) {
	t.Helper()
	cert, roots := certificate(t)
	s, plain, _ = start(t, h, o)
	addr, err := s.ListenTLS("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	return s, addr.String(), plain, roots
}

func dialTLS(t *testing.T, address string, roots *x509.CertPool) *client {
	t.Helper()
	c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{c, t, bufio.NewReader(c)}
}

func TestTLSPipelines(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	h := &later{}
	_, secure, _, roots := startTLS(t, h, server.Options{Loops: 2})
	var done sync.WaitGroup
	for i := range 8 {
		c := dialTLS(t, secure, roots)
		done.Go(func() { pipeline(c, mrand.New(mrand.NewPCG(seed, uint64(i))), 700) })
	}
	done.Wait()
	until(t, "all answers are taken", func() bool { return h.open.Load() == 0 })
}

// TestTLSLargeValues: more than any buffer on the way, in both directions.
func TestTLSLargeValues(t *testing.T) {
	h := &later{value: bytes.Repeat([]byte("0123456789"), 300_000)}
	_, secure, _, roots := startTLS(t, h, server.Options{MaxValue: 4 << 20})
	c := dialTLS(t, secure, roots)
	fmt.Fprintf(c, "set a 0 0 %d\r\n%s\r\nget now now\r\n", len(h.value), h.value)
	one := string(protocol.AppendValue(nil, &protocol.Request{Key: []byte("now")}, h.value, &protocol.Item{}))
	c.want(protocol.Stored.Line() + one + one + protocol.End)
}

func TestTLSConnInfo(t *testing.T) {
	s, secure, plain, roots := startTLS(t, &later{}, server.Options{})
	c, p := dialTLS(t, secure, roots), dial(t, "tcp", plain)
	until(t, "both are open", func() bool { return len(s.Conns()) == 5 })
	for _, info := range s.Conns() {
		if info.State == server.ConnListening {
			if info.TLS != (info.Listen.String() == secure) {
				t.Errorf("%+v", info)
			}
			continue
		}
		want := p
		if info.TLS {
			want = c
		}
		if info.Remote.String() != want.LocalAddr().String() || info.Listen.String() != want.RemoteAddr().String() {
			t.Errorf("%v at %v, want %v at %v", info.Remote, info.Listen, want.LocalAddr(), want.RemoteAddr())
		}
	}
}

// TestTLSHalfClosed: a client that has ended its side gets its answers.
func TestTLSHalfClosed(t *testing.T) {
	h := &later{release: make(chan struct{})}
	s, secure, _, roots := startTLS(t, h, server.Options{})
	c := dialTLS(t, secure, roots)
	fmt.Fprint(c, "get now a never\r\nget b")
	c.Conn.(*tls.Conn).CloseWrite()
	c.want(value("now") + value("a"))
	close(h.release)
	c.want(value("never") + protocol.End)
	c.wantEnd()
	until(t, "it is closed", func() bool { return s.Stats().CurrConns == 0 })
}

// TestTLSSentAndGone: what a client has sent before it closed is executed.
func TestTLSSentAndGone(t *testing.T) {
	h := &later{}
	s, secure, _, roots := startTLS(t, h, server.Options{})
	c := dialTLS(t, secure, roots)
	fmt.Fprint(c, strings.Repeat("set a 0 0 1 noreply\r\nx\r\n", 100))
	c.Close()
	until(t, "the sets are done", func() bool { return h.sets.Load() == 100 })
	until(t, "it is closed", func() bool { return s.Stats().CurrConns == 0 })
}

// TestTLSGarbage: what is no TLS is closed at once and harms nobody.
func TestTLSGarbage(t *testing.T) {
	s, secure, _, roots := startTLS(t, &later{}, server.Options{AuthTimeout: time.Hour})
	for i, garbage := range []string{"get a\r\n", "\x80\x00\x00\x00\x00\x00\x00\x00", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", strings.Repeat("\xff", 100_000)} {
		c := dial(t, "tcp", secure)
		fmt.Fprint(c, garbage)
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%.20q: %v", garbage, err)
		}
		until(t, "it is counted", func() bool { return s.Stats().TLSErrors == uint64(i+1) })
	}
	until(t, "all are closed", func() bool { return s.Stats().CurrConns == 0 })
	c := dialTLS(t, secure, roots)
	fmt.Fprint(c, "get now\r\n")
	c.want(value("now") + protocol.End)
}

// TestTLSHandshakeInTime: a client that is slow to shake hands is closed.
func TestTLSHandshakeInTime(t *testing.T) {
	s, secure, _, _ := startTLS(t, &later{}, server.Options{AuthTimeout: 50 * time.Millisecond})
	silent, half := dial(t, "tcp", secure), dial(t, "tcp", secure)
	fmt.Fprint(half, "\x16\x03\x01\x00\xff")
	silent.wantEnd()
	half.wantEnd()
	until(t, "both are closed", func() bool { return s.Stats().CurrConns == 0 })
}

// TestTLSConnectionLimit: a connection counts before it has shaken hands.
func TestTLSConnectionLimit(t *testing.T) {
	s, secure, _, roots := startTLS(t, &later{}, server.Options{MaxConns: 1})
	silent := dial(t, "tcp", secure)
	until(t, "it is counted", func() bool { return s.Stats().CurrConns == 1 })
	over := dial(t, "tcp", secure)
	over.wantEnd()
	silent.Close()
	until(t, "it has gone", func() bool { return s.Stats().CurrConns == 0 })
	c := dialTLS(t, secure, roots)
	fmt.Fprint(c, "get now\r\nquit\r\n")
	c.want(value("now") + protocol.End)
	c.wantEnd()
	until(t, "it is closed", func() bool { return s.Stats().CurrConns == 0 })
	if st := s.Stats(); st.RejectedConns != 1 || st.TotalConns != 2 {
		t.Errorf("%+v", st)
	}
}

// TestTLSShutdown: what a client was promised it gets, and hands are not shaken
// any more.
func TestTLSShutdown(t *testing.T) {
	h := &later{release: make(chan struct{})}
	s, secure, _, roots := startTLS(t, h, server.Options{AuthTimeout: time.Hour})
	idle, waiting, silent := dialTLS(t, secure, roots), dialTLS(t, secure, roots), dial(t, "tcp", secure)
	fmt.Fprint(waiting, "get never\r\nget now\r\nget ha")
	until(t, "the get has begun", func() bool { return h.open.Load() == 1 && s.Stats().CurrConns == 3 })
	ended := make(chan error)
	go func() { ended <- s.Shutdown(context.Background()) }()
	idle.wantEnd()
	silent.wantEnd()
	close(h.release)
	waiting.want(value("never") + protocol.End + value("now") + protocol.End)
	waiting.wantEnd()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// stuckTLS is a client that has much to read and does not.
func stuckTLS(t *testing.T, s *server.Server, address string, roots *x509.CertPool) *client {
	c := dialTLS(t, address, roots)
	fmt.Fprint(c, strings.Repeat("get now now now now\r\n", 1000))
	until(t, "it is stuck", func() bool {
		for _, info := range s.Conns() {
			if info.State == server.ConnWrite {
				return true
			}
		}
		return false
	})
	return c
}

// TestTLSShutdownForced: a client that does not read is not waited for.
func TestTLSShutdownForced(t *testing.T) {
	s, secure, _, roots := startTLS(t, &later{value: make([]byte, 1<<20)}, server.Options{})
	stuckTLS(t, s, secure, roots)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 8*time.Second {
		t.Errorf("got %v after %v", err, time.Since(began))
	}
}

// TestTLSSlowReaderHarmsNobody: nor does it make the server hold much.
func TestTLSSlowReaderHarmsNobody(t *testing.T) {
	s, secure, _, roots := startTLS(t, &later{value: make([]byte, 100_000)}, server.Options{})
	slow := stuckTLS(t, s, secure, roots)
	other := dialTLS(t, secure, roots)
	reply := string(protocol.AppendValue(nil, &protocol.Request{Key: []byte("now")}, make([]byte, 100_000), &protocol.Item{})) + protocol.End
	for range 50 {
		fmt.Fprint(other, "get now\r\n")
		other.want(reply)
	}
	if held := s.Stats().BufferBytes; held > 16<<20 {
		t.Errorf("%d bytes are held", held)
	}
	slow.Conn.(*tls.Conn).NetConn().Close()
	other.Close()
	until(t, "both are closed", func() bool { return s.Stats().CurrConns == 0 })
}

// TestTLSIdleKick: the client is told, and nothing of it is left.
func TestTLSIdleKick(t *testing.T) {
	s, secure, _, roots := startTLS(t, &later{}, server.Options{IdleTimeout: 100 * time.Millisecond})
	dialTLS(t, secure, roots).wantEnd()
	until(t, "it is closed", func() bool { return s.Stats().CurrConns == 0 })
}

// TestTLSIdleKickOfStuck: so it is with one that does not read.
func TestTLSIdleKickOfStuck(t *testing.T) {
	s, secure, _, roots := startTLS(t, &later{value: make([]byte, 1<<20)}, server.Options{IdleTimeout: 300 * time.Millisecond})
	stuckTLS(t, s, secure, roots)
	began := time.Now()
	until(t, "it is closed", func() bool { return s.Stats().CurrConns == 0 })
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("after %v", took)
	}
}

func TestTLSManyComeAndGo(t *testing.T) {
	s, secure, _, roots := startTLS(t, &later{}, server.Options{Loops: 2})
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	var done sync.WaitGroup
	for i := range 4 {
		done.Go(func() {
			for range 10 {
				c := dialTLS(t, secure, roots)
				fmt.Fprint(c, "get now a\r\n")
				c.want(value("now") + value("a") + protocol.End)
				switch i {
				case 0:
					fmt.Fprint(c, "quit\r\n")
					c.wantEnd()
				case 1:
					c.Conn.(*tls.Conn).NetConn().(*net.TCPConn).SetLinger(0)
				}
				c.Close()
			}
		})
	}
	done.Wait()
	until(t, "connections, goroutines and descriptors are freed", func() bool {
		return s.Stats().CurrConns == 0 && runtime.NumGoroutine() <= goroutines && descriptors(t) <= files
	})
	if st := s.Stats(); st.TotalConns != 40 || st.TLSErrors != 0 || st.TLSSessions != 40 {
		t.Errorf("%+v", st)
	}
}

// TestTLSReload: a config chosen for each client lets certificates change.
func TestTLSReload(t *testing.T) {
	first, firstRoots := certificate(t)
	second, secondRoots := certificate(t)
	var mu sync.Mutex
	now := &tls.Config{Certificates: []tls.Certificate{first}}
	s, _, _ := start(t, &later{}, server.Options{})
	addr, err := s.ListenTLS("127.0.0.1:0", &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		mu.Lock()
		defer mu.Unlock()
		return now, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	old := dialTLS(t, addr.String(), firstRoots)
	mu.Lock()
	now = &tls.Config{Certificates: []tls.Certificate{second}}
	mu.Unlock()
	for _, c := range []*client{old, dialTLS(t, addr.String(), secondRoots)} {
		fmt.Fprint(c, "get now\r\n")
		c.want(value("now") + protocol.End)
	}
}
