package main_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What keeps others out: TLS, logins, and what becomes of root.

// authority makes certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	a := &authority{}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.pem, _, a.key = a.sign(t, a.cert, nil)
	return a
}

// sign makes a certificate of template, self-signed if by is nil.
func (a *authority) sign(t *testing.T, template *x509.Certificate, by *ecdsa.PrivateKey) (cert, keyPEM []byte, key *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), key
}

// issue makes a certificate of the loopback with this serial number.
func (a *authority) issue(t *testing.T, serial int64) (cert, key []byte) {
	cert, key, _ = a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.key)
	return cert, key
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.pem)
	return pool
}

// tlsFiles are a server's.
type tlsFiles struct {
	*authority
	dir string
}

func newTLSFiles(t *testing.T) *tlsFiles {
	f := &tlsFiles{newAuthority(t), t.TempDir()}
	f.write(t, "ca.pem", f.pem)
	f.renew(t, 2)
	return f
}

func (f *tlsFiles) path(name string) string { return filepath.Join(f.dir, name) }

func (f *tlsFiles) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(f.path(name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// renew gives the server another certificate to read.
func (f *tlsFiles) renew(t *testing.T, serial int64) {
	cert, key := f.issue(t, serial)
	f.write(t, "cert.pem", cert)
	f.write(t, "key.pem", key)
}

func (f *tlsFiles) args(options ...string) []string {
	return []string{"-Z", "-o", strings.Join(append([]string{"ssl_chain_cert=" + f.path("cert.pem"), "ssl_key=" + f.path("key.pem")}, options...), ",")}
}

func (f *tlsFiles) dial(t *testing.T, addr string, config *tls.Config) (*tls.Conn, error) {
	t.Helper()
	if config == nil {
		config = &tls.Config{}
	}
	config.RootCAs = f.pool()
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", addr, config)
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

// serial is that of the certificate that a new client is shown.
func (f *tlsFiles) serial(t *testing.T, addr string) int64 {
	t.Helper()
	c, err := f.dial(t, addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// lines asks a request and returns all lines up to one that begins with end.
func lines(t *testing.T, c net.Conn, request, end string) (all []string) {
	t.Helper()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(c, request)
	for in := bufio.NewScanner(c); in.Scan(); {
		if all = append(all, in.Text()); strings.HasPrefix(in.Text(), end) {
			return all
		}
	}
	t.Fatalf("no line %s in %q", end, all)
	return nil
}

func eachServer(t *testing.T, test func(t *testing.T, start func(args ...string) *running)) {
	for _, path := range []string{hearthdPath(t), memcachedPath(t)} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			test(t, func(args ...string) *running { return startServer(t, path, args...) })
		})
	}
}

// TestTLS: memcached's flags and options, the same with it.
func TestTLS(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, start func(args ...string) *running) {
		f := newTLSFiles(t)
		s := start(f.args()...)
		c, err := f.dial(t, s.addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ask(c, "set a 0 0 1\r\nx\r\n"); got != "STORED" {
			t.Fatalf("%q, %v", got, err)
		}
		stats := strings.Join(lines(t, c, "stats\r\n", "END"), "\n")
		settings := strings.Join(lines(t, c, "stats settings\r\n", "END"), "\n")
		for _, want := range []string{"STAT ssl_handshake_errors ", "STAT time_since_server_cert_refresh "} {
			if !strings.Contains(stats, want) {
				t.Errorf("stats without %q", want)
			}
		}
		for _, want := range []string{
			"ssl_enabled yes", "ssl_chain_cert " + f.path("cert.pem"), "ssl_key " + f.path("key.pem"), "ssl_verify_mode 0", "ssl_keyformat 1",
			"ssl_ciphers NULL", "ssl_ca_cert NULL", "ssl_wbuf_size 16384", "ssl_session_cache no", "ssl_kernel_tls no", "ssl_min_version tlsv1.2",
		} {
			if !strings.Contains(settings, "STAT "+want+"\n") {
				t.Errorf("settings without %q", want)
			}
		}
		plain := s.dial(t)
		plain.SetDeadline(time.Now().Add(patience))
		fmt.Fprint(plain, "get a\r\n")
		if got, _ := io.ReadAll(plain); bytes.Contains(got, []byte("VALUE")) {
			t.Errorf("in the clear came %q", got)
		}
		if _, err := f.dial(t, s.addr, &tls.Config{MaxVersion: tls.VersionTLS11}); err == nil {
			t.Error("TLS 1.1 is spoken")
		}
	})
}

// TestRefreshCerts: new clients see the new certificate, old ones stay.
func TestRefreshCerts(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, start func(args ...string) *running) {
		f := newTLSFiles(t)
		s := start(f.args()...)
		old, err := f.dial(t, s.addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		f.renew(t, 3)
		if got := f.serial(t, s.addr); got != 2 {
			t.Errorf("certificate %d before the refresh", got)
		}
		if got, err := ask(old, "refresh_certs\r\n"); got != "OK" {
			t.Errorf("got %q, %v", got, err)
		}
		if got := f.serial(t, s.addr); got != 3 {
			t.Errorf("certificate %d after the refresh", got)
		}
		f.write(t, "key.pem", []byte("junk"))
		if got, _ := ask(old, "refresh_certs\r\n"); !strings.HasPrefix(got, "Error ") {
			t.Errorf("a bad key is answered by %q", got)
		}
		if got := f.serial(t, s.addr); got != 3 {
			t.Errorf("certificate %d after a refresh that failed", got)
		}
		plain := start()
		if got, _ := ask(plain.dial(t), "refresh_certs\r\n"); got != "Error TLS not enabled" {
			t.Errorf("without TLS %q", got)
		}
	})
}

