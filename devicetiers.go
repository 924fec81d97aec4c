package hearth

import (
	"slices"

	"github.com/hearthcache/hearth/flashtier"
)

// Devices are of three tiers. What has to leave a page of the first, for want of
// room, goes to one of bucket coldcompact if it was not read; all else, and what
// those have to give up, to one of bucket old. This is what memcached has the two
// for: slower or cheaper flash for what is seldom wanted.

// tier is 0 for devices that take what comes from RAM.
func (d *device) tier() int {
	switch d.bucket {
	case flashtier.BucketColdCompact:
		return 1
	case flashtier.BucketOld:
		return 2
	}
	return 0
}

// lower is the bucket of the next tier for what has to leave page id, was read or
// not, if a device of it has room.
func (ds *devices) lower(id flashtier.PageID, read bool) (bucket uint8, ok bool) {
	from, _ := ds.holding(id)
	for _, bucket := range []uint8{flashtier.BucketColdCompact, flashtier.BucketOld} {
		if bucket == flashtier.BucketColdCompact && read {
			continue
		}
		if slices.ContainsFunc(ds.all, func(d *device) bool {
			return d.bucket == bucket && d.tier() > from.tier() && !d.gone.Load() && !d.Out() && d.FreePages() > 0
		}) {
			return bucket, true
		}
	}
	return 0, false
}

// hasLower tells whether anything could go from page id to a lower tier.
func (ds *devices) hasLower(id flashtier.PageID) bool {
	_, ok := ds.lower(id, false)
	return ok
}
