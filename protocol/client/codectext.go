package client

import (
	"bytes"
	"fmt"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/text"
)

type textCodec struct{}

func (textCodec) appendCall(dst []byte, k *call) []byte {
	if len(k.keys) > 0 {
		k.req.Args = k.key[:len(k.key)-1]
	}
	return text.AppendRequest(dst, &k.req)
}

func (textCodec) login(username, password string) *call {
	k := newCall(protocol.OpSet, "auth")
	k.login = true
	k.req.Value = []byte(username + " " + password)
	return k
}

func (textCodec) checkKey(key string) error {
	if len(key) == 0 || len(key) > protocol.MaxKey {
		return fmt.Errorf("%w: %d bytes", ErrKey, len(key))
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] == 0x7f {
			return fmt.Errorf("%w: a space or control character in %q", ErrKey, key)
		}
	}
	return nil
}

func (textCodec) next(in []byte, k *call, maxValue int) (n int, done bool, err error) {
	p := text.ReplyParser{MaxValue: maxValue}
	var r text.Reply
	n, status := p.Next(in, &r)
	switch {
	case status == protocol.Incomplete:
		return 0, false, nil
	case status == protocol.Invalid:
		return 0, false, malformed(in)
	case r.Kind == text.ReplyError, r.Kind == text.ReplyClientError, r.Kind == text.ReplyServerError:
		return n, true, k.refuse(&r)
	}
	done, ok := k.takeText(&r, maxValue)
	if !ok {
		return 0, false, malformed(in)
	}
	return n, done, nil
}

// refuse answers k with an error. A value that was not wanted may follow as
// commands, unless the server says that it is the value that it cannot take.
func (k *call) refuse(r *text.Reply) error {
	switch {
	case r.Outcome != protocol.Unknown:
		k.err = outcomeErrors[r.Outcome]
	case r.Kind == text.ReplyError:
		k.err = &ReplyError{ErrUnknownCommand, string(r.Text)}
	case r.Kind == text.ReplyClientError:
		k.err = &ReplyError{ErrRefused, string(r.Text)}
	default:
		k.err = &ReplyError{ErrServer, string(r.Text)}
	}
	if k.req.Op.Storage() && r.Kind != text.ReplyServerError {
		return errOutOfStep
	}
	return nil
}

// takeText takes one piece of the reply to k that is no error. It returns
// whether k is answered; and !ok if that is no reply to k.
func (k *call) takeText(r *text.Reply, most int) (done, ok bool) {
	switch {
	case k.req.Op.Retrieval():
		return k.takeValue(r)
	case k.req.Op == protocol.OpStats:
		return k.takeStat(r, most)
	case k.req.Op == protocol.OpVersion:
		k.text = string(r.Text)
		return true, r.Kind == text.ReplyVersion
	case r.Kind == text.ReplyNumber:
		k.number = r.Number
		return true, k.req.Op == protocol.OpIncr || k.req.Op == protocol.OpDecr
	case r.Kind == text.ReplyOutcome && expected[k.req.Op].has(r.Outcome):
		k.err = outcomeErrors[r.Outcome]
		return true, true
	}
	return false, false
}

func (k *call) takeValue(r *text.Reply) (done, ok bool) {
	switch {
	case r.Kind == text.ReplyEnd:
		if len(k.keys) == 0 && !k.hit {
			k.err = ErrMiss
		}
		return true, true
	case r.Kind != text.ReplyValue || !r.HasCAS:
		return false, false
	case len(k.keys) > 0:
		return false, k.takeItem(r)
	case k.hit || !bytes.Equal(r.Key, k.key):
		return false, false
	}
	k.hit = true
	k.item = Item{Value: clone(r.Value), Flags: r.Flags, CAS: r.CAS}
	return false, true
}

// takeItem takes one value of a multi-get. Servers answer in the order of the
// keys, but proxies may not.
func (k *call) takeItem(r *text.Reply) bool {
	if len(k.items) == len(k.keys) {
		return false
	}
	for range k.keys {
		key := k.keys[k.at]
		if k.at++; k.at == len(k.keys) {
			k.at = 0
		}
		if key == string(r.Key) {
			k.items = append(k.items, Item{Key: key, Value: clone(r.Value), Flags: r.Flags, CAS: r.CAS})
			return true
		}
	}
	return false
}

func (k *call) takeStat(r *text.Reply, most int) (done, ok bool) {
	switch r.Kind {
	case text.ReplyEnd, text.ReplyOutcome:
		return true, r.Kind == text.ReplyEnd || r.Outcome == protocol.Done
	case text.ReplyStat:
		return false, k.addStat(r.Key, r.Text, most)
	}
	return false, false
}

// addStat keeps one statistic, if all together are not over most bytes.
func (k *call) addStat(name, value []byte, most int) bool {
	if k.stats == nil {
		k.stats = map[string]string{}
	}
	k.stats[string(name)] = string(value)
	return k.received <= most
}

// clone copies b, which may be empty but not absent.
func clone(b []byte) []byte { return append(make([]byte, 0, len(b)), b...) }

// outcomes is a set of protocol.Outcomes.
type outcomes uint32

func (s outcomes) has(o protocol.Outcome) bool { return s&(1<<o) != 0 }

const (
	storeOutcomes  = 1<<protocol.Stored | 1<<protocol.NotStored | 1<<protocol.Exists | 1<<protocol.NotFound
	numberOutcomes = 1 << protocol.NotFound
)

// expected are the outcomes that the commands may have, errors apart.
var expected = [protocol.Ops]outcomes{
	protocol.OpSet: storeOutcomes, protocol.OpAdd: storeOutcomes, protocol.OpReplace: storeOutcomes,
	protocol.OpAppend: storeOutcomes, protocol.OpPrepend: storeOutcomes, protocol.OpCAS: storeOutcomes,
	protocol.OpIncr: numberOutcomes, protocol.OpDecr: numberOutcomes,
	protocol.OpTouch:    1<<protocol.Touched | 1<<protocol.NotFound,
	protocol.OpDelete:   1<<protocol.Deleted | 1<<protocol.NotFound,
	protocol.OpFlushAll: 1 << protocol.Done,
}
