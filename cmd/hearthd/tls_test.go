package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCipherNames: all ciphers have an OpenSSL name, and the common ones are
// spelt as OpenSSL does.
func TestCipherNames(t *testing.T) {
	for _, s := range tls.CipherSuites() {
		ids, err := cipherSuites(opensslName(s.Name) + ":" + s.Name)
		if err != nil || len(ids) != 2 || ids[0] != s.ID || ids[1] != s.ID {
			t.Errorf("%s, %s: %v, %v", s.Name, opensslName(s.Name), ids, err)
		}
	}
	for name, id := range map[string]uint16{
		"ECDHE-RSA-AES128-GCM-SHA256":   tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		"ECDHE-ECDSA-AES256-GCM-SHA384": tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		"ECDHE-RSA-CHACHA20-POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		"ECDHE-RSA-AES256-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
		"TLS_AES_128_GCM_SHA256":        tls.TLS_AES_128_GCM_SHA256,
	} {
		if ids, err := cipherSuites(name); err != nil || len(ids) != 1 || ids[0] != id {
			t.Errorf("%s: %v, %v", name, ids, err)
		}
	}
	if ids, err := cipherSuites(""); ids != nil || err != nil {
		t.Errorf("without a list %v, %v", ids, err)
	}
}

// certificate writes a self-signed certificate and returns it in PEM.
func certificate(t *testing.T, path string, key crypto.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func write(t *testing.T, path string, data []byte) []byte {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return data
}

func TestLoadTLS(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	chain, _ := certificate(t, in("ec.pem"), ec), certificate(t, in("rsa.pem"), rs)
	pkcs8, _ := x509.MarshalPKCS8PrivateKey(ec)
	sec1, _ := x509.MarshalECPrivateKey(ec)
	write(t, in("ec8.der"), pkcs8)
	write(t, in("ec1.der"), sec1)
	write(t, in("rsa1.der"), x509.MarshalPKCS1PrivateKey(rs))
	key := write(t, in("ec.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	write(t, in("both.pem"), append(chain, key...))
	write(t, in("junk"), []byte("junk"))
	for _, row := range []struct {
		name string
		c    TLSConfig
		want string // in the error; empty for none
	}{
		{"pem", TLSConfig{ChainCert: in("ec.pem"), Key: in("ec.key")}, ""},
		{"one file", TLSConfig{ChainCert: in("both.pem")}, ""},
		{"PKCS 8", TLSConfig{ChainCert: in("ec.pem"), Key: in("ec8.der"), KeyDER: true}, ""},
		{"SEC 1", TLSConfig{ChainCert: in("ec.pem"), Key: in("ec1.der"), KeyDER: true}, ""},
		{"PKCS 1", TLSConfig{ChainCert: in("rsa.pem"), Key: in("rsa1.der"), KeyDER: true}, ""},
		{"authorities", TLSConfig{ChainCert: in("both.pem"), CACert: in("ec.pem"), VerifyMode: 2}, ""},
		{"no file", TLSConfig{ChainCert: in("none")}, "loading the certificate chain: open " + in("none")},
		{"no key", TLSConfig{ChainCert: in("ec.pem")}, "validating the certificate: " + in("ec.pem")},
		{"no key file", TLSConfig{ChainCert: in("ec.pem"), Key: in("none")}, "loading the key: " + in("none")},
		{"PEM as DER", TLSConfig{ChainCert: in("ec.pem"), Key: in("ec.key"), KeyDER: true}, "loading the key: " + in("ec.key") + ": no key in DER"},
		{"another's key", TLSConfig{ChainCert: in("rsa.pem"), Key: in("ec.key")}, "validating the certificate: "},
		{"junk", TLSConfig{ChainCert: in("both.pem"), CACert: in("junk")}, "loading the CA certificate: " + in("junk")},
	} {
		c, err := row.c.load()
		if row.want == "" && (err != nil || len(c.Certificates) != 1 || c.MinVersion != tls.VersionTLS10 || !c.SessionTicketsDisabled) {
			t.Errorf("%s: %v", row.name, err)
		}
		if row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: %v, want %s", row.name, err, row.want)
		}
	}
}

func TestTLSOptions(t *testing.T) {
	for line, want := range map[string]func(*TLSConfig){
		"ssl_verify_mode=2,ssl_ca_cert=/a":      func(c *TLSConfig) { c.VerifyMode, c.CACert = 2, "/a" },
		"ssl_verify_mode=once,ssl_ca_cert=/a":   func(c *TLSConfig) { c.VerifyMode, c.CACert = 3, "/a" },
		"ssl_verify_mode=none":                  func(c *TLSConfig) { c.VerifyMode = 0 },
		"ssl_min_version=3":                     func(c *TLSConfig) { c.MinVersion = 3 },
		"ssl_min_version=tlsv1_0":               func(c *TLSConfig) { c.MinVersion = 0 },
		"ssl_min_version=tlsv1.1":               func(c *TLSConfig) { c.MinVersion = 1 },
		"ssl_key=/k,ssl_keyformat=2":            func(c *TLSConfig) { c.Key, c.KeyDER = "/k", true },
		"ssl_key=/k,ssl_keyformat=PEM":          func(c *TLSConfig) { c.Key = "/k" },
		"ssl_wbuf_size=64,ssl_session_cache":    func(c *TLSConfig) { c.WriteBuffer, c.SessionCache = 64<<10, true },
		"ssl_ciphers=ECDHE-RSA-AES128-SHA":      func(c *TLSConfig) { c.Ciphers = "ECDHE-RSA-AES128-SHA" },
		"ssl_kernel_tls,ssl_keyformat=1,modern": func(*TLSConfig) {},
	} {
		c, err := parse(t, "-Z -o ssl_chain_cert=/c,"+line)
		wanted := defaultTLS
		wanted.Enabled, wanted.ChainCert = true, "/c"
		if want(&wanted); err != nil || c.TLS != wanted {
			t.Errorf("%s: %+v, %v", line, c.TLS, err)
		}
	}
}

// TestTLSOptionsWithoutTLS: who thinks of TLS and forgets -Z is told.
func TestTLSOptionsWithoutTLS(t *testing.T) {
	c, err := parse(t, "-o ssl_chain_cert=/c")
	if err != nil || len(c.NoEffect) != 1 || !strings.Contains(c.NoEffect[0].Why, "-Z") {
		t.Errorf("%v, %v", c.NoEffect, err)
	}
}