// TestHangup: SIGHUP reads certificates and passwords, and what is bad is said.
func TestHangup(t *testing.T) {
	t.Parallel()
	f := newTLSFiles(t)
	f.write(t, "pw", []byte("joe:one\n"))
	f.write(t, "web", []byte("ann:uno\n"))
	site := "127.0.0.1:" + freePort(t)
	s := startHearthd(t, append(f.args(), "-Y", f.path("pw"), "-o", "http="+site+",http_auth_file="+f.path("web"))...)
	looks := func(password string, want int) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+site+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("ann", password)
		reply, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		reply.Body.Close()
		if reply.StatusCode != want {
			t.Errorf("http with password %s: %s, want %d", password, reply.Status, want)
		}
	}
	login := func(password string) string {
		c, err := f.dial(t, s.addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := ask(c, fmt.Sprintf("set x 0 0 7\r\njoe %s\r\n", password))
		return got
	}
	hangup := func(said string) {
		t.Helper()
		before := strings.Count(s.stderr.String(), said)
		s.cmd.Process.Signal(syscall.SIGHUP)
		for deadline := time.Now().Add(patience); strings.Count(s.stderr.String(), said) == before; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("it does not say %q:\n%s", said, s.stderr.String())
			}
		}
	}
	f.renew(t, 3)
	f.write(t, "pw", []byte("joe:two\n"))
	if got := login("one"); got != "STORED" {
		t.Errorf("before the signal: %s", got)
	}
	f.write(t, "web", []byte("ann:due\n"))
	looks("uno", http.StatusOK)
	hangup("certificates and passwords read")
	looks("uno", http.StatusUnauthorized)
	looks("due", http.StatusOK)
	if got := f.serial(t, s.addr); got != 3 {
		t.Errorf("certificate %d", got)
	}
	if got := login("two"); got != "STORED" {
		t.Errorf("after it: %s", got)
	}
	f.write(t, "pw", []byte("hunter2\n"))
	f.write(t, "web", []byte("hunter2\n"))
	hangup("are as before")
	looks("due", http.StatusOK)
	if got := login("two"); got != "STORED" {
		t.Errorf("after a bad file: %s", got)
	}
	if got := login("one"); got != "CLIENT_ERROR authentication failure" {
		t.Errorf("with the old password: %s", got)
	}
	if log := s.stderr.String(); strings.Contains(log, "hunter2") || strings.Contains(log, "two") || strings.Contains(log, "due") {
		t.Errorf("the log has a secret:\n%s", log)
	}
	s.cmd.Process.Signal(syscall.SIGHUP) // harms nobody who has no files either
}

// TestClientCertificates: who has none that the authority signed stays outside.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	f, other := newTLSFiles(t), newAuthority(t)
	with := func(a *authority) *tls.Config {
		cert, key := a.issue(t, 9)
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	served := func(s *running, config *tls.Config) bool {
		c, err := f.dial(t, s.addr, config)
		if err != nil {
			return false
		}
		got, _ := ask(c, "version\r\n")
		return strings.HasPrefix(got, "VERSION")
	}
	for mode, want := range map[string][3]bool{"0": {true, true, true}, "1": {true, true, false}, "require": {false, true, false}} {
		s := startHearthd(t, f.args("ssl_verify_mode="+mode, "ssl_ca_cert="+f.path("ca.pem"))...)
		got := [3]bool{served(s, nil), served(s, with(f.authority)), served(s, with(other))}
		if got != want {
			t.Errorf("mode %s: without, with, and with another's: %v, want %v", mode, got, want)
		}
	}
}

