package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/hearthcache/hearth/protocol/server"
)

// secrets are the files that say who may connect, and how: certificates, and
// passwords. They are read before root is given up.
type secrets struct {
	certs *certificates // nil without -Z
	auth  *authFile     // nil without -Y
	sasl  *saslFile     // nil without -S
	http  *authFile     // nil without -o http_auth_file
}

func loadSecrets(c *Config, log *slog.Logger) (s secrets, err error) {
	if c.TLS.Enabled {
		s.certs = &certificates{config: &c.TLS}
		warnIfOpen(log, c.TLS.keyPath())
		if err := s.certs.refresh(); err != nil {
			return s, fmt.Errorf("-Z: %w", err)
		}
	}
	if c.AuthFile != "" {
		s.auth = &authFile{path: c.AuthFile}
		warnIfOpen(log, c.AuthFile)
		if err := s.auth.refresh(); err != nil {
			return s, fmt.Errorf("-Y: %w", err)
		}
	}
	if c.HTTPAuth != "" {
		s.http = &authFile{path: c.HTTPAuth}
		warnIfOpen(log, c.HTTPAuth)
		if err := s.http.refresh(); err != nil {
			return s, fmt.Errorf("-o http_auth_file: %w", err)
		}
	}
	if c.SASL {
		s.sasl = &saslFile{path: c.SASLFile, log: log}
		warnIfOpen(log, c.SASLFile)
		if _, err := readPasswords(c.SASLFile, true); err != nil {
			return s, fmt.Errorf("-S: %w", err)
		}
	}
	return s, nil
}

// authenticator is nil where nobody has to log in.
func (s *secrets) authenticator() server.Authenticator {
	switch {
	case s.auth != nil:
		return s.auth
	case s.sasl != nil:
		return s.sasl
	}
	return nil
}

// refresh reads all anew. What cannot be read stays as it was.
func (s *secrets) refresh() error {
	var certs, auth, http error
	if s.certs != nil {
		certs = s.certs.refresh()
	}
	if s.auth != nil {
		auth = s.auth.refresh()
	}
	if s.http != nil {
		http = s.http.refresh()
	}
	return errors.Join(certs, auth, http)
}

// refreshAtHangup does so at each SIGHUP until stopped is done.
func (s *secrets) refreshAtHangup(stopped context.Context, log *slog.Logger) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		defer signal.Stop(hangup)
		for {
			select {
			case <-stopped.Done():
				return
			case <-hangup:
			}
			if err := s.refresh(); err != nil {
				log.Warn("certificates or passwords are as before", "err", err)
			} else {
				log.Info("certificates and passwords read")
			}
		}
	}()
}

// refreshCerts answers the refresh_certs command.
func (s *secrets) refreshCerts() string {
	if s.certs == nil {
		return "Error TLS not enabled\r\n"
	}
	if err := s.certs.refresh(); err != nil {
		return "Error " + err.Error() + "\r\n"
	}
	return "OK\r\n"
}
