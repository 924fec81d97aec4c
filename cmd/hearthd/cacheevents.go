package main

import (
	"fmt"
	"time"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/cmd/hearthd/watch"
)

// cacheEvents logs what the cache does by itself, for those who watch.
type cacheEvents struct{ log *watch.Log }

// Left logs an item that leaves RAM.
func (e cacheEvents) Left(l *hearth.Leaving) {
	if !e.log.Wants(watch.Evictions) {
		return
	}
	gone := watch.Leaving{
		Key: l.Key, Fetched: l.Meta.Fetched, TTL: -1, Age: int64(l.Meta.Age),
		Class: hearth.ClassOf(len(l.Key), l.Meta.Size), Size: l.Meta.Size,
	}
	if l.Meta.Exptime != 0 {
		gone.TTL = int64(l.Meta.Exptime) - time.Now().Unix()
	}
	if l.ToFlash {
		e.log.MovedToFlash(&gone)
	} else {
		e.log.Evicted(&gone)
	}
}

// Promoted logs a value that is offered to the hot values.
func (e cacheEvents) Promoted(key []byte, m hearth.Meta) {
	if e.log.Wants(watch.Evictions) {
		e.log.Promoted(key, hearth.ClassOf(len(key), m.Size), m.Size)
	}
}

// Reclaimed logs a page of the flash tier that was freed.
func (e cacheEvents) Reclaimed(page int, items uint64) {
	if e.log.Wants(watch.SysEvents) {
		e.log.System(fmt.Sprintf("page_reclaim id=%d evicted=%d", page, items))
	}
}
