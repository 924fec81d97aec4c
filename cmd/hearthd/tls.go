package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// TLSConfig is -Z and the options ssl_*, which it is named after.
type TLSConfig struct {
	Enabled      bool
	ChainCert    string
	Key          string // empty if it is in ChainCert
	KeyDER       bool   // the key is in DER, not PEM
	CACert       string // who signs clients' certificates, or empty
	VerifyMode   int    // index of verifyModes
	Ciphers      string // as given
	MinVersion   int    // index of tlsVersions
	WriteBuffer  int    // bytes
	SessionCache bool
}

// verifyModes are what memcached's ssl_verify_mode asks of clients. Go has no
// renegotiation, so that once is always.
var verifyModes = [...]struct {
	name string
	auth tls.ClientAuthType
}{
	{"none", tls.NoClientCert}, {"request", tls.VerifyClientCertIfGiven},
	{"require", tls.RequireAndVerifyClientCert}, {"once", tls.VerifyClientCertIfGiven},
}

// tlsVersions are what memcached's ssl_min_version counts from 0.
var tlsVersions = [...]struct {
	name    string
	version uint16
}{
	{"tlsv1.0", tls.VersionTLS10}, {"tlsv1.1", tls.VersionTLS11}, {"tlsv1.2", tls.VersionTLS12}, {"tlsv1.3", tls.VersionTLS13},
}

// load reads the files and makes of c what the server needs.
func (c *TLSConfig) load() (*tls.Config, error) {
	ciphers, err := cipherSuites(c.Ciphers)
	if err != nil {
		return nil, err
	}
	t := &tls.Config{
		MinVersion: tlsVersions[c.MinVersion].version, CipherSuites: ciphers,
		ClientAuth: verifyModes[c.VerifyMode].auth, ClientCAs: x509.NewCertPool(),
		SessionTicketsDisabled: !c.SessionCache,
	}
	chain, err := os.ReadFile(c.ChainCert)
	if err != nil {
		return nil, fmt.Errorf("loading the certificate chain: %w", err)
	}
	key := chain
	if c.Key != "" {
		if key, err = c.readKey(); err != nil {
			return nil, fmt.Errorf("loading the key: %s: %w", c.Key, err)
		}
	}
	cert, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("validating the certificate: %s: %w", c.ChainCert, err)
	}
	t.Certificates = []tls.Certificate{cert}
	if c.CACert == "" {
		return t, nil
	}
	authorities, err := os.ReadFile(c.CACert)
	if err == nil && !t.ClientCAs.AppendCertsFromPEM(authorities) {
		err = errors.New("no certificate in PEM")
	}
	if err != nil {
		return nil, fmt.Errorf("loading the CA certificate: %s: %w", c.CACert, err)
	}
	return t, nil
}

// keyPath is the file with the key.
func (c *TLSConfig) keyPath() string { return cmp.Or(c.Key, c.ChainCert) }

// readKey returns the key in PEM.
func (c *TLSConfig) readKey() ([]byte, error) {
	key, err := os.ReadFile(c.Key)
	if err != nil || !c.KeyDER {
		return key, err
	}
	kind := ""
	if _, err := x509.ParsePKCS8PrivateKey(key); err == nil {
		kind = "PRIVATE KEY"
	} else if _, err := x509.ParsePKCS1PrivateKey(key); err == nil {
		kind = "RSA PRIVATE KEY"
	} else if _, err := x509.ParseECPrivateKey(key); err == nil {
		kind = "EC PRIVATE KEY"
	} else {
		return nil, errors.New("no key in DER")
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: key}), nil
}

// certificates are a TLSConfig's files as last read. Clients that come are served
// by those; clients that are there keep theirs.
type certificates struct {
	config  *TLSConfig
	current atomic.Pointer[tls.Config]
	read    atomic.Int64 // Unix seconds
}

// refresh reads the files anew. If that fails all stays as it was.
func (c *certificates) refresh() error {
	loaded, err := c.config.load()
	if err != nil {
		return err
	}
	c.current.Store(loaded)
	c.read.Store(time.Now().Unix())
	return nil
}

// server is the configuration for a listener; nil of nil, which is without TLS.
func (c *certificates) server() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current.Load(), nil }}
}
