package hearth

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/memtier"
)

var (
	// ErrNotFound is the answer to a key that is not in the cache.
	ErrNotFound = errors.New("hearth: not found")
	// ErrNotStored says that the condition of an Add, Replace, Append or
	// Prepend does not hold.
	ErrNotStored = errors.New("hearth: not stored")
	// ErrCASConflict says that the item has changed since its CAS was read.
	ErrCASConflict = errors.New("hearth: changed since it was read")
	// ErrNotNumeric says that the value of an Incr or Decr is no number.
	ErrNotNumeric = errors.New("hearth: value is not a number")
	// ErrTooLarge says that key and value exceed Options.MaxItem. After a Set
	// the key's old value is gone.
	ErrTooLarge = errors.New("hearth: item too large")
	// ErrNoRoom says that no room was made within Options.Backpressure. After
	// a Set the key's old value is gone.
	ErrNoRoom = errors.New("hearth: no room")
	// ErrKey refuses a key that is empty or longer than 250 bytes.
	ErrKey = errors.New("hearth: key must be 1 to 250 bytes long")
	// ErrOptions says which option cannot be worked with.
	ErrOptions = errors.New("hearth: invalid options")
	// ErrClosed is the error of a call on a closed cache.
	ErrClosed = errors.New("hearth: cache is closed")
)

// Cache is a cache of items in RAM and on flash. All methods may be called by
// several goroutines at once.
type Cache struct {
	opts  Options
	mem   *memtier.Tier
	flash *devices // nil without flash
	hot   bool     // hot values are kept

	tuned   tunable
	outside int64 // of Memory, what the flash tier takes

	image        *os.File // what Options.MemoryFile will be, locked; nil without
	recovery     flashtier.Recovery
	recovered    int64 // items that came back
	progressing  sync.Mutex
	progressFrom time.Time // of the recovery; of Open alone
	progressAt   time.Time // the last line of progress; of Open and Close alone
	unwarmed     []uint64  // of the list of hot values, what warmLoop has not come to; of Close, once that has ended

	now       atomic.Uint32 // coarse clock, Unix seconds
	cas       atomic.Uint64 // the last CAS given out
	flushAt   atomic.Uint32 // when a delayed FlushAll is due, 0 if none
	hotGain   hotGain
	balance   balance
	written   wearLog
	expiry    expiry
	room      room
	reclaimer *reclaimer            // nil without flash
	twins     atomic.Pointer[twins] // nil but for a moment of a rescue
	count     counters
	started   time.Time

	closed atomic.Bool
	stop   chan struct{}
	loops  sync.WaitGroup
}

// Open makes a cache with its flash tier, if opts ask for one, in dir, which is
// created if absent and belongs to this cache alone until Close. What an
// earlier run has left on flash there is back when Open returns; see
// Stats.Recovery for what that was.
func Open(dir string, opts Options) (*Cache, error) {
	adapts := opts.HotPercent == 0
	opts.keepPageSize(dir)
	opts = opts.withDefaults()
	if err := opts.validate(dir); err != nil {
		return nil, err
	}
	c := &Cache{opts: opts, stop: make(chan struct{}), started: opts.Clock()}
	c.now.Store(uint32(c.started.Unix()))
	c.tuned.set(&opts)
	if err := c.openFlash(dir); err != nil {
		return nil, err
	}
	seed := uint64(c.started.UnixNano())
	if c.flash != nil {
		seed = c.flash.Seed()
		c.cas.Store(c.flash.FirstCAS())
		c.flushAt.Store(c.flash.FlushAt())
	}
	tier := opts.tierOptions(seed)
	tier.Drops = c.flash == nil
	mem, err := memtier.New(tier)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("map memory: %w", err), c.closeFlash())
	}
	c.mem, c.hot, c.outside = mem, tier.HotBytes > 0, opts.Memory-tier.Limit
	c.balance.mem, c.balance.memory = mem, &c.tuned.memory
	c.balance.told = Split{Adapts: adapts && c.hot, Hot: tier.HotBytes}
	c.balance.want.Store(tier.HotBytes)
	if err := c.recover(); err != nil {
		return nil, errors.Join(fmt.Errorf("recover: %w", err), c.closeFlash(), mem.Close())
	}
	if err := c.loadMemory(); err != nil {
		return nil, errors.Join(err, mem.Close())
	}
	c.tellLimits()
	if c.flash != nil {
		c.reclaimer = c.newReclaimer()
	}
	c.loops.Add(3)
	go c.clockLoop()
	go c.demoteLoop()
	go c.sweepLoop()
	if c.flash != nil {
		c.loops.Add(1)
		go c.reclaimLoop()
	}
	if c.hot {
		c.loops.Add(2)
		go c.warmLoop()
		go c.balanceLoop()
	}
	return c, nil
}

