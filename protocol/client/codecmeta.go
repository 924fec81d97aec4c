package client

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/meta"
)

// metaCodec has the text protocol do what meta has no command for.
type metaCodec struct{ textCodec }

// metaAsks is what is asked for beside an opaque, which all have.
var metaAsks = [protocol.Ops]string{
	protocol.OpGets: "v f c", protocol.OpGats: "v f c",
	protocol.OpIncr: "v", protocol.OpDecr: "v",
}

// ofText tells whether k is left to the text protocol.
func (k *call) ofText() bool {
	op := k.req.Op
	return k.login || op == protocol.OpFlushAll || op == protocol.OpStats || op == protocol.OpVersion
}

func (c metaCodec) appendCall(dst []byte, k *call) []byte {
	if k.ofText() {
		return c.textCodec.appendCall(dst, k)
	}
	if k.asks == "" {
		k.asks = metaAsks[k.req.Op]
	}
	if len(k.keys) == 0 {
		return k.appendMeta(dst, k.key, k.opaque)
	}
	k.req.Quiet = true
	rest := k.key
	for i, key := range k.keys {
		dst = k.appendMeta(dst, rest[:len(key)], k.opaque+uint32(i))
		rest = rest[len(key)+1:]
	}
	return meta.AppendRequest(dst, &protocol.Request{Op: protocol.OpNoop})
}

func (k *call) appendMeta(dst, key []byte, opaque uint32) []byte {
	k.echo = append(append(k.echo[:0], k.asks...), " O"...)
	k.echo = strconv.AppendUint(k.echo, uint64(opaque), 10)
	k.req.Echo, k.req.Key, k.req.Base64 = k.echo, key, !meta.PlainKey(key)
	return meta.AppendRequest(dst, &k.req)
}

func (metaCodec) checkKey(key string) error {
	longest := protocol.MaxKey
	for i := range len(key) {
		if key[i] <= ' ' || key[i] == 0x7f {
			longest = base64.StdEncoding.DecodedLen(longest / 4 * 4)
			break
		}
	}
	if len(key) == 0 || len(key) > longest {
		return fmt.Errorf("%w: %d bytes", ErrKey, len(key))
	}
	return nil
}

func (c metaCodec) next(in []byte, k *call, maxValue int) (n int, done bool, err error) {
	if k.ofText() {
		return c.textCodec.next(in, k, maxValue)
	}
	p := meta.ReplyParser{MaxValue: maxValue}
	var r meta.Reply
	n, status := p.Next(in, &r)
	switch {
	case status == protocol.Incomplete:
		return 0, false, nil
	case status == protocol.Invalid:
		return 0, false, malformed(in)
	case r.Code == meta.Error || r.Code == meta.ClientError || r.Code == meta.ServerError:
		n, _, err = c.textCodec.next(in, k, maxValue)
		return n, len(k.keys) == 0, err
	}
	var ok bool
	if len(k.keys) > 0 {
		done, ok = k.takeQuietMeta(&r)
	} else {
		done, ok = true, k.takeMeta(&r)
	}
	if !ok {
		return 0, false, malformed(in)
	}
	return n, done, nil
}

// takeMeta takes the reply to k, and returns whether it can be that.
func (k *call) takeMeta(r *meta.Reply) bool {
	if opaque, ok := parseOpaque(r.Opaque); !ok || opaque != k.opaque {
		return false
	}
	op := k.req.Op
	k.meta = r.Item
	switch {
	case r.Code == meta.VA && op.Retrieval():
		k.item = metaItem(r)
		return strings.Contains(k.asks, "v")
	case r.Code == meta.VA && (op == protocol.OpIncr || op == protocol.OpDecr):
		number, err := strconv.ParseUint(string(r.Value), 10, 64)
		k.number = number
		return err == nil
	case r.Code == meta.HD && op.Retrieval():
		k.item = metaItem(r)
		return !strings.Contains(k.asks, "v")
	case r.Code == meta.HD:
		return op != protocol.OpIncr && op != protocol.OpDecr
	case r.Code == meta.EN && op.Retrieval():
		k.err = ErrMiss
		return true
	case r.Code == meta.EN:
		k.err = ErrNotFound
		return op == protocol.OpTouch
	}
	k.err = metaRefusals[r.Code]
	return k.err != nil && !op.Retrieval() && op != protocol.OpTouch
}

// metaRefusals are the codes of changes that were not made.
var metaRefusals = [meta.ServerError + 1]error{meta.NS: ErrNotStored, meta.EX: ErrExists, meta.NF: ErrNotFound}

// takeQuietMeta takes one reply to a multi-get: a hit, whose opaque says of which
// key, or that of the noop at the end.
func (k *call) takeQuietMeta(r *meta.Reply) (done, ok bool) {
	if r.Code == meta.MN {
		return true, true
	}
	opaque, ok := parseOpaque(r.Opaque)
	at := int(opaque - k.opaque)
	if !ok || r.Code != meta.VA || at < k.at || at >= len(k.keys) {
		return false, false
	}
	k.at = at + 1
	it := metaItem(r)
	it.Key = k.keys[at]
	k.items = append(k.items, it)
	return false, true
}

func metaItem(r *meta.Reply) Item {
	it := Item{Flags: r.Item.Flags, CAS: r.Item.CAS}
	if r.Code == meta.VA {
		it.Value = clone(r.Value)
	}
	return it
}

func parseOpaque(b []byte) (uint32, bool) {
	v, ok := protocol.ParseDigits(b)
	return uint32(v), ok && v <= math.MaxUint32
}
