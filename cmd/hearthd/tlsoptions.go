package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// tlsOptions are memcached's options of -o for -Z.
var tlsOptions = []setting{
	{name: "ssl_chain_cert", arg: "PATH", help: "certificate chain in PEM",
		set: text(func(c *Config) *string { return &c.TLS.ChainCert })},
	{name: "ssl_key", arg: "PATH", help: "its private key (default in ssl_chain_cert)",
		set: text(func(c *Config) *string { return &c.TLS.Key })},
	{name: "ssl_keyformat", arg: "N", help: "format of the key: 1 or PEM, 2 or DER (default 1)", set: setKeyFormat},
	{name: "ssl_verify_mode", arg: "N", help: "certificates of clients: 0 or none, 1 or request, 2 or require, 3 or once, which is as 1 (default 0)", set: setVerifyMode},
	{name: "ssl_ciphers", arg: "LIST", help: "ciphers of TLS 1.2 and before, by OpenSSL's names joined by colons; groups such as HIGH are refused (default Go's)",
		set: func(c *Config, value string) error {
			c.TLS.Ciphers = value
			_, err := cipherSuites(value)
			return err
		}},
	{name: "ssl_ca_cert", arg: "PATH", help: "certificates of who signs those of clients, in PEM",
		set: text(func(c *Config) *string { return &c.TLS.CACert })},
	{name: "ssl_wbuf_size", arg: "KB", help: "bytes encrypted at once (default 16)",
		set: number(1, 1<<10, 1<<10, func(c *Config) *int { return &c.TLS.WriteBuffer })},
	{name: "ssl_session_cache", help: "resume TLS sessions, by tickets",
		set: on(func(c *Config) *bool { return &c.TLS.SessionCache })},
	{name: "ssl_kernel_tls", help: "TLS in the kernel", set: report("ssl_kernel_tls", "yes"), noEffect: "TLS is Go's own"},
	{name: "ssl_min_version", arg: "N", help: "oldest TLS: 0 or tlsv1.0 to 3 or tlsv1.3 (default 2)", set: setMinVersion},
}

func setKeyFormat(c *Config, value string) error {
	switch value {
	case "1", "PEM":
		c.TLS.KeyDER = false
	case "2", "DER":
		c.TLS.KeyDER = true
	default:
		return errors.New("must be 1 or PEM, 2 or DER")
	}
	return nil
}

func setVerifyMode(c *Config, value string) error {
	for i, mode := range verifyModes {
		if value == mode.name || value == strconv.Itoa(i) {
			c.TLS.VerifyMode = i
			return nil
		}
	}
	return errors.New("must be 0 or none, 1 or request, 2 or require, 3 or once")
}

func setMinVersion(c *Config, value string) error {
	for i, v := range tlsVersions {
		if strings.ReplaceAll(value, "_", ".") == v.name || value == strconv.Itoa(i) {
			c.TLS.MinVersion = i
			return nil
		}
	}
	return errors.New("must be 0 or tlsv1.0, 1 or tlsv1.1, 2 or tlsv1.2, 3 or tlsv1.3")
}

// cipherSuites understands OpenSSL's names of the ciphers that Go has and thinks
// secure. Nil stands for all of them.
func cipherSuites(list string) (ids []uint16, err error) {
	for name := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ':' }) {
		i := slices.IndexFunc(tls.CipherSuites(), func(s *tls.CipherSuite) bool {
			return opensslName(s.Name) == name || s.Name == name
		})
		if i < 0 {
			return nil, fmt.Errorf("%q is not a cipher of this server", name)
		}
		ids = append(ids, tls.CipherSuites()[i].ID)
	}
	return ids, nil
}

// opensslName turns TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 into
// ECDHE-RSA-AES128-GCM-SHA256. Those of TLS 1.3 have the same name in both.
func opensslName(name string) string {
	if !strings.Contains(name, "_WITH_") {
		return name
	}
	return strings.NewReplacer("TLS_", "", "_WITH_", "-", "AES_", "AES", "CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305", "_CBC", "", "_", "-").Replace(name)
}

// settleTLS checks what depends on more than one setting.
func (c *Config) settleTLS() error {
	t := &c.TLS
	switch {
	case !t.Enabled && *t != defaultTLS:
		c.NoEffect = append(c.NoEffect, Ignored{"-o ssl_*", "TLS is off: -Z turns it on"})
	case !t.Enabled:
	case t.ChainCert == "":
		return errors.New("-Z needs -o ssl_chain_cert=PATH")
	case t.VerifyMode > 0 && t.CACert == "":
		return fmt.Errorf("-o ssl_verify_mode=%d needs -o ssl_ca_cert=PATH", t.VerifyMode)
	case c.Socket == "" && c.Port == 0:
		return errors.New("-Z needs a TCP port")
	}
	return nil
}

// defaultTLS is TLS without options.
var defaultTLS = TLSConfig{WriteBuffer: 16 << 10, MinVersion: 2}
