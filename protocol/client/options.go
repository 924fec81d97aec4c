package client

import (
	"crypto/tls"
	"fmt"
	"time"

	"github.com/hearthcache/hearth/protocol"
)

// Options says how a Client works. The zero value is a Client of the text
// protocol, without TLS and login.
type Options struct {
	// Protocol is what the Client speaks: Text, Meta or Binary. Meta and
	// binary have opaques, see the package's comment. Binary has keys of any
	// bytes, and so has meta, where they are at most 186 bytes long then.
	Protocol protocol.Protocol
	// Connections is how many connections there may be at a time; 0 means 2.
	// Another is opened when all have requests under way.
	Connections int
	// Pipeline is how many requests may be under way on a connection; 0
	// means 128. Callers beyond wait. 1 gives each request a connection of
	// its own. Of a request that was not written yet, bytes are held.
	Pipeline int
	// Timeout is how long a request may take, from when it has a place on a
	// connection to its answer, and how long it may take to dial and to log
	// in; 0 means 5 s. A connection that takes longer is closed. It is
	// noticed within a quarter of it.
	Timeout time.Duration
	// IdleTimeout is how long a connection is kept without a request; 0
	// means a minute.
	IdleTimeout time.Duration
	// MaxValue is the largest value in bytes that is accepted from the
	// server, and the most that statistics may have; 0 means 128 MiB.
	// Memory is taken as bytes arrive, not as they are announced.
	MaxValue int
	// TLS, if not nil, is how to speak TLS. ServerName may be left to the
	// address.
	TLS *tls.Config
	// Username and Password are for a login: by SASL PLAIN in the binary
	// protocol, by the set of memcached's authentication file in the others.
	// Without a Username there is none.
	Username, Password string
}

// withDefaults returns o with the defaults in place of zeros, or ErrOptions.
func (o Options) withDefaults() (Options, error) {
	switch {
	case int(o.Protocol) >= len(codecs):
		return o, fmt.Errorf("%w: no protocol %d", ErrOptions, o.Protocol)
	case o.Connections < 0 || o.Pipeline < 0 || o.MaxValue < 0:
		return o, fmt.Errorf("%w: Connections, Pipeline and MaxValue must not be negative", ErrOptions)
	case o.Timeout < 0 || o.IdleTimeout < 0:
		return o, fmt.Errorf("%w: Timeout and IdleTimeout must not be negative", ErrOptions)
	case o.Username == "" && o.Password != "":
		return o, fmt.Errorf("%w: a Password needs a Username", ErrOptions)
	}
	setDefault(&o.Connections, 2)
	setDefault(&o.Pipeline, 128)
	setDefault(&o.Timeout, 5*time.Second)
	setDefault(&o.IdleTimeout, time.Minute)
	setDefault(&o.MaxValue, 128<<20)
	return o, nil
}

func setDefault[T int | time.Duration](v *T, to T) {
	if *v == 0 {
		*v = to
	}
}
