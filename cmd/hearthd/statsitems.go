package main

import (
	"fmt"
	"time"

	"github.com/hearthcache/hearth"
)

// class is what stats items and stats slabs tell of a class of items.
type class struct {
	number  int // of the class
	items   uint64
	bytes   int // of the largest item
	age     int64
	evicted uint64
	of      *hearth.Departures
}

// itemClasses are the classes that have items, or had some that were dropped.
func (h *admin) itemClasses(s *hearth.Stats) (list []class) {
	oldest := max(int64(s.Mem.Oldest), h.stats.started.Unix())
	for n := range s.Mem.Classes {
		c := class{number: n, items: uint64(max(s.Mem.Classes[n], 0)), bytes: hearth.ClassBytes(n), of: &s.Mem.Left[n]}
		c.evicted = c.of.Evicted
		switch {
		case n == hearth.FlashClass:
			c.evicted += s.FlashEvicted
		case c.items > 0:
			c.age = max(0, time.Now().Unix()-oldest)
		}
		if c.items > 0 || c.evicted > 0 || c.of.Swept > 0 {
			list = append(list, c)
		}
	}
	return list
}

// itemStats is stats items: what an item on flash keeps in RAM is in class 1, those
// in RAM are in classes by their size. Of memcached's queues there is one; the age
// is that of the oldest values in RAM, whatever their class, and what is not known
// by class is left out.
func (h *admin) itemStats() (stats []stat) {
	s := h.cache.Stats()
	for _, c := range h.itemClasses(&s) {
		name := func(property string) string { return fmt.Sprintf("items:%d:%s", c.number, property) }
		stats = append(stats,
			gauge(name("number"), c.items), gauge(name("number_hot"), 0), gauge(name("number_warm"), 0), gauge(name("number_cold"), c.items),
			gauge(name("age_hot"), 0), gauge(name("age_warm"), 0), gauge(name("age"), c.age),
			gauge(name("mem_requested"), c.items*uint64(c.bytes)),
			counter(name("evicted"), c.evicted), counter(name("evicted_nonzero"), c.of.EvictedTimed),
			gauge(name("evicted_time"), 0), counter(name("evicted_unfetched"), c.of.EvictedUnread), counter(name("evicted_active"), 0),
			counter(name("outofmemory"), 0), counter(name("tailrepairs"), 0), counter(name("lrutail_reflocked"), 0),
			counter(name("crawler_reclaimed"), c.of.Swept), counter(name("direct_reclaims"), 0))
	}
	return stats
}

// slabPage is memcached's page of a slab class, in bytes.
const slabPage = mebibyte

// slabStats is stats slabs: as if each class had just enough pages of its own.
// Commands are not counted by class: those are 0.
func (h *admin) slabStats() (stats []stat) {
	s := h.cache.Stats()
	active := 0
	for _, c := range h.itemClasses(&s) {
		if c.items == 0 {
			continue
		}
		active++
		perPage := uint64(max(slabPage/c.bytes, 1))
		pages := (c.items + perPage - 1) / perPage
		name := func(property string) string { return fmt.Sprintf("%d:%s", c.number, property) }
		stats = append(stats,
			gauge(name("chunk_size"), c.bytes), gauge(name("chunks_per_page"), perPage), gauge(name("total_pages"), pages),
			gauge(name("total_chunks"), pages*perPage), gauge(name("used_chunks"), c.items),
			gauge(name("free_chunks"), pages*perPage-c.items), gauge(name("free_chunks_end"), 0))
		for _, command := range []string{"get_hits", "cmd_set", "delete_hits", "incr_hits", "decr_hits", "cas_hits", "cas_badval", "touch_hits"} {
			stats = append(stats, gauge(name(command), 0))
		}
	}
	return append(stats, gauge("active_slabs", active), gauge("total_malloced", s.Mem.Used))
}