// tellLimits says where MaxItem is more than there is place for.
func (c *Cache) tellLimits() {
	o := &c.opts
	if most := c.mem.Largest(); most < int64(o.MaxItem) {
		o.Logger.Warn("larger items are refused, as Memory has no room for them", "bytes", most, "max_item", o.MaxItem)
	}
	if c.flash == nil {
		return
	}
	if most := c.flash.Longest(); most < int64(o.MaxItem) {
		o.Logger.Warn("larger items stay in RAM, as a write buffer for them takes more Memory or a larger page",
			"bytes", most, "max_item", o.MaxItem, "page", o.PageSize)
	}
}

// Close moves what is in RAM to flash, for Options.ShutdownTimeout at most, stops
// the cache and gives its memory back. No other call may be under way. After a
// Close without error the next Open finds everything. Without flash, that goes
// by Options.MemoryFile, or values are lost.
func (c *Cache) Close() error {
	if c.closed.Swap(true) {
		return ErrClosed
	}
	close(c.stop)
	c.loops.Wait()
	return errors.Join(c.demoteAll(), c.saveMemory(), c.closeFlash(), c.mem.Close())
}

func (c *Cache) closeFlash() error {
	if c.flash == nil {
		return nil
	}
	return c.flash.Close()
}

func (c *Cache) stopping() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

// FlushAll makes all items that the cache has at the time at, in Unix seconds,
// invisible from then on, also after a restart. 0, or a time that is not in the
// future, means now. A later call takes the place of one that is not due yet.
func (c *Cache) FlushAll(at uint32) error {
	c.count.flushes.Add(1)
	if at > c.now.Load() {
		c.flushAt.Store(at)
		if c.flash != nil {
			return c.flash.SetFlushAt(at)
		}
		return nil
	}
	c.flushAt.Store(0)
	return c.flushNow()
}

// flushNow empties the index before the flush is journaled. The other way round
// a buffer that arrives in between would be named in the catalog as one of
// after the flush, with records of before it.
func (c *Cache) flushNow() error {
	c.mem.FlushAll()
	if c.flash == nil {
		return nil
	}
	c.flash.Flush()
	if c.flash.FlushAt() == 0 {
		return nil
	}
	return c.flash.SetFlushAt(0)
}

func (c *Cache) nextCAS() uint64 { return c.cas.Add(1) }

// died journals that a change took an item on flash out of the index. That comes
// before the change is answered, or a restart could bring the old value back.
func (c *Cache) died(it memtier.Item) {
	if it.Loc.OnFlash() {
		c.journalDead(addrOf(it.Loc, it.Class))
	}
}

func (c *Cache) journalDead(a flashtier.Addr) {
	if planted() {
		return
	}
	c.flash.Died(a)
	c.bury(a)
}

// lapsed accounts for an item that went because its time has passed. A restart
// knows that by itself.
func (c *Cache) lapsed(it memtier.Item) {
	if it.Loc.OnFlash() {
		c.flash.Dead(addrOf(it.Loc, it.Class))
	}
}

// expired counts a lookup that found an item past its expiry time.
func (c *Cache) expired(it memtier.Item) Meta {
	c.count.misses.Add(1)
	c.count.missExpired.Add(1)
	c.lapsed(it)
	return Meta{Exptime: it.Exptime}
}

// mayChange tells whether the journal has room for a change of an item on flash.
// There is slack behind it for all changes that have been let through.
func (c *Cache) mayChange() bool { return c.flash == nil || c.flash.JournalRoom() }
