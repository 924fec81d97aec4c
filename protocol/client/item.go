package client

import (
	"math"
	"time"
)

// Item is a key with its value.
type Item struct {
	Key   string // 1 to 250 bytes; of text without spaces and control characters
	Value []byte
	Flags uint32 // the caller's own
	// TTL is how long the item lives once it is stored, rounded up to seconds.
	// 0 means for ever, less than 0 not at all. Of what was read, only
	// MetaGet knows it.
	TTL time.Duration
	// CAS changes with every change of the item. What reads an item sets it,
	// CompareAndSwap compares it, the others ignore it.
	CAS uint64
}

// maxRelative is the longest time in seconds that the protocols take as one
// from now on; what is longer they take as a date.
const maxRelative = 30 * 24 * 60 * 60

// exptime is ttl as the protocols have it.
func exptime(ttl time.Duration) int64 {
	if ttl < 0 {
		return -1
	}
	seconds := int64(math.Ceil(ttl.Seconds()))
	if seconds > maxRelative {
		return time.Now().Unix() + seconds
	}
	return seconds
}
