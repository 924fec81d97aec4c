package meta_test

import (
	"testing"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/meta"
)

func BenchmarkParse(b *testing.B) {
	name, args := []byte("mg"), []byte("key_0001234 s v t f c")
	var r protocol.Request
	b.SetBytes(int64(len("mg ") + len(args)))
	b.ReportAllocs()
	for b.Loop() {
		meta.Parse(name, args, &r)
	}
}

func BenchmarkAppendRequest(b *testing.B) {
	r := protocol.Request{Op: protocol.OpGet, Key: []byte("key_0001234"), Echo: []byte("s v t f c")}
	dst := make([]byte, 0, 100)
	b.SetBytes(int64(len(meta.AppendRequest(dst, &r))))
	b.ReportAllocs()
	for b.Loop() {
		meta.AppendRequest(dst, &r)
	}
}
