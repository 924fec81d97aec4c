// Package hearth is a cache for data sets larger than RAM. New values live in
// RAM; when RAM is short they move to page files on flash, and a header of 16
// bytes stays behind for each. A get of such a value reads it back through an
// asynchronous IO queue.
//
// # A key's states
//
// A key is absent, in RAM, or on flash. The functions on the arrows:
//
//	         Change.inRAM            demoter.repoint
//	absent ----------------> RAM ----------------------> flash
//	   ^ ^                   | ^                         | | ^
//	   | '-------------------' '-------------------------' | |
//	   |  Change (delete),      Change.onRecord (append,   '-' Change (touch)
//	   |  demoter.demote        incr, cas ...), Change
//	   |  (dropped), expiry     (set)                      |
//	   '---------------------------------------------------'
//	     Change (delete), reclaim, expiry, flight.finish (bad record)
//
// A hot value is a copy in RAM of a value that is on flash, and stays there; it
// counts only for the very address and page version it was read from, so no
// arrow has to care for it.
//
// # Starting and finishing
//
// No method of the lower layer blocks. Find settles a lookup in RAM, or a
// Lookup brings the value: Start submits the read, Step goes on with it once the
// Notifier was told. A Change works alike. So the same code serves an event
// loop, which steps what has become ready, and the methods of item.go, which
// are that loop for one goroutine.
//
// # Goroutines and locks
//
// A Cache has three goroutines, clockLoop, demoteLoop and sweepLoop, and with flash
// reclaimLoop, beside those of the IO queue; with copies of flash values balanceLoop,
// and for a while after Open warmLoop.
// Locks are leaves: a shard's lock in memtier, which may take the segment
// list's; the page table's in flashtier; the queue's; room.mu. None is held
// across a submit, a wait or a call into another package, but for a shard's
// lock across the copy of a value.
//
// # Reading the source
//
// The get path: get.go, memtier/tier.go, memtier/shard.go, lookup.go, flight.go,
// flashtier/read.go, ioq/queue.go. The other way: change.go, set.go, demote.go,
// reclaim.go, rescue.go. All items: scan.go.
package hearth
