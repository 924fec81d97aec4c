package loadgen

import (
	"math"
	"sync/atomic"
	"time"
)

// NewVersion is a version above all that earlier runs have stored, unless a
// run stored one key more than 65536 times a millisecond.
func NewVersion() uint64 { return uint64(time.Now().UnixMilli()) << 16 }

// versions tells what a get may return. A mixed run tracks each key: its nth
// set stores base+n, or is a delete that takes that number, and only one
// connection changes a key, so that the versions a server sees are in order. A
// get sent after base+n was answered (or refused: then the old value must be gone
// too) must not return less.
//
// Other runs store one version and track nothing: tracked is false. least is the
// oldest version a get may return, of a key that this run has not set.
type versions struct {
	base    uint64
	least   uint64
	tracked bool
	issued  []uint32 // atomic; sets sent, by key
	settled []uint32 // atomic; sets answered, by key
}

func newVersions(w *Work) *versions {
	switch {
	case w.Ledger != nil:
		return w.Ledger.enter(w)
	case w.Kind == Mixed:
		v := newTracked(w.Keys)
		v.base = w.Version
		return &v
	}
	return &versions{base: w.Version, least: w.Version}
}

func newTracked(keys uint64) versions {
	return versions{tracked: true, issued: make([]uint32, keys), settled: make([]uint32, keys)}
}

// issue is the version of key's next set.
func (v *versions) issue(key uint64) uint64 {
	if !v.tracked {
		return v.base
	}
	return v.base + uint64(atomic.AddUint32(&v.issued[key], 1))
}

// settle notes that the set of version has been answered.
func (v *versions) settle(key, version uint64) {
	if v.tracked {
		atomic.StoreUint32(&v.settled[key], uint32(version-v.base))
	}
}

// oldest is the least version that a get sent now may return. Before the first
// set of a run that is any version of an earlier run, unless a Ledger knows which.
func (v *versions) oldest(key uint64) uint64 {
	if !v.tracked {
		return v.least
	}
	n := atomic.LoadUint32(&v.settled[key])
	if n == 0 {
		return v.least
	}
	return v.base + uint64(n)
}

// newest is the highest version that a get answered now may return.
func (v *versions) newest(key uint64) uint64 {
	if !v.tracked {
		return math.MaxUint64
	}
	return v.base + uint64(atomic.LoadUint32(&v.issued[key]))
}
