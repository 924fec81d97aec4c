package text

import (
	"bytes"

	"github.com/hearthcache/hearth/protocol"
)

// The refusals of a connection that has not logged in.
const (
	// Unauthenticated answers anything but a login.
	Unauthenticated = "CLIENT_ERROR unauthenticated\r\n"
	// BadLogin answers a login that failed.
	BadLogin = "CLIENT_ERROR authentication failure\r\n"

	badLoginEnd    = "CLIENT_ERROR bad command line termination\r\n"
	badLoginFormat = "CLIENT_ERROR bad authentication token format\r\n"
)

// maxCredentials is the longest user and password together in bytes: what
// somebody nobody knows yet may have the server hold.
const maxCredentials = 4 << 10

// login parses "set any any any length [any]" with "user password" as the value,
// which is how a client logs in: an OpSASLAuth with the user as Key and the
// password, which may have spaces, as Value. All else is refused. As memcached
// 1.6.45, and no other version, has it: "set" may go on, there is no space before
// it, and there is no noreply.
func (p *Parser) login(in []byte, r *protocol.Request) (int, protocol.Status) {
	end := bytes.IndexByte(in, '\n')
	switch {
	case end > maxCommandLine, end < 0 && len(in) > maxCommandLine:
		return 0, protocol.Close
	case end < 0:
		return 0, protocol.Incomplete
	}
	length, ok := loginLength(in[:end])
	n := end + 1
	switch {
	case !ok:
		return n, p.invalid(false, Unauthenticated)
	case length > maxCredentials:
		p.swallow = length + len("\r\n")
		return n, p.invalid(false, badLoginFormat)
	case len(in) < n+length+len("\r\n"):
		p.Need = n + length + len("\r\n")
		return 0, protocol.Incomplete
	}
	value, tail := in[n:n+length:n+length], in[n+length:n+length+len("\r\n")]
	n += length + len("\r\n")
	user, password, found := bytes.Cut(value, []byte(" "))
	switch {
	case string(tail) != "\r\n":
		return n, p.invalid(false, badLoginEnd)
	case !found:
		return n, p.invalid(false, badLoginFormat)
	}
	*r = protocol.Request{Op: protocol.OpSASLAuth, Key: user, Value: password}
	return n, protocol.Complete
}

// loginLength is the length of the value of a login's line.
func loginLength(line []byte) (int, bool) {
	if !bytes.HasPrefix(line, []byte("set")) {
		return 0, false
	}
	var w words
	w.split(line)
	if w.n < 5 {
		return 0, false
	}
	length, ok := protocol.ParseInt(w.at[4])
	return int(length), ok && 0 <= length && length <= maxLength
}
