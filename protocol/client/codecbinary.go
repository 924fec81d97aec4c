package client

import (
	"fmt"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/binary"
)

type binaryCodec struct{}

// loudOps are the ops of which the binary protocol has no own form.
var loudOps = [protocol.Ops]protocol.Op{
	protocol.OpGets: protocol.OpGet, protocol.OpGats: protocol.OpGat, protocol.OpCAS: protocol.OpSet,
}

func (binaryCodec) appendCall(dst []byte, k *call) []byte {
	if op := loudOps[k.req.Op]; op != 0 {
		k.req.Op = op
	}
	k.req.Opaque = k.opaque
	if len(k.keys) == 0 {
		return binary.AppendRequest(dst, &k.req)
	}
	k.req.Quiet = true
	rest := k.key
	for _, key := range k.keys {
		k.req.Key, rest = rest[:len(key)], rest[len(key)+1:]
		dst = binary.AppendRequest(dst, &k.req)
		k.req.Opaque++
	}
	return binary.AppendRequest(dst, &protocol.Request{Op: protocol.OpNoop, Opaque: k.req.Opaque})
}

func (binaryCodec) login(username, password string) *call {
	k := newCall(protocol.OpSASLAuth, "PLAIN")
	k.req.Value = []byte("\x00" + username + "\x00" + password)
	return k
}

func (binaryCodec) checkKey(key string) error {
	if len(key) == 0 || len(key) > protocol.MaxKey {
		return fmt.Errorf("%w: %d bytes", ErrKey, len(key))
	}
	return nil
}

// mostBeside is the most that a packet's body has beside the value, in bytes.
const mostBeside = 1<<16 - 1 + 1<<8 - 1

func (binaryCodec) next(in []byte, k *call, maxValue int) (n int, done bool, err error) {
	d := binary.PacketParser{Magic: protocol.MagicResponse, MaxBody: maxValue + mostBeside}
	var p binary.Packet
	n, status := d.Next(in, &p)
	switch status {
	case protocol.Incomplete:
		return 0, false, nil
	case protocol.Close:
		return 0, false, malformed(in)
	}
	var ok bool
	if len(k.keys) > 0 {
		done, ok = k.takeQuiet(&p)
	} else {
		done, ok = k.takePacket(&p, maxValue)
	}
	if !ok {
		return 0, false, malformed(in)
	}
	return n, done, nil
}

// takePacket takes a packet of the reply to k. It returns whether k is answered;
// and !ok if that is no reply to k.
func (k *call) takePacket(p *binary.Packet, most int) (done, ok bool) {
	if p.Opaque != k.opaque || p.Opcode.Op() != k.req.Op || p.Opcode.Quiet() {
		return false, false
	}
	if p.Status != protocol.StatusOK {
		k.err = k.statusError(p)
		return true, true
	}
	switch op := k.req.Op; {
	case op.Retrieval():
		k.item = Item{Value: clone(p.Value), Flags: p.Flags(), CAS: p.CAS}
		return true, len(p.Extras) == 4
	case op == protocol.OpIncr, op == protocol.OpDecr:
		k.number = p.Number()
		return true, len(p.Value) == 8
	case op == protocol.OpVersion:
		k.text = string(p.Value)
	case op == protocol.OpStats && len(p.Key)+len(p.Value) > 0:
		return false, k.addStat(p.Key, p.Value, most)
	}
	return true, true
}

// takeQuiet takes a packet of the reply to a multi-get: a hit, whose opaque says
// of which key, an error, or that of the noop at the end.
func (k *call) takeQuiet(p *binary.Packet) (done, ok bool) {
	at := int(p.Opaque - k.opaque)
	switch {
	case at == len(k.keys) && p.Opcode == binary.Noop:
		return true, p.Status == protocol.StatusOK
	case at < k.at || at >= len(k.keys) || p.Opcode != binary.GetQ:
		return false, false
	}
	k.at = at + 1
	if p.Status != protocol.StatusOK {
		if err := k.statusError(p); err != ErrMiss {
			k.err = err
		}
		return false, true
	}
	k.items = append(k.items, Item{Key: k.keys[at], Value: clone(p.Value), Flags: p.Flags(), CAS: p.CAS})
	return false, len(p.Extras) == 4
}

// statusError is the error of a reply that is none of success.
func (k *call) statusError(p *binary.Packet) error {
	o, ok := binary.Outcome(&k.req, p.Status)
	if ok && o != protocol.Unknown {
		return outcomeErrors[o]
	}
	kind := ErrServer
	switch p.Status {
	case protocol.StatusUnknownCommand, protocol.StatusNotSupported:
		kind = ErrUnknownCommand
	case protocol.StatusInvalidArguments, protocol.StatusOutOfRange:
		kind = ErrRefused
	case protocol.StatusAuthError, protocol.StatusAuthContinue, protocol.StatusAuthStale:
		kind = ErrAuth
	}
	text := string(p.Value)
	if text == "" {
		text = p.Status.String()
	}
	return &ReplyError{kind, text}
}
