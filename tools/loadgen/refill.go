package loadgen

import "sync/atomic"

// refill remembers for each client the key that a get has missed last, of those
// that only this client changes, so that the client may set it. The nil refill
// remembers nothing.
type refill struct {
	missed []atomic.Uint64 // by client; key+1, 0 is none
}

func newRefill(w *Work) *refill {
	if w.Kind != Mixed || !w.Refill {
		return nil
	}
	return &refill{missed: make([]atomic.Uint64, w.Clients)}
}

func (r *refill) miss(key uint64) {
	if r != nil {
		r.missed[key%uint64(len(r.missed))].Store(key + 1)
	}
}

// take gives the key that client should set, once.
func (r *refill) take(client uint64) (key uint64, ok bool) {
	if r == nil {
		return 0, false
	}
	key = r.missed[client].Swap(0)
	return key - 1, key > 0
}
