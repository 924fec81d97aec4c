package loadgen

import (
	"fmt"
	"runtime"
	"time"

	"github.com/hearthcache/hearth/protocol"
)

// Kind is what a run does to the server.
type Kind uint8

// The kinds of work.
const (
	Load  Kind = iota // sets
	Read              // gets
	Mixed             // gets and sets, with a check that nothing stale is returned
)

// String names the kind as the command line does.
func (k Kind) String() string { return [...]string{"load", "read", "mixed"}[k] }

// Work describes one run. The zero value of a field is its default.
type Work struct {
	Kind          Kind
	Keys          uint64        // default 1,000,000
	KeySize       Span          // bytes, by key; default 16
	ValueSize     Span          // bytes, by key, log-uniform; default 100
	Clients       int           // connections; default 50
	Workers       int           // threads that share the connections; default half the CPUs
	Depth         int           // requests in flight on a connection; default 1
	Multiget      int           // keys a get asks for; default 1
	Dist          Dist          // default: load sequential, others uniform
	HasDist       bool          // Dist was given
	SetRatio      float64       // of a mixed run: share of operations that are sets; default 0.1
	DeleteRatio   float64       // likewise deletes
	TouchRatio    float64       // likewise touches, with the exptime of the key's sets
	ChangeDist    Dist          // of the keys set, deleted and touched; default Dist
	HasChangeDist bool          // ChangeDist was given
	Refill        bool          // of a mixed run: sets are first of keys that gets have missed
	ExpireShare   float64       // share of the keys, by key, whose exptime is one of ExpireTTL
	ExpireTTL     Span          // seconds, by key, log-uniform; a mixed run checks that nothing outlives it
	Requests      uint64        // key operations (a get of 50 keys is 50); default: see validate
	Duration      time.Duration // stop after; default: see validate
	Rate          float64       // key operations a second, open loop; 0: as fast as replies come
	Seed          uint64        // of the order of keys; values do not depend on it
	TTL           uint32        // exptime of sets, as sent
	Version       uint64        // stored by load and mixed (default NewVersion); of read: the oldest accepted
	PID           int           // the server's, to account its CPU and memory; 0: unknown
	Timeout       time.Duration // without any reply while some are due; default 60 s
	Progress      Progress      // called about every second while it runs; may be nil
	Ledger        *Ledger       // what is known from runs before; nil is nothing
	Latencies     *Latencies    // is told each request's latency as well; may be nil
}

// withDefaults is the work with every unset field set, or what is wrong with it.
// Without Requests and Duration a run over each key once ends after one pass,
// any other after 10 seconds.
func (w Work) withDefaults() (Work, error) {
	setDefault(&w.Keys, 1_000_000)
	setDefault(&w.KeySize, Span{16, 16})
	setDefault(&w.ValueSize, Span{100, 100})
	setDefault(&w.Clients, 50)
	setDefault(&w.Workers, max(1, runtime.NumCPU()/2))
	setDefault(&w.Depth, 1)
	setDefault(&w.Multiget, 1)
	setDefault(&w.SetRatio, 0.1)
	setDefault(&w.Seed, 1)
	setDefault(&w.Timeout, 60*time.Second)
	if w.Kind == Load && !w.HasDist {
		w.Dist = Sequential
	}
	if w.Kind != Read {
		setDefault(&w.Version, NewVersion())
	}
	w.setEnd()
	w.Workers = min(w.Workers, w.Clients)
	return w, w.validate()
}

func (w *Work) setEnd() {
	switch {
	case w.Requests > 0 || w.Duration > 0:
	case w.Dist.passes():
		w.Requests = w.Keys
	default:
		w.Duration = 10 * time.Second
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// mostRelative is the highest exptime that is a time from now, in seconds.
const mostRelative = 30 * 24 * 3600

func (w *Work) validate() error {
	switch {
	case w.Clients < 1, w.Workers < 1, w.Depth < 1, w.Multiget < 1:
		return fmt.Errorf("clients, workers, depth and multiget must be at least 1")
	case w.Keys > 1<<40:
		return fmt.Errorf("%d keys: at most %d", w.Keys, uint64(1)<<40)
	case w.KeySize.Min < shortestKey(w.Keys):
		return fmt.Errorf("key size %v: %d keys need at least %d bytes", w.KeySize, w.Keys, shortestKey(w.Keys))
	case w.KeySize.Max > protocol.MaxKey:
		return fmt.Errorf("key size %v: at most %d bytes", w.KeySize, protocol.MaxKey)
	case min(w.SetRatio, w.DeleteRatio, w.TouchRatio) < 0 || w.SetRatio+w.DeleteRatio+w.TouchRatio > 1:
		return fmt.Errorf("ratios of sets %g, deletes %g, touches %g: want 0 to 1, also together", w.SetRatio, w.DeleteRatio, w.TouchRatio)
	case w.ExpireShare < 0 || w.ExpireShare > 1 || w.ExpireShare > 0 && (w.ExpireTTL.Min < 1 || w.ExpireTTL.Max > mostRelative):
		return fmt.Errorf("a share of %g expires after %v seconds: want 0 to 1, and 1 to %d seconds", w.ExpireShare, w.ExpireTTL, mostRelative)
	case w.ExpireShare > 0 && w.Depth > 1:
		return fmt.Errorf("depth %d: values whose expiry is checked want 1", w.Depth)
	case w.Rate < 0:
		return fmt.Errorf("rate %g: want 0 or more", w.Rate)
	case w.Ledger != nil && len(w.Ledger.found) != int(w.Keys):
		return fmt.Errorf("%d keys: the ledger is of %d", w.Keys, len(w.Ledger.found))
	case w.Kind == Mixed && w.Keys < uint64(w.Clients):
		return fmt.Errorf("%d keys: a mixed run needs at least one for each of the %d clients", w.Keys, w.Clients)
	}
	return nil
}
