package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/client"
	"github.com/spf13/pflag"
)

// access is what the flags say of TLS and the login at a server.
type access struct {
	useTLS, anyCertificate     bool
	caFile, user, passwordFile string
}

func (a *access) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&a.useTLS, "tls", false, "connect by TLS")
	f.StringVar(&a.caFile, "tls-ca", "", "file with the certificates, in PEM, that vouch for the server's (default the system's)")
	f.BoolVar(&a.anyCertificate, "tls-any", false, "take any certificate")
	f.StringVar(&a.user, "user", "", "log in as this user, as -Y and -S of memcached want it")
	f.StringVar(&a.passwordFile, "password-file", "", "file with the user's password")
}

// config is the configuration of TLS; nil without.
func (a *access) config() (*tls.Config, error) {
	if !a.useTLS && a.caFile == "" && !a.anyCertificate {
		return nil, nil
	}
	return clientTLS(a.caFile, a.anyCertificate)
}

// password is what stands in the password file; empty without one.
func (a *access) password() (string, error) {
	if a.passwordFile == "" {
		return "", nil
	}
	text, err := os.ReadFile(a.passwordFile)
	return strings.TrimRight(string(text), "\r\n"), err
}

// dial returns a client of the server at addr that speaks the meta protocol.
func (a *access) dial(addr string, o client.Options) (c *client.Client, err error) {
	o.Protocol, o.Username = protocol.Meta, a.user
	if o.TLS, err = a.config(); err != nil {
		return nil, err
	}
	if o.Password, err = a.password(); err != nil {
		return nil, err
	}
	return client.New(addr, o)
}

// clientTLS is a client's configuration. caFile has the certificates that it
// trusts, in PEM; without one they are the system's. With anyCertificate it takes
// what the server shows.
func clientTLS(caFile string, anyCertificate bool) (*tls.Config, error) {
	c := &tls.Config{InsecureSkipVerify: anyCertificate}
	if caFile == "" {
		return c, nil
	}
	text, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("no certificate in %s", caFile)
	}
	return c, nil
}
