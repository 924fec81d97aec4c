package loadgen

import (
	"strconv"
	"sync/atomic"

	"github.com/hearthcache/hearth/tools/seeded"
)

// Ledger carries what is known of the keys' versions from one run to the next, so
// that what comes back is held to what was answered before, also if the server was
// killed in between. Runs that share one must have the same Keys: a Load of all of
// them, then one Mixed run, and Reads at any time. One run uses it at a time.
type Ledger struct {
	versions versions
	found    []uint64 // atomic; version that a get returned last, by key; 0 is none
}

// NewLedger is one for so many keys.
func NewLedger(keys uint64) *Ledger {
	return &Ledger{versions: newTracked(keys), found: make([]uint64, keys)}
}

// enter gives a run the versions to go by.
func (l *Ledger) enter(w *Work) *versions {
	switch w.Kind {
	case Load:
		l.versions.least = w.Version
		return &versions{base: w.Version}
	case Mixed:
		l.versions.base = w.Version
	}
	l.versions.base = max(l.versions.base, l.versions.least)
	return &l.versions
}

// Answered is the newest version of key that the server has said it stored. sure
// is false if it was also sent a newer one and never answered.
func (l *Ledger) Answered(key uint64) (version uint64, sure bool) {
	n := atomic.LoadUint32(&l.versions.settled[key])
	return l.versions.oldest(key), n == atomic.LoadUint32(&l.versions.issued[key])
}

// Found is the version of key that a get has returned last, or 0. ForgetFound
// begins anew.
func (l *Ledger) Found(key uint64) uint64 { return atomic.LoadUint64(&l.found[key]) }

// ForgetFound has Found know nothing.
func (l *Ledger) ForgetFound() { clear(l.found) }

func (l *Ledger) find(key, version uint64) {
	if l != nil {
		atomic.StoreUint64(&l.found[key], version)
	}
}

// VersionOf is the version that a value of key tells; 0 if it is too short for one.
func VersionOf(key uint64, value []byte) uint64 { return seeded.VersionIn(key, value) }

// KeyNumber is the number of the key with that text; ok is false if it is none of
// this package's.
func KeyNumber(text []byte) (number uint64, ok bool) {
	if len(text) < 2 || text[0] != 'k' {
		return 0, false
	}
	number, err := strconv.ParseUint(string(text[1:]), 10, 64)
	return number, err == nil
}
