package client_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/client"
)

// certificate makes one for 127.0.0.1, and the pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestTLS(t *testing.T) {
	noLeaks(t)
	cert, pool := certificate(t)
	f := newFake(t, func(nc net.Conn, number int) {
		honest(tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{cert}}), number)
	})
	for name, proto := range protocols {
		c := newClient(t, f.addr(), client.Options{Protocol: proto, TLS: &tls.Config{RootCAs: pool}})
		parallel(t, 200, func(i int) error {
			key := fmt.Sprint("key-", i)
			if it, err := c.Get(within(t), key); err != nil || !bytes.Equal(it.Value, valueOf([]byte(key))) {
				return fmt.Errorf("%s: %q, %v", name, it.Value, err)
			}
			return nil
		})
	}
	c := newClient(t, f.addr(), client.Options{TLS: &tls.Config{}})
	_, err := c.Get(within(t), "key")
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &unknown) {
		t.Errorf("of an unknown authority: %v", err)
	}
	garbage := newFake(t, func(nc net.Conn, number int) {
		nc.Read(make([]byte, 100))
		io.WriteString(nc, "ERROR\r\nERROR\r\n")
	})
	c = newClient(t, garbage.addr(), client.Options{TLS: &tls.Config{RootCAs: pool}})
	var header tls.RecordHeaderError
	if _, err := c.Get(within(t), "key"); !errors.As(err, &header) {
		t.Errorf("of a server without TLS: %v", err)
	}
	silent := newFake(t, func(nc net.Conn, number int) { io.Copy(io.Discard, nc) })
	c = newClient(t, silent.addr(), client.Options{TLS: &tls.Config{RootCAs: pool}, Timeout: 50 * time.Millisecond})
	_, err = c.Get(within(t), "key")
	want(t, "of a silent server", err, client.ErrTimeout)
}

func TestUnixSocket(t *testing.T) {
	noLeaks(t)
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{listener: l, serve: honest}
	f.ended.Go(f.accept)
	c := newClient(t, path, client.Options{})
	wantValue(t, c, "key", "key=key=")
	c.Close()
	l.Close()
	f.ended.Wait()
}

// TestLogin: the login is the first that is sent, nothing else is until it was
// taken, and a refusal is told.
func TestLogin(t *testing.T) {
	first := map[protocol.Protocol]string{
		protocol.Text: "set auth 0 0 9\r\nuser pass\r\n", protocol.Meta: "set auth 0 0 9\r\nuser pass\r\n",
		protocol.Binary: "\x80\x21\x00\x05\x00\x00\x00\x00\x00\x00\x00\x0f\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00PLAIN\x00user\x00pass",
	}
	taken := map[protocol.Protocol]string{
		protocol.Text: "STORED\r\n", protocol.Meta: "STORED\r\n",
		protocol.Binary: "\x81\x21\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0d\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00Authenticated",
	}
	refused := map[protocol.Protocol]string{
		protocol.Text: "CLIENT_ERROR authentication failure\r\n", protocol.Meta: "CLIENT_ERROR authentication failure\r\n",
		protocol.Binary: "\x81\x21\x00\x00\x00\x00\x00\x20\x00\x00\x00\x0d\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00Auth failure.",
	}
	for name, proto := range protocols {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			login := func(reply string) *fake {
				return newFake(t, func(nc net.Conn, number int) {
					b := make([]byte, 1000)
					n, err := nc.Read(b)
					if err != nil {
						return // the client was closed while it connected
					}
					if string(b[:n]) != first[proto] {
						t.Errorf("the first was %q", b[:n])
					}
					io.WriteString(nc, reply)
					honest(nc, number)
				})
			}
			opts := client.Options{Protocol: proto, Username: "user", Password: "pass"}
			c := newClient(t, login(taken[proto]).addr(), opts)
			parallel(t, 50, func(i int) error {
				_, err := c.Get(within(t), fmt.Sprint("key-", i))
				return err
			})
			c = newClient(t, login(refused[proto]).addr(), opts)
			_, err := c.Get(within(t), "key")
			want(t, "refused", err, client.ErrAuth)
			c = newClient(t, login(taken[proto]+"DELETED\r\n").addr(), opts)
			want(t, "with an answer behind", c.Delete(within(t), "missing"), client.ErrMalformed)
		})
	}
}

// TestLoginAtServers logs in where servers have users, in the clear and over TLS.
func TestLoginAtServers(t *testing.T) {
	dir := t.TempDir()
	users, chain := filepath.Join(dir, "users"), filepath.Join(dir, "chain")
	cert, pool := certificate(t)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	if err := errors.Join(os.WriteFile(users, []byte("user:pass\n"), 0o600), os.WriteFile(chain, both, 0o600)); err != nil {
		t.Fatal(err)
	}
	secure := []string{"-Z", "-o", "ssl_chain_cert=" + chain}
	sasl := []string{"-S", "-o", "sasl_pwdb=" + users}
	for _, row := range []struct {
		name   string
		binary func(testing.TB) string
		args   []string
		protos []protocol.Protocol
		tls    bool
	}{
		{"memcached", memcached, []string{"-Y", users}, []protocol.Protocol{protocol.Text, protocol.Meta}, false},
		{"hearthd", hearthd, []string{"-Y", users}, []protocol.Protocol{protocol.Text, protocol.Meta}, false},
		{"hearthd TLS", hearthd, append(secure, "-Y", users), []protocol.Protocol{protocol.Text, protocol.Meta}, true},
		{"hearthd SASL", hearthd, sasl, []protocol.Protocol{protocol.Binary}, false},
		{"hearthd SASL TLS", hearthd, append(secure, sasl...), []protocol.Protocol{protocol.Binary}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			noLeaks(t)
			addr := start(t, row.binary(t), row.args...)
			for _, proto := range row.protos {
				opts := client.Options{Protocol: proto, Username: "user", Password: "pass"}
				if row.tls {
					opts.TLS = &tls.Config{RootCAs: pool}
				}
				checkLogin(t, addr, opts)
			}
		})
	}
}

func checkLogin(t *testing.T, addr string, opts client.Options) {
	c := newClient(t, addr, opts)
	want(t, "set", c.Set(within(t), client.Item{Key: "key", Value: []byte("value")}), nil)
	parallel(t, 100, func(i int) error {
		_, err := c.Get(within(t), "key")
		return err
	})
	opts.Password = "wrong"
	_, err := newClient(t, addr, opts).Get(within(t), "key")
	want(t, "wrong password", err, client.ErrAuth)
	opts.Username, opts.Password = "", ""
	_, err = newClient(t, addr, opts).Get(within(t), "key")
	if !errors.Is(err, client.ErrRefused) && !errors.Is(err, client.ErrAuth) {
		t.Errorf("no password: %v", err)
	}
}
