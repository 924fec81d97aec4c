package certify

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"
)

// simple are checks of every protocol that ask little.
var simple = regexp.MustCompile(`^(version|set|mn|noop|touch)$`)

// TestPasswordFile: a server that wants user and password in text gets them on
// every connection.
func TestPasswordFile(t *testing.T) {
	t.Parallel()
	users := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(users, []byte("user:secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := Options{Addr: startMemcached(t, "-Y", users), Names: simple, User: "user", Password: "secret", Timeout: 10 * time.Second}
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Verdict{"text": Pass, "meta": Pass, "binary": NotSupported, "flash": NotSupported}
	for _, r := range report.Results {
		if r.Verdict != want[r.Group] {
			t.Error(describe(t, r))
		}
	}
	o.Password = "wrong"
	if _, err := Run(t.Context(), o); err == nil {
		t.Error("a wrong password is taken")
	}
}

// TestSASL: in the binary protocol the login is SASL's, and the server's text is
// not used.
func TestSASL(t *testing.T) {
	t.Parallel()
	login := "\x80\x21\x00\x05\x00\x00\x00\x00\x00\x00\x00\x11\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00PLAIN\x00user\x00secret"
	addr := inFront(t, startMemcached(t), nil, func(client net.Conn) bool {
		heard := make([]byte, len(login))
		if _, err := io.ReadFull(client, heard[:1]); err != nil || heard[0] != 0x80 {
			return false
		}
		if _, err := io.ReadFull(client, heard[1:]); err != nil || string(heard) != login {
			return false
		}
		_, err := client.Write([]byte("\x81\x21\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0d\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00Authenticated"))
		return err == nil
	})
	o := Options{Addr: addr, Names: simple, User: "user", Password: "secret", Timeout: 10 * time.Second}
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		if (r.Group == "binary") != (r.Verdict == Pass) || r.Verdict == Fail {
			t.Error(describe(t, r))
		}
	}
	if report.Version == "" {
		t.Error("no version")
	}
}

// TestTLS: the certificate must be that of the host.
func TestTLS(t *testing.T) {
	t.Parallel()
	certificate, pool := selfSigned(t)
	addr := inFront(t, startMemcached(t), &tls.Config{Certificates: []tls.Certificate{certificate}}, nil)
	report, err := Run(t.Context(), Options{Addr: addr, Names: simple, TLS: &tls.Config{RootCAs: pool}, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		if r.Verdict == Fail || r.Group == "text" && r.Verdict != Pass {
			t.Error(describe(t, r))
		}
	}
	if _, err := Run(t.Context(), Options{Addr: addr, TLS: &tls.Config{}, Timeout: time.Second}); err == nil {
		t.Error("an unknown certificate is taken")
	}
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// inFront listens in front of server: by TLS if config is not nil, and only for
// clients that admit, if not nil, lets through.
func inFront(t *testing.T, server string, config *tls.Config, admit func(net.Conn) bool) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if config != nil {
		l = tls.NewListener(l, config)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer client.Close()
				if admit == nil || admit(client) {
					join(client, server)
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); conns.Wait() })
	return addr
}

// join passes bytes on until either side ends.
func join(client net.Conn, addr string) {
	server, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(server, client)
		server.Close()
	}()
	_, _ = io.Copy(client, server)
}

// TestUnreachable: a server that is not there, or says nothing known, is an error.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write(bytes.Repeat([]byte("220 mail.example.org\r\n"), 10))
			conn.Close()
		}
	}()
	addr := l.Addr().String()
	if _, err := Run(t.Context(), Options{Addr: addr, Timeout: time.Second}); err == nil {
		t.Error("no error of a mail server")
	}
	l.Close()
	var op *net.OpError
	if _, err := Run(t.Context(), Options{Addr: addr, Timeout: time.Second}); !errors.As(err, &op) {
		t.Errorf("%v of no server", err)
	}
	if _, err := Run(t.Context(), Options{Addr: addr, Groups: []string{"certify"}}); err == nil {
		t.Error("no error of an unknown group")
	}
}
