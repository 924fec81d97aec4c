package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// keyspace is the names of the keys, and what is stored under them.
type keyspace struct{ names []string }

const (
	// Every tenth key is a number.
	digitsEvery = 10

	// Under -I by more than what appends add before the next set.
	largestValue = 45_000
)

func digits(key uint32) bool { return key%digitsEvery == 0 }

// newKeyspace makes names of which most are short and some nearly as long as a
// key may be.
func newKeyspace(n int) *keyspace {
	k := &keyspace{names: make([]string, n)}
	for i := range k.names {
		k.names[i] = fmt.Sprintf("key:%06d", i)
		if i%7 == 3 {
			k.names[i] += strings.Repeat("-", i%240)
		}
	}
	return k
}

// flags are the client flags that go with a key, always.
func flags(key uint32) uint32 { return key * 2654435761 >> 16 }

// any is each key alike.
func (k *keyspace) any(r *rand.Rand) uint32 { return uint32(r.IntN(len(k.names))) }

// hot is a key of which a few come often.
func (k *keyspace) hot(r *rand.Rand) uint32 {
	x := r.Float64()
	return uint32(float64(len(k.names)) * x * x * x * x)
}

func (k *keyspace) pick(r *rand.Rand) uint32 {
	if r.IntN(2) == 0 {
		return k.hot(r)
	}
	return k.any(r)
}

// pickText is a key whose value is bytes, pickNumber one whose value is digits.
func (k *keyspace) pickText(r *rand.Rand) uint32 {
	for {
		if key := k.pick(r); !digits(key) {
			return key
		}
	}
}

func (k *keyspace) pickNumber(r *rand.Rand) uint32 {
	key := k.pick(r)
	return key - key%digitsEvery
}

// size is that of a value: most are small, most bytes are in large ones.
func size(r *rand.Rand) int {
	limits := []int{600, 600, 600, 600, 600, 600, 8000, 8000, 8000, 30_000}
	limit := limits[r.IntN(len(limits))]
	if r.IntN(100) == 0 {
		limit = largestValue
	}
	return 1 + r.IntN(limit)
}

// ttl is an expiry time: most values have none, some a short one.
func ttl(r *rand.Rand) time.Duration {
	switch r.IntN(10) {
	case 0:
		return time.Duration(1+r.IntN(12)) * time.Second
	case 1:
		return time.Hour
	}
	return 0
}
