package binary

import (
	"errors"
	"math/bits"
	"strconv"
	"strings"
)

// TapFlags are the wishes of a TapConnect, in its extras.
type TapFlags uint32

// The flags of a TapConnect. TapBackfill and TapListVBuckets have an argument in
// its value.
const (
	TapBackfill         TapFlags = 1 << iota // all that is older than a time, or than now
	TapDump                                  // what is there, and no changes after it
	TapListVBuckets                          // only some vbuckets
	TapTakeoverVBuckets                      // the vbuckets are to become the client's
	TapSupportAck                            // the client acknowledges what it gets
	TapRequestKeysOnly                       // no values
	TapCheckpoint                            // from a checkpoint on
	TapRegisteredClient                      // the server keeps the client in mind
	TapFixFlagByteOrder                      // client flags in network byte order
)

var tapNames = [...]string{
	"BACKFILL", "DUMP", "LIST_VBUCKETS", "TAKEOVER_VBUCKETS", "SUPPORT_ACK",
	"REQUEST_KEYS_ONLY", "CHECKPOINT", "REGISTERED_CLIENT", "FIX_FLAG_BYTEORDER",
}

// String gives the names of the flags in f, joined by bars, and the number of
// those that have none.
func (f TapFlags) String() string {
	var words []string
	for ; f != 0; f &= f - 1 {
		bit := bits.TrailingZeros32(uint32(f))
		if bit < len(tapNames) {
			words = append(words, tapNames[bit])
		} else {
			words = append(words, "0x"+strconv.FormatUint(1<<bit, 16))
		}
	}
	return strings.Join(words, "|")
}

// ErrTapConnect is the error of a TapConnect that has not what its flags promise.
var ErrTapConnect = errors.New("binary: tap connect packet cut short")

// TapStream is what a client that opens a TAP stream asks for. Its slices but
// VBuckets are those of the packet.
type TapStream struct {
	Name     []byte
	Flags    TapFlags
	Backfill uint64   // with TapBackfill: since when
	VBuckets []uint16 // with TapListVBuckets
	Rest     []byte   // what the value has beyond
}

// ParseTapConnect takes a packet of opcode TapConnect apart.
func ParseTapConnect(p *Packet) (TapStream, error) {
	c := TapStream{Name: p.Key, Rest: p.Value}
	if len(p.Extras) < 4 {
		return c, ErrTapConnect
	}
	c.Flags = TapFlags(be.Uint32(p.Extras))
	if c.Flags&TapBackfill != 0 {
		if len(c.Rest) < 8 {
			return c, ErrTapConnect
		}
		c.Backfill, c.Rest = be.Uint64(c.Rest), c.Rest[8:]
	}
	if c.Flags&TapListVBuckets != 0 {
		if len(c.Rest) < 2 || len(c.Rest)-2 < 2*int(be.Uint16(c.Rest)) {
			return c, ErrTapConnect
		}
		c.VBuckets, c.Rest = make([]uint16, be.Uint16(c.Rest)), c.Rest[2:]
		for i := range c.VBuckets {
			c.VBuckets[i], c.Rest = be.Uint16(c.Rest), c.Rest[2:]
		}
	}
	return c, nil
}
