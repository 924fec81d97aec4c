package main

import (
	"encoding/base64"
	"strconv"
	"time"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/cmd/hearthd/watch"
)

// dumpForm is how a list of items is written.
type dumpForm struct {
	line     func(dst []byte, s *hearth.Scan, class int) []byte
	end      string
	disabled string // the reply with -X
}

var dumpForms = map[string]*dumpForm{
	"metadump":  {appendMetadump, "END\r\n", "ERROR metadump not allowed\r\n"},
	"mgdump":    {appendMgdump, "EN\r\n", "ERROR key dump not allowed\r\n"},
	"cachedump": {appendCachedump, "END\r\n", ""},
}

// appendMetadump appends a line of metadump. As in memcached it ends without a
// carriage return, and times are of day.
func appendMetadump(dst []byte, s *hearth.Scan, class int) []byte {
	m := &s.Meta
	dst = watch.AppendKey(append(dst, "key="...), s.Key)
	exp := int64(-1)
	if m.Exptime != 0 {
		exp = int64(m.Exptime)
	}
	dst = appendField(dst, " exp=", exp)
	dst = appendField(dst, " la=", time.Now().Unix()-int64(m.Age))
	dst = strconv.AppendUint(append(dst, " cas="...), m.CAS, 10)
	if m.Fetched {
		dst = append(dst, " fetch=yes"...)
	} else {
		dst = append(dst, " fetch=no"...)
	}
	dst = appendField(dst, " cls=", int64(class))
	dst = appendField(dst, " size=", int64(m.Size+len(s.Key)+itemHead))
	dst = appendField(dst, " flags=", int64(m.Flags))
	return append(dst, '\n')
}

// itemHead is what an item takes beside its key and its value, in bytes.
const itemHead = 24

// appendMgdump appends the meta get that brings the item. A key that the text
// protocol cannot say is in base64.
func appendMgdump(dst []byte, s *hearth.Scan, _ int) []byte {
	dst = append(dst, "mg "...)
	if plain(s.Key) {
		return append(append(dst, s.Key...), '\r', '\n')
	}
	dst = base64.StdEncoding.AppendEncode(dst, s.Key)
	return append(dst, " b\r\n"...)
}

func plain(key []byte) bool {
	for _, c := range key {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// appendCachedump appends a line of stats cachedump: the value's length, and when
// the item expires.
func appendCachedump(dst []byte, s *hearth.Scan, _ int) []byte {
	dst = append(append(dst, "ITEM "...), s.Key...)
	dst = appendField(dst, " [", int64(s.Meta.Size))
	dst = appendField(dst, " b; ", int64(s.Meta.Exptime))
	return append(dst, " s]\r\n"...)
}

func appendField(dst []byte, name string, value int64) []byte {
	return strconv.AppendInt(append(dst, name...), value, 10)
}
