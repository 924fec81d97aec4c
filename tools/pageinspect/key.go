package pageinspect

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/zeebo/xxh3"
)

// hashOf is the cache's hash of a key.
func hashOf(key []byte, seed uint64) uint64 { return xxh3.HashSeed(key, seed) }

// ParseKey reads a key as a user gives it: its bytes, or @ and their hexadecimal
// digits.
func ParseKey(text string) ([]byte, error) {
	digits, isHex := strings.CutPrefix(text, "@")
	if !isHex {
		return []byte(text), nil
	}
	key, err := hex.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("key %q: after @ come hexadecimal digits, two a byte", text)
	}
	return key, nil
}

// ShowKey is the inverse of ParseKey for a terminal: a key of printable ASCII as
// it is, any other escaped between quotes, or all of them as @ and hexadecimal
// digits.
func ShowKey(key []byte, asHex bool) string {
	if asHex {
		return "@" + hex.EncodeToString(key)
	}
	for _, c := range key {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return strconv.QuoteToASCII(string(key))
		}
	}
	if len(key) == 0 || key[0] == '@' {
		return strconv.QuoteToASCII(string(key))
	}
	return string(key)
}

// trimName takes the name of the package from the front of an error's text.
func trimName(text string) string {
	return strings.ReplaceAll(text, "flashtier: ", "")
}
