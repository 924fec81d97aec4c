package memtier

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"
)

// hot keeps copies of flash values that are read again. Which ones is for
// ristretto to say: it may drop, delay and reorder what it likes. It only holds
// handles; the copies are chains of blocks outside the Go heap.
//
// A copy says which key, flash address and page version it was made of, and
// counts only for a reader who asks for all three. So a stale one is never
// served, whatever ristretto does, and none has to be taken out when its item
// changes.
type hot struct {
	cache *ristretto.Cache[uint64, uint64]
	arena *arena
	most  atomic.Int64 // what copies may cost before some have to go, bytes
	fixed int64        // what ristretto's counters take, bytes
	share int64        // of the limit, bytes; of Tier.MoveHot
	gone  ghosts       // copies that left or were declined for want of room
	// locks are striped by a chain's first block. Whoever copies out of a chain
	// holds its lock, and so does whoever takes it into use or frees it while
	// changing its generation: nothing is ever copied out of a block in new hands.
	locks [64]struct {
		sync.Mutex
		_ [56]byte
	}
	items atomic.Int64
	// skip is how many offers are declined unseen, because ristretto had no
	// place for one: a burst would only be dropped, at the cost of a copy each.
	skip atomic.Int32
}

const (
	hotEntry = 256 // what ristretto takes for an entry, bytes
	hotPause = 256 // offers
	hotLeast = 1 << 20
)

// newHot makes a hot cache of that many bytes, which MoveHot may raise to most.
func newHot(bytes, most int64) (*hot, error) {
	if bytes < hotLeast {
		return nil, fmt.Errorf("%w: %d bytes for hot values", ErrLimit, bytes)
	}
	// A sixteenth goes to ristretto's counters. Of the rest an eighth is for
	// copies on their way in or out.
	fixed := bytes / 16
	room := bytes - fixed
	a, err := newArena(room, most)
	if err != nil {
		return nil, err
	}
	h := &hot{arena: a, fixed: fixed, share: bytes}
	h.most.Store(room - room/8)
	left := func(it *ristretto.Item[uint64]) { h.gone.note(it.Key, it.Cost) }
	h.cache, err = ristretto.NewCache(&ristretto.Config[uint64, uint64]{
		NumCounters:        10 * max(bytes/1024, 100),
		MaxCost:            room - room/8,
		BufferItems:        64,
		IgnoreInternalCost: true,
		OnEvict:            left,
		OnReject:           left,
		OnExit:             h.free,
	})
	if err != nil {
		return nil, fmt.Errorf("start hot cache: %w", err)
	}
	return h, nil
}

func (h *hot) close() {
	h.cache.Close()
	h.arena.close()
}

// A handle is a chain's first block and the generation that it had.
func makeHandle(first, gen uint32) uint64 { return uint64(gen)<<32 | uint64(first) }

// take takes a copy, of which a chain has all the bytes, into use.
func (h *hot) take(first uint32) (handle uint64) {
	mu := &h.locks[first%uint32(len(h.locks))]
	mu.Lock()
	defer mu.Unlock()
	h.items.Add(1)
	b := h.arena.block(first)
	b.gen++
	return makeHandle(first, b.gen)
}

// free takes a copy out of use. A handle that is 0, or was freed before, is
// none: ristretto may say so more than once.
func (h *hot) free(handle uint64) {
	first, gen := uint32(handle), uint32(handle>>32)
	if first == 0 {
		return
	}
	b := h.arena.block(first)
	mu := &h.locks[first%uint32(len(h.locks))]
	mu.Lock()
	ours := b.gen == gen
	if ours {
		b.gen++
	}
	mu.Unlock()
	if ours {
		h.items.Add(-1)
		h.arena.give(first)
	}
}

// HotGet appends the copy of the flash record at loc, of a page of that
// version, to dst. Of the item it knows all but the exptime and what else only
// the slot says. Atime is when the copy was last got; it becomes now, unless that
// is 0.
func (t *Tier) HotGet(h uint64, key []byte, loc Loc, version uint32, dst []byte, now uint32) ([]byte, Item, bool) {
	if t.hot == nil {
		return dst, Item{}, false
	}
	handle, _ := t.hot.cache.Get(h)
	return t.hot.read(handle, key, loc, version, dst, now)
}

// read copies out of a chain, if it still is in the hands that the handle names.
func (h *hot) read(handle uint64, key []byte, loc Loc, version uint32, dst []byte, now uint32) ([]byte, Item, bool) {
	first, gen := uint32(handle), uint32(handle>>32)
	if first == 0 {
		return dst, Item{}, false
	}
	b := h.arena.block(first)
	mu := &h.locks[first%uint32(len(h.locks))]
	mu.Lock()
	defer mu.Unlock()
	if b.gen != gen {
		return dst, Item{}, false
	}
	out, it, ok := h.arena.read(b, key, loc, version, dst)
	if ok && now > it.Atime {
		b.head().atime = now
	}
	return out, it, ok
}

// HotPut offers a copy of a flash value that was read again. It may be declined.
func (t *Tier) HotPut(h uint64, key []byte, loc Loc, version uint32, it Item, value []byte) {
	if t.hot == nil || t.hot.skip.Load() > 0 && t.hot.skip.Add(-1) >= 0 {
		return
	}
	first, cost := t.hot.arena.store(h, key, loc, version, it, value)
	if first == 0 {
		return
	}
	handle := t.hot.take(first)
	if !t.hot.cache.Set(h, handle, cost) {
		t.hot.free(handle)
		t.hot.skip.Store(hotPause)
	}
}
