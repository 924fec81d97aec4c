package client

import (
	"errors"

	"github.com/hearthcache/hearth/protocol"
)

// What a server says of a request.
var (
	// ErrMiss is the answer to a Get of a key that is not there.
	ErrMiss = errors.New("client: miss")
	// ErrNotFound says that there is no item to change.
	ErrNotFound = errors.New("client: not found")
	// ErrNotStored says that the condition of an Add, Replace, Append or
	// Prepend does not hold.
	ErrNotStored = errors.New("client: not stored")
	// ErrExists says that the item has changed since its CAS was read.
	ErrExists = errors.New("client: changed since it was read")
	// ErrNotNumeric says that the value of an Incr or Decr is no number.
	ErrNotNumeric = errors.New("client: value is not a number")
	// ErrTooLarge says that the value is larger than the server takes. After
	// a Set the key's old value is gone.
	ErrTooLarge = errors.New("client: item too large")
	// ErrNoMemory says that the server had no room for the value.
	ErrNoMemory = errors.New("client: server out of memory")
	// ErrServer is any other refusal for a reason of the server's; the error
	// is a *ReplyError.
	ErrServer = errors.New("client: server error")
	// ErrRefused is any other refusal of the request as such; the error is a
	// *ReplyError.
	ErrRefused = errors.New("client: request refused")
	// ErrUnknownCommand says that the server does not have the command; the
	// error is a *ReplyError.
	ErrUnknownCommand = errors.New("client: unknown command")
	// ErrAuth says that the login was refused, or that one is wanted; the
	// error is a *ReplyError.
	ErrAuth = errors.New("client: not authenticated")
)

// What the client finds itself.
var (
	// ErrKey refuses a key that the protocol has no way to say.
	ErrKey = errors.New("client: invalid key")
	// ErrOptions says which option cannot be worked with.
	ErrOptions = errors.New("client: invalid options")
	// ErrClosed is the error of requests under way at a Close, or later.
	ErrClosed = errors.New("client: closed")
	// ErrTimeout says that Options.Timeout was exceeded.
	ErrTimeout = errors.New("client: timeout")
	// ErrMalformed says that the server sent what is no reply to what it was
	// asked.
	ErrMalformed = errors.New("client: malformed reply")
)

// ReplyError is a refusal in the server's words.
type ReplyError struct {
	Kind error  // ErrServer, ErrRefused, ErrUnknownCommand or ErrAuth
	Text string // as the server sent it, may be empty
}

// Error gives kind and text.
func (e *ReplyError) Error() string {
	if e.Text == "" {
		return e.Kind.Error()
	}
	return e.Kind.Error() + ": " + e.Text
}

// Unwrap returns the kind.
func (e *ReplyError) Unwrap() error { return e.Kind }

// ConnError is the end of the connection on which a request was under way. The
// request may or may not have been executed.
type ConnError struct {
	Addr string
	Err  error // ErrTimeout, ErrMalformed, ErrAuth, ErrClosed, or of dialing, reading, writing
}

// Error gives address and reason.
func (e *ConnError) Error() string { return "client: connection to " + e.Addr + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *ConnError) Unwrap() error { return e.Err }

// errRetired ends a connection that had nothing to do.
var errRetired = errors.New("idle")

// errOutOfStep ends a connection after the refusal of a request with a value:
// where the server has not passed over the value, it takes it for commands.
var errOutOfStep = errors.New("given up after the refusal of a value")

// outcomeErrors are the errors of outcomes; nil is success.
var outcomeErrors = [...]error{
	protocol.Miss: ErrMiss, protocol.NotStored: ErrNotStored, protocol.Exists: ErrExists,
	protocol.NotFound: ErrNotFound, protocol.NonNumeric: ErrNotNumeric, protocol.TooLarge: ErrTooLarge,
	protocol.NoMemory: ErrNoMemory, protocol.Done: nil,
}

// ordinary tells whether err is an answer rather than a failure.
func ordinary(err error) bool {
	switch err {
	case nil, ErrMiss, ErrNotFound, ErrNotStored, ErrExists, ErrNotNumeric:
		return true
	}
	return false
}
