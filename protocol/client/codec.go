package client

import "github.com/hearthcache/hearth/protocol"

// codec is a protocol as the client speaks it. It has no state.
type codec interface {
	// appendCall appends the requests of k, which is as its caller made it but
	// for the opaque: it may use as many as k has keys, and one more.
	appendCall(dst []byte, k *call) []byte
	// next takes the first piece of a reply to k from in, and returns how
	// many bytes that is, 0 if it is not there yet, and whether k is answered.
	// After an error nothing behind can be understood.
	next(in []byte, k *call, maxValue int) (n int, done bool, err error)
	// login returns the call that authenticates a connection.
	login(username, password string) *call
	// checkKey tells whether the protocol has a way to say key.
	checkKey(key string) error
}

// codecs are the protocols that there are.
var codecs = [...]codec{protocol.Text: textCodec{}, protocol.Meta: metaCodec{}, protocol.Binary: binaryCodec{}}
