package binary

import (
	"fmt"

	"github.com/hearthcache/hearth/protocol"
)

// Packet is a request or a reply as it is on the wire, whatever its opcode. Its
// slices hold as long as the bytes that it was parsed from.
type Packet struct {
	Magic    byte // protocol.MagicRequest or protocol.MagicResponse
	Opcode   Opcode
	DataType byte
	Status   protocol.BinaryStatus // of a request the vbucket, which memcached ignores
	Opaque   uint32                // what the client likes, and the reply repeats
	CAS      uint64
	Extras   []byte // at most 255 bytes
	Key      []byte // at most 65535 bytes
	Value    []byte
}

// Append appends p to dst. It allocates only to grow dst.
func (p *Packet) Append(dst []byte) []byte {
	var h [protocol.BinaryHeader]byte
	h[0], h[1] = p.Magic, byte(p.Opcode)
	be.PutUint16(h[2:], uint16(len(p.Key)))
	h[4], h[5] = byte(len(p.Extras)), p.DataType
	be.PutUint16(h[6:], uint16(p.Status))
	be.PutUint32(h[8:], uint32(len(p.Extras)+len(p.Key)+len(p.Value)))
	be.PutUint32(h[12:], p.Opaque)
	be.PutUint64(h[16:], p.CAS)
	dst = append(dst, h[:]...)
	dst = append(dst, p.Extras...)
	dst = append(dst, p.Key...)
	return append(dst, p.Value...)
}

// Flags are the client flags that the reply to a retrieval has, or to a touch; 0
// in any other packet.
func (p *Packet) Flags() uint32 {
	if len(p.Extras) != 4 {
		return 0
	}
	return be.Uint32(p.Extras)
}

// Number is the number that the reply to an incr or a decr has; 0 in any other
// packet.
func (p *Packet) Number() uint64 {
	if len(p.Value) != 8 {
		return 0
	}
	return be.Uint64(p.Value)
}

// String describes p in one line, without the value.
func (p *Packet) String() string {
	what := "request"
	if p.Magic == protocol.MagicResponse {
		what = "reply " + p.Status.String()
	}
	return fmt.Sprintf("%v %s key %q extras %x value %d bytes opaque %#x cas %d", p.Opcode, what, p.Key, p.Extras, len(p.Value), p.Opaque, p.CAS)
}

// PacketParser takes apart what goes in one direction of a connection: the
// replies for a client, either for who listens in. It allocates nothing, and the
// result does not depend on how the bytes were split.
type PacketParser struct {
	Magic   byte // what packets begin with: protocol.MagicRequest or protocol.MagicResponse
	MaxBody int  // the largest body in bytes that is accepted, at most 4 GiB
	Need    int  // set by Incomplete: how many bytes are needed to go on; 0 if any will do
}

// Next parses the first packet of in into p and returns how many bytes it has.
// Close means bytes that are no packet, or one over MaxBody: nothing behind them
// can be understood.
func (d *PacketParser) Next(in []byte, p *Packet) (int, protocol.Status) {
	switch {
	case len(in) == 0: // what comes is judged by its first byte
		d.Need = 0
		return 0, protocol.Incomplete
	case in[0] != d.Magic:
		return 0, protocol.Close
	}
	if d.Need = protocol.BinaryHeader; len(in) < d.Need {
		return 0, protocol.Incomplete
	}
	key, extras, body := sizes(in)
	if key+extras > body || body > d.MaxBody {
		return 0, protocol.Close
	}
	if d.Need += body; len(in) < d.Need {
		return 0, protocol.Incomplete
	}
	rest := in[protocol.BinaryHeader:d.Need:d.Need]
	*p = Packet{
		Magic: d.Magic, Opcode: Opcode(in[1]), DataType: in[5],
		Status: protocol.BinaryStatus(be.Uint16(in[6:])), Opaque: be.Uint32(in[12:]), CAS: be.Uint64(in[16:]),
		Extras: rest[:extras:extras], Key: rest[extras : extras+key : extras+key], Value: rest[extras+key:],
	}
	return d.Need, protocol.Complete
}

// sizes are those of a packet's parts, as its header says: body is all behind the
// header, key and extras included.
func sizes(header []byte) (key, extras, body int) {
	return int(be.Uint16(header[2:])), int(header[4]), int(be.Uint32(header[8:]))
}
