package hearth

import "github.com/hearthcache/hearth/flashtier"

// reclaim frees the oldest page of the flash tier with all that is in it, and
// reports whether there was one. Only the demoter calls it.
func (d *demoter) reclaim() bool {
	// What is on its way must have its slots first: a slot repointed to a page
	// after that page was reclaimed would be a header of something else.
	for d.arrive() {
	}
	c := d.c
	page, ok := c.flash.Victim()
	if !ok {
		return false
	}
	var evicted uint64
	err := c.flash.Entries(page, func(hash uint64, a flashtier.Addr) {
		if loc, _ := locOf(a); c.mem.DeleteAt(hash, loc) {
			evicted++
		}
	})
	if err != nil {
		// Headers may be left. They do no harm: the page is retired, so that a
		// read through one of them drops it.
		c.opts.Logger.Warn("index of a page is unreadable", "page", page, "err", err)
	}
	c.count.flashEvicted.Add(evicted)
	c.flash.Free(page)
	if o := c.opts.Observer; o != nil {
		o.Reclaimed(int(page), evicted)
	}
	return true
}