// TestSessions: they are resumed only where that is asked for.
func TestSessions(t *testing.T) {
	t.Parallel()
	f := newTLSFiles(t)
	for option, want := range map[string]bool{"ssl_min_version=3": false, "ssl_session_cache": true} {
		s := startHearthd(t, f.args(option)...)
		config := &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		resumed := false
		for range 2 {
			c, err := f.dial(t, s.addr, config)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ask(c, "version\r\n"); err != nil {
				t.Fatalf("%q, %v", got, err)
			}
			resumed = c.ConnectionState().DidResume
			c.Close()
		}
		if resumed != want {
			t.Errorf("%s: resumed %v", option, resumed)
		}
	}
}

// TestNoTLSListener: one port with, one without.
func TestNoTLSListener(t *testing.T) {
	t.Parallel()
	f := newTLSFiles(t)
	port := freePort(t)
	s := startHearthd(t, append(f.args(), "-l", "notls:127.0.0.1:"+port)...)
	plain, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if got, err := ask(plain, "set a 0 0 1\r\nx\r\n"); got != "STORED" {
		t.Errorf("without: %q, %v", got, err)
	}
	c, err := f.dial(t, s.addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	conns := strings.Join(lines(t, c, "stats conns\r\n", "END"), "\n")
	if !strings.Contains(conns, "addr tcp:"+c.LocalAddr().String()) || !strings.Contains(conns, "listen_addr tcp:"+s.addr) {
		t.Errorf("stats conns does not have the TLS client:\n%s", conns)
	}
}

// authRows are what both servers answer to clients that log in.
var authRows = []struct{ in, want string }{
	{"get a\r\n", "CLIENT_ERROR unauthenticated\r\n"},
	{"quit\r\n", "CLIENT_ERROR unauthenticated\r\n"},
	{"set a 0 0 7\r\nann x:y\r\nget a\r\n", "STORED\r\nEND\r\n"},
	{"set any old thing 7\r\nann x:y\r\n", "STORED\r\n"},
	{"set a 0 0 7 noreply\r\nann x:y\r\nget a\r\n", "STORED\r\nEND\r\n"},
	{"set a 0 0 7\r\nann x:z\r\n", "CLIENT_ERROR authentication failure\r\n"},
	{"set a 0 0 3\r\nann\r\n", "CLIENT_ERROR bad authentication token format\r\n"},
	{"set a 0 0 7\r\nann x:yzz", "CLIENT_ERROR bad command line termination\r\n"},
	{"set a 0 0 -1\r\n", "CLIENT_ERROR unauthenticated\r\n"},
	{"set a 0 0 7\r\nann x:y\r\nset a 0 0 7\r\nann x:z\r\nget a\r\n", "STORED\r\nSTORED\r\nVALUE a 0 7\r\nann x:z\r\nEND\r\n"},
}

func TestAuthFile(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, start func(args ...string) *running) {
		path := filepath.Join(t.TempDir(), "pw")
		if err := os.WriteFile(path, []byte("joe:pass\nann:x:y\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s := start("-Y", path)
		for _, row := range authRows {
			c := s.dial(t)
			c.SetDeadline(time.Now().Add(patience))
			fmt.Fprint(c, row.in)
			got := make([]byte, len(row.want))
			if _, err := io.ReadFull(c, got); err != nil || string(got) != row.want {
				t.Errorf("%q: got %q (%v), want %q", row.in, got, err, row.want)
			}
		}
		c := s.dial(t)
		fmt.Fprint(c, "set a 0 0 8\r\njoe pass\r\n")
		stats := strings.Join(lines(t, c, "stats\r\n", "END"), "\n")
		if !strings.Contains(stats, "STAT auth_cmds 6\nSTAT auth_errors 1\n") {
			t.Errorf("auth_cmds and auth_errors:\n%s", stats)
		}
		if settings := lines(t, c, "stats settings\r\n", "END"); !strings.Contains(strings.Join(settings, "\n"), "STAT auth_enabled_ascii "+path) {
			t.Errorf("settings do not name %s", path)
		}
	})
}

// TestSASL: in the binary protocol, which is the only one then; the file is read
// at each login.
func TestSASL(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pw")
	passwords := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	passwords("joe:one::::\n")
	s := startHearthd(t, "-S", "-o", "sasl_pwdb="+path)
	packet := func(opcode byte, key, value string) string {
		n := len(key) + len(value)
		return string([]byte{0x80, opcode, 0, byte(len(key)), 0, 0, 0, 0, 0, 0, byte(n >> 8), byte(n), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}) + key + value
	}
	status := func(c net.Conn, request string) int {
		c.SetDeadline(time.Now().Add(patience))
		fmt.Fprint(c, request)
		head := make([]byte, 24)
		if _, err := io.ReadFull(c, head); err != nil {
			t.Fatal(err)
		}
		io.CopyN(io.Discard, c, int64(head[10])<<8|int64(head[11]))
		return int(head[6])<<8 | int(head[7])
	}
	login := func(password string) string { return packet(0x21, "PLAIN", "\x00joe\x00"+password) }
	c := s.dial(t)
	for i, row := range []struct {
		request string
		want    int
	}{{packet(0x20, "", ""), 0}, {packet(0x0b, "", ""), 0}, {login("one"), 0}, {packet(0x0a, "", ""), 0}, {packet(0x00, "none", ""), 1}} {
		if got := status(c, row.request); got != row.want {
			t.Errorf("request %d: status %#x, want %#x", i, got, row.want)
		}
	}
	if got := status(s.dial(t), packet(0x00, "none", "")); got != 0x20 {
		t.Errorf("without a login: %#x", got)
	}
	passwords("joe:two\n")
	if got := status(s.dial(t), login("two")); got != 0 {
		t.Errorf("with the new password: %#x", got)
	}
	if got := status(s.dial(t), login("one")); got != 0x20 {
		t.Errorf("with the old password: %#x", got)
	}
	text := s.dial(t)
	text.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(text, "version\r\n")
	if got, _ := io.ReadAll(text); len(got) > 0 {
		t.Errorf("in text: %q", got)
	}
}

// TestSecretFlags: what cannot protect anything is refused at the start.
func TestSecretFlags(t *testing.T) {
	t.Parallel()
	f := newTLSFiles(t)
	f.write(t, "junk", []byte("hunter2"))
	f.write(t, "nine", []byte(strings.Repeat("a:b\n", 9)))
	for _, c := range []struct{ args, name string }{
		{"-Y /nonexistent", "/nonexistent"}, {"-Y " + f.path("junk"), f.path("junk")}, {"-Y " + f.path("nine"), "8 users"},
		{"-S -o sasl_pwdb=/nonexistent", "/nonexistent"}, {"-S -o sasl_pwdb=" + f.path("junk"), f.path("junk")},
		{"-Z -o ssl_chain_cert=/nonexistent", "/nonexistent"}, {"-Z -o ssl_chain_cert=" + f.path("junk"), f.path("junk")},
		{"-Z -o ssl_chain_cert=" + f.path("cert.pem"), f.path("cert.pem")},
	} {
		t.Run(c.args, func(t *testing.T) {
			s := launch(t, hearthdPath(t), append([]string{"-u", "root", "-p", freePort(t)}, strings.Fields(c.args)...)...)
			refuses(t, s, c.name)
			if strings.Contains(s.stderr.String(), "hunter2") {
				t.Errorf("the secret is in %s", s.stderr.String())
			}
		})
	}
}

// TestPrivilegedPort: -u gives root up once the port is bound, and the secrets are
// read.
func TestPrivilegedPort(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can bind the port, and give root up")
	}
	f := newTLSFiles(t)
	port := 0
	for try := 600; try < 1000 && port == 0; try++ {
		if l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(try)); err == nil {
			l.Close()
			port = try
		}
	}
	s := launch(t, hearthdPath(t), append(f.args(), "-u", "nobody", "-l", "127.0.0.1", "-p", strconv.Itoa(port))...)
	var c *tls.Conn
	for deadline := time.Now().Add(patience); c == nil; time.Sleep(5 * time.Millisecond) {
		var err error
		if c, err = f.dial(t, "127.0.0.1:"+strconv.Itoa(port), nil); err != nil && time.Now().After(deadline) {
			t.Fatalf("%v\n%s", err, s.stderr.String())
		}
	}
	if got, err := ask(c, "set a 0 0 1\r\nx\r\n"); got != "STORED" {
		t.Errorf("%q, %v", got, err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil || strings.Contains(string(status), "Uid:\t0") || strings.Contains(string(status), "Gid:\t0") {
		t.Errorf("it is root still: %v\n%s", err, status)
	}
}
