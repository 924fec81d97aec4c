package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

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
