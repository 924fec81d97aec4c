package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
)

const (
	// mostUsers is how many a file of -Y may have: memcached reads no more.
	mostUsers = 8
	// mostPasswords is the largest file of passwords in bytes.
	mostPasswords = 1 << 20
)

// password is a line of a file of passwords. Hashes have one length, so that
// comparing takes one time.
type password struct{ user, secret [sha256.Size]byte }

// passwords are who may log in.
type passwords []password

// match tells whether the user has that secret. The time it takes depends on how
// many users there are, and how long what is asked.
func (p passwords) match(user, secret []byte) bool {
	u, s := sha256.Sum256(user), sha256.Sum256(secret)
	found := 0
	for i := range p {
		found |= subtle.ConstantTimeCompare(u[:], p[i].user[:]) & subtle.ConstantTimeCompare(s[:], p[i].secret[:])
	}
	return found == 1
}

// errMalformed says of no line what stands in it.
var errMalformed = errors.New("a line is not user:password")

// parsePasswords reads lines of user:password. What follows another colon belongs
// to the password, or with fields is a field that is not for us.
func parsePasswords(data []byte, fields bool) (p passwords, err error) {
	for line := range bytes.Lines(data) {
		user, secret, found := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
		if !found || len(user) == 0 {
			return nil, errMalformed
		}
		if fields {
			secret, _, _ = bytes.Cut(secret, []byte(":"))
		}
		p = append(p, password{sha256.Sum256(user), sha256.Sum256(secret)})
	}
	return p, nil
}

func readPasswords(path string, fields bool) (passwords, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, mostPasswords+1))
	if err != nil {
		return nil, err
	}
	if len(data) > mostPasswords {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, mostPasswords)
	}
	p, err := parsePasswords(data, fields)
	if err == nil && len(p) == 0 {
		err = errors.New("has no user")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// authFile is -Y, or -o http_auth_file: it is read at the start and at SIGHUP.
type authFile struct {
	path    string
	current atomic.Pointer[passwords]
}

func (f *authFile) refresh() error {
	p, err := readPasswords(f.path, false)
	if err != nil {
		return err
	}
	if len(p) > mostUsers {
		return fmt.Errorf("%s: more than %d users", f.path, mostUsers)
	}
	f.current.Store(&p)
	return nil
}

// Authenticate looks the user up in what was last read.
func (f *authFile) Authenticate(_ context.Context, user, secret []byte) bool {
	return f.current.Load().match(user, secret)
}

// saslFile is -S: it is read at each login, as memcached does.
type saslFile struct {
	path string
	log  *slog.Logger
}

// Authenticate reads the file and looks the user up in it.
func (f *saslFile) Authenticate(_ context.Context, user, secret []byte) bool {
	p, err := readPasswords(f.path, true)
	if err != nil {
		f.log.Warn("nobody can log in", "err", err)
		return false
	}
	return p.match(user, secret)
}

// warnIfOpen warns of secrets that everybody on this machine can read.
func warnIfOpen(log *slog.Logger, path string) {
	if st, err := os.Stat(path); err == nil && st.Mode().Perm()&0o004 != 0 {
		log.Warn("everybody can read this file", "path", path, "mode", st.Mode().Perm())
	}
}
