package meta_test

import (
	"bytes"
	"fmt"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/meta"
)

// A server reads a line, looks the key up, and says what it found: the flags of
// the reply are the package's business.
func Example() {
	store := map[string]string{"user:17": "Ada"}
	for _, line := range []string{"mg user:17 s v", "mg user:17 k t", "mg user:18 k q", "mg user:18 O1", "mg user:17 v v"} {
		name, args, _ := bytes.Cut([]byte(line), []byte(" "))
		var r protocol.Request
		if _, refusal := meta.Parse(name, args, &r); refusal != "" {
			fmt.Printf("%q\n", refusal)
			continue
		}
		meta.DecodeKey(&r)
		var out []byte
		if value, found := store[string(r.Key)]; found {
			out = protocol.AppendValue(nil, &r, []byte(value), &protocol.Item{TTL: -1})
		} else {
			out = protocol.AppendOutcome(nil, &r, protocol.Miss)
		}
		fmt.Printf("%q\n", out)
	}
	// Output:
	// "VA 3 s3\r\nAda\r\n"
	// "HD kuser:17 t-1\r\n"
	// ""
	// "EN O1\r\n"
	// "CLIENT_ERROR duplicate flag\r\n"
}
